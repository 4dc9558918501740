from kit.grants import USERS, Function, Grants

GRANTS = Grants(
    functions={"me": Function(USERS)},
)
