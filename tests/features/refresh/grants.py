from kit.grants import NOBODY, SERVICE, Function, Grants

GRANTS = Grants(
    functions={"session_started": Function(SERVICE, {"session_id": NOBODY})},
)
