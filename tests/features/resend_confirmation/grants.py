from kit.grants import SERVICE, Function, Grants

GRANTS = Grants(
    functions={"resend_confirmation": Function(SERVICE, {"email": "nobody@example.com"})},
)
