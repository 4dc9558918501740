from kit.grants import NOBODY, SERVICE, Function, Grants

GRANTS = Grants(
    # The version before this one calls it: while a new one is rolled out both run.
    functions={"session_started": Function(SERVICE, {"session_id": NOBODY})},
)
