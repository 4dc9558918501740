from kit.grants import Grants

GRANTS = Grants(
    tables={("posts", "authenticated"): {"SELECT", "DELETE"}},
)
