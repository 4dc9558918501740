from kit.grants import USERS, Function, Grants

GRANTS = Grants(
    tables={("profiles", "authenticated"): {"SELECT", "UPDATE(display_name)"}},
    functions={"me": Function(USERS)},
)
