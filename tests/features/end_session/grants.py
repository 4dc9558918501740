from kit.grants import NOBODY, USERS, Function, Grants

GRANTS = Grants(
    functions={"end_own_session": Function(USERS, {"session_id": NOBODY})},
)
