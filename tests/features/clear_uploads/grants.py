from kit.grants import SERVICE, Function, Grants

GRANTS = Grants(
    functions={
        "clear_pending_files": Function(SERVICE, {"batch": 0}),
        "unused_objects": Function(SERVICE, {"after": "", "batch": 1}),
    },
)
