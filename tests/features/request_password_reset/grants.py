from kit.grants import SERVICE, Function, Grants

GRANTS = Grants(
    functions={"request_password_reset": Function(SERVICE, {"email": "nobody@example.com"})},
)
