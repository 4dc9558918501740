from kit.grants import NOBODY, SERVICE, USERS, Function, Grants

GRANTS = Grants(
    tables={("profiles", "authenticated"): {"SELECT"}},
    functions={"me": Function(USERS), "account": Function(SERVICE, {"user_id": NOBODY})},
)
