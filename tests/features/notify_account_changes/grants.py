from kit.grants import NOBODY, SERVICE, Function, Grants

GRANTS = Grants(
    functions={
        "issue_notice": Function(SERVICE, {"notice": NOBODY, "token": NOBODY, "hash": ""}),
    },
)
