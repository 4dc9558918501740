from kit.grants import Grants

GRANTS = Grants(
    tables={("posts", "service_role"): {"SELECT"}},
)
