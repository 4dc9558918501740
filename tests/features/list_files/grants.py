from kit.grants import USERS, Function, Grants

_FIRST = {"from_time": None, "from_id": None, "backward": False, "page_size": 1}
GRANTS = Grants(
    tables={("files", "authenticated"): {"SELECT"}},
    functions={"list_files": Function(USERS, _FIRST)},
)
