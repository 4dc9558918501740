from kit.grants import Grants

GRANTS = Grants(
    tables={("posts", "anon"): {"SELECT"}, ("posts", "authenticated"): {"SELECT"}},
)
