from kit.grants import NOBODY, SERVICE, USERS, Function, Grants

OF = {"export_id": NOBODY}

GRANTS = Grants(
    functions={
        "request_own_export": Function(USERS, OF),
        "own_export": Function(USERS, OF),
        "own_export_chunk": Function(USERS, {**OF, "number": 0}),
        "request_export": Function(SERVICE, {**OF, "of_user": NOBODY}),
        "export_of_user": Function(SERVICE, OF),
        "export_chunk": Function(SERVICE, {**OF, "number": 0}),
        "collect_export": Function(SERVICE, OF),
        "export_part": Function(SERVICE, {**OF, "number": 1}),
        "put_export_chunk": Function(SERVICE, {**OF, "number": 0, "content": ""}),
        "finish_export": Function(SERVICE, {**OF, "chunks": 0, "bytes": 0}),
    },
)
