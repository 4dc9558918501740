from kit.grants import Grants

GRANTS = Grants(
    tables={
        ("settings", "authenticated"): {
            "SELECT",
            "UPDATE(announcement)",
            "UPDATE(signups_open)",
            "UPDATE(site_name)",
        },
    },
)
