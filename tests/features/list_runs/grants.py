from kit.grants import SERVICE, USERS, Function, Grants

GRANTS = Grants(
    functions={"list_runs": Function(USERS | SERVICE, {"page": 1, "page_size": 1})},
)
