from kit.grants import Grants

GRANTS = Grants(
    tables={("settings", "anon"): {"SELECT"}, ("settings", "authenticated"): {"SELECT"}},
)
