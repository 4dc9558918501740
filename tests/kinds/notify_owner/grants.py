from kit.grants import Grants

GRANTS = Grants(tables={("notes", "service_role"): {"SELECT"}})
