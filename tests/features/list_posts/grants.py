from kit.grants import EVERYONE, Function, Grants

GRANTS = Grants(
    tables={("posts", "anon"): {"SELECT"}, ("posts", "authenticated"): {"SELECT"}},
    functions={
        "list_posts": Function(EVERYONE, {"page": 1, "page_size": 1, "published_only": True}),
        # Called by list_posts, as the caller: the published posts and the own drafts.
        "total_of_posts": Function(EVERYONE, {"published_only": True}),
    },
)
