from kit.grants import Grants

GRANTS = Grants(
    tables={
        ("dead_letter_replays", "authenticated"): {"SELECT", "INSERT(dead_letter_id)"},
    },
)
