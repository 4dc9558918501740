from kit.grants import NOBODY, SERVICE, Function, Grants

GRANTS = Grants(
    functions={"login_notice": Function(SERVICE, {"notice": NOBODY})},
)
