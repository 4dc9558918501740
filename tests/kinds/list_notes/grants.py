from kit.grants import USERS, Function, Grants

GRANTS = Grants(
    tables={("notes", "authenticated"): {"SELECT"}},
    functions={"list_notes": Function(USERS, {"page": 1, "page_size": 1})},
)
