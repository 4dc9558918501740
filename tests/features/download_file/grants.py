from kit.grants import Grants

GRANTS = Grants(
    tables={("files", "authenticated"): {"SELECT"}, ("files", "service_role"): {"SELECT"}},
)
