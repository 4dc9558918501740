from kit.grants import SERVICE, Function, Grants

GRANTS = Grants(
    functions={"delete_old_notes": Function(SERVICE, {"days": 100_000, "batch": 0})},
)
