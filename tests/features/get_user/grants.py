from kit.grants import NOBODY, SERVICE, USERS, Function, Grants

GRANTS = Grants(
    functions={
        "me": Function(USERS),
        "account": Function(SERVICE, {"user_id": NOBODY}),
        "profile": Function(USERS, {"user_id": NOBODY}),
    },
)
