from kit.grants import SERVICE, Function, Grants

GRANTS = Grants(
    tables={("settings", "anon"): {"SELECT"}},
    functions={
        "address_confirmed": Function(SERVICE, {"email": "nobody@example.com"}),
        "request_confirmation": Function(SERVICE, {"email": "nobody@example.com", "created": True}),
    },
)
