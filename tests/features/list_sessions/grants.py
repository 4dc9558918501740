from kit.grants import USERS, Function, Grants

GRANTS = Grants(
    functions={"own_sessions": Function(USERS, {"page": 1, "page_size": 1})},
)
