from kit.grants import NOBODY, SERVICE, Function, Grants

GRANTS = Grants(
    # The previous version calls it: during a rollout both versions run.
    functions={"session_started": Function(SERVICE, {"session_id": NOBODY})},
)
