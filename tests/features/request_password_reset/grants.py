from kit.grants import NOBODY, SERVICE, Function, Grants

GRANTS = Grants(
    functions={
        "request_password_reset": Function(SERVICE, {"email": "nobody@example.com"}),
        "open_password_reset": Function(SERVICE, {"reset_id": NOBODY}),
    },
)
