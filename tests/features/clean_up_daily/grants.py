from kit.grants import SERVICE, Function, Grants

GRANTS = Grants(
    functions={
        "retention_rules": Function(SERVICE),
        "apply_retention": Function(SERVICE, {"rule": "events", "batch": 0, "dry_run": True}),
        "forget_deleted_users": Function(SERVICE, {"batch": 0, "dry_run": True}),
        "kept_totals": Function(SERVICE),
        "repair_total": Function(SERVICE, {"list": "drafts", "dry_run": True}),
    },
)
