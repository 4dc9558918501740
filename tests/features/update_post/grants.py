from kit.grants import Grants

GRANTS = Grants(
    tables={
        ("posts", "authenticated"): {
            "SELECT",
            "UPDATE(content)",
            "UPDATE(published)",
            "UPDATE(title)",
        },
    },
)
