from kit.grants import NOBODY, SERVICE, Function, Grants

RENEWAL = {"session_id": NOBODY, "token_hash": NOBODY, "expires_at": 0}

GRANTS = Grants(
    functions={
        "renew_session": Function(SERVICE, RENEWAL),
        "end_session_of_token": Function(SERVICE, {"token_hash": NOBODY}),
        # The version before this one calls it: while a new one is rolled out both run.
        "session_started": Function(SERVICE, {"session_id": NOBODY}),
    },
)
