from kit.grants import NOBODY, SERVICE, USERS, Function, Grants

GRANTS = Grants(
    tables={("profiles", "authenticated"): {"SELECT", "UPDATE(display_name)"}},
    functions={
        "me": Function(USERS),
        "request_email_change": Function(
            SERVICE, {"user_id": NOBODY, "email": "nobody@example.com"}
        ),
        "email_change_from": Function(SERVICE, {"request": NOBODY}),
    },
)
