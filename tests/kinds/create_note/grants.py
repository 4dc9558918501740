from kit.grants import Grants

GRANTS = Grants(tables={("notes", "authenticated"): {"SELECT", "INSERT(label)"}})
