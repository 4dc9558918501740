from kit.grants import Grants

GRANTS = Grants(tables={("files", "authenticated"): {"SELECT", "DELETE"}})
