from kit.grants import NOBODY, SERVICE, Function, Grants

_RESULT = {"file_id": NOBODY, "sha256": None, "reason": None}
GRANTS = Grants(
    tables={("files", "service_role"): {"SELECT"}},
    functions={"finish_file_check": Function(SERVICE, _RESULT)},
)
