from kit.grants import SERVICE, USERS, Function, Grants

PAGE = {"page": 1, "page_size": 1, "state": "waiting"}
GRANTS = Grants(functions={"list_dead_letters": Function(USERS | SERVICE, PAGE)})
