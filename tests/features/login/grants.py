from kit.grants import SERVICE, Function, Grants

GRANTS = Grants(functions={"complete_sign_up": Function(SERVICE, {"email": "nobody@example.com"})})
