"""What this template's migrations grant for its own slices; migrations outlive slices.

The database keeps the privileges of a removed slice, and no slice states them any more. So these
may remain, but nothing else. A new slice states its own privileges and never edits this file. If
one of your migrations revokes or drops some of these, delete them here.
"""

from kit.grants import EVERYONE, NOBODY, SERVICE, USERS, Function, Grants

SLICES = frozenset({
    "change_password", "clean_up_daily", "confirm_email", "create_post", "delete_post",
    "delete_user", "end_session", "export_user_data", "get_me", "get_post", "get_settings",
    "get_user", "health", "list_dead_letters", "list_posts", "list_runs", "list_sessions", "login",
    "logout", "notify_account_changes", "notify_new_logins", "notify_post_published", "refresh",
    "replay_dead_letter", "request_password_reset", "resend_confirmation", "reset_password",
    "signup", "undo_email_change", "update_post", "update_settings", "update_user",
})  # fmt: skip
_PAGE = {"page": 1, "page_size": 1}
_EXPORT = {"export_id": NOBODY}
GRANTS = Grants(
    tables={
        ("profiles", "authenticated"): {"SELECT", "UPDATE(display_name)"},
        ("posts", "anon"): {"SELECT"},
        ("posts", "authenticated"): {
            "SELECT",
            "INSERT(content)",
            "INSERT(published)",
            "INSERT(title)",
            "UPDATE(content)",
            "UPDATE(published)",
            "UPDATE(title)",
            "DELETE",
        },
        ("posts", "service_role"): {"SELECT"},
        ("settings", "anon"): {"SELECT"},
        ("settings", "authenticated"): {
            "SELECT",
            "UPDATE(announcement)",
            "UPDATE(signups_open)",
            "UPDATE(site_name)",
        },
        ("dead_letter_replays", "authenticated"): {"SELECT", "INSERT(dead_letter_id)"},
    },
    functions={
        "list_posts": Function(EVERYONE, {"page": 1, "page_size": 1, "published_only": True}),
        "list_dead_letters": Function(USERS | SERVICE, _PAGE | {"state": "waiting"}),
        "list_runs": Function(USERS | SERVICE, _PAGE),
        "last_event": Function(SERVICE),
        "events_after": Function(SERVICE, {"event_id": 0}),
        "session_started": Function(SERVICE, {"session_id": NOBODY}),
        "request_password_reset": Function(SERVICE, {"email": "nobody@example.com"}),
        "address_confirmed": Function(SERVICE, {"email": "nobody@example.com"}),
        "request_confirmation": Function(SERVICE, {"email": "nobody@example.com", "created": True}),
        "request_email_change": Function(
            SERVICE, {"user_id": NOBODY, "email": "nobody@example.com"}
        ),
        "email_change_from": Function(SERVICE, {"request": NOBODY}),
        "issue_notice": Function(SERVICE, {"notice": NOBODY, "token": NOBODY, "hash": ""}),
        "login_notice": Function(SERVICE, {"notice": NOBODY}),
        "complete_sign_up": Function(SERVICE, {"email": "nobody@example.com"}),
        "resend_confirmation": Function(SERVICE, {"email": "nobody@example.com"}),
        "own_sessions": Function(USERS, {"page": 1, "page_size": 1}),
        "end_own_session": Function(USERS, {"session_id": NOBODY}),
        "profile": Function(USERS, {"user_id": NOBODY}),
        "forget_deleted_users": Function(SERVICE, {"batch": 0, "dry_run": True}),
        "request_own_export": Function(USERS, _EXPORT),
        "own_export": Function(USERS, _EXPORT),
        "own_export_chunk": Function(USERS, _EXPORT | {"number": 0}),
        "request_export": Function(SERVICE, _EXPORT | {"of_user": NOBODY}),
        "export_of_user": Function(SERVICE, _EXPORT),
        "export_chunk": Function(SERVICE, _EXPORT | {"number": 0}),
        "collect_export": Function(SERVICE, _EXPORT),
        "export_part": Function(SERVICE, _EXPORT | {"number": 1}),
        "put_export_chunk": Function(SERVICE, _EXPORT | {"number": 0, "content": ""}),
        "finish_export": Function(SERVICE, _EXPORT | {"chunks": 0, "bytes": 0}),
        "retention_rules": Function(SERVICE),
        "apply_retention": Function(SERVICE, {"rule": "events", "batch": 0, "dry_run": True}),
    },
)
TOPICS = {
    "exports": {"export_requested"},
    "passwords": {"password_reset_requested"},
    "posts": {"post_changed", "post_published"},
    "settings": {"settings_changed"},
    "users": {
        "account_changed",
        "confirmation_requested",
        "email_change_requested",
        "new_login",
        "user_changed",
        "user_confirmed",
    },
}
"""Topics by the module of features/shared that defines their classes: they outlive the module."""
