from kit.grants import Grants

GRANTS = Grants(tables={("notes", "authenticated"): {"SELECT", "UPDATE(label)"}})
