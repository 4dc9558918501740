from kit.grants import Grants

GRANTS = Grants(
    tables={
        ("posts", "authenticated"): {
            "SELECT",
            "INSERT(content)",
            "INSERT(published)",
            "INSERT(title)",
        },
    },
)
