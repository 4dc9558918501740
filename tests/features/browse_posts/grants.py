from kit.grants import EVERYONE, Function, Grants

_FIRST = {"from_time": None, "from_id": None, "backward": False, "page_size": 1}
GRANTS = Grants(
    tables={("posts", "anon"): {"SELECT"}, ("posts", "authenticated"): {"SELECT"}},
    functions={"browse_posts": Function(EVERYONE, _FIRST)},
)
