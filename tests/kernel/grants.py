"""Database privileges of the platform itself."""

from kit.grants import EVERYONE, NOBODY, SERVICE, USERS, Function, Grants

_RUN = {"run_id": NOBODY, "job": "a.job", "event_id": 0, "item": 0}
_CLAIM = {"batch": 0, "lease_seconds": 0, "with_drops": True, "with_jobs": True}
_END = {"run_id": NOBODY, "holder": "me", "state": "failed", "error": None, "duration_ms": 0}
_PAGE = {"page": 1, "page_size": 1}

GRANTS = Grants(
    functions={
        "alive": Function(EVERYONE),
        "service_alive": Function(SERVICE),
        "me": Function(USERS),
        "replayed_row": Function(USERS),
        "account": Function(SERVICE, {"user_id": NOBODY}),
        # PostgREST calls this before each request.
        "check_session": Function(EVERYONE),
        # For the relay.
        "claim_events": Function(SERVICE, _CLAIM),
        "settle_events": Function(SERVICE, {"claim": NOBODY, "results": [], "runs": []}),
        "lost_runs": Function(SERVICE, {"untouched_seconds": 1, "batch": 0}),
        "claim_expired_runs": Function(SERVICE, {"batch": 0, "lease_seconds": 0}),
        "settle_expired_runs": Function(SERVICE, {"ids": []}),
        "keep_unreadable": Function(SERVICE, {"letters": []}),
        "due_replays": Function(SERVICE, {"batch": 0}),
        "event_topics": Function(SERVICE),
        # For beat.
        "put_slot": Function(SERVICE, {"job": "a.job", "slot": "2000-01-01T00:00:00Z"}),
        # For workers.
        "begin_run": Function(
            SERVICE, _RUN | {"holder": "me", "lease_seconds": 0, "max_attempts": 0}
        ),
        "begin_runs": Function(SERVICE, {"runs": [], "lease_seconds": 0}),
        "finish_runs": Function(SERVICE, {"runs": []}),
        "extend_run": Function(SERVICE, {"run_id": NOBODY, "holder": "me", "lease_seconds": 0}),
        "finish_run": Function(SERVICE, _END),
        "replay_later": Function(SERVICE, {"run_id": NOBODY}),
        "release_runs": Function(SERVICE, {"holder_prefix": "me", "counts": False}),
        "close_run": Function(SERVICE, _RUN | {"state": "failed", "error": None}),
        # For sessions and the audit log.
        "revoked_sessions": Function(SERVICE),
        "user_id_of": Function(SERVICE, {"email": "nobody@example.com"}),
        "record_audit": Function(SERVICE, {"action": "login"}),
        "renew_session": Function(
            SERVICE, {"session_id": NOBODY, "token_hash": NOBODY, "expires_at": 0}
        ),
        "end_session_of_token": Function(SERVICE, {"token_hash": NOBODY}),
        "note_login": Function(
            SERVICE, {"user_id": NOBODY, "device": "", "network": None, "address": None}
        ),
        "record_denial": Function(SERVICE, {"user_id": NOBODY, "slice": "nothing"}),
        "credentials_of": Function(SERVICE, {"user_id": NOBODY}),
        # For mails and their tokens.
        "admit_mails": Function(SERVICE, {"mails": []}),
        "admit_mail": Function(
            SERVICE, {"mail": NOBODY, "recipient": "x@example.com", "kind": "", "security": True}
        ),
        "issue_mailed_token": Function(SERVICE, {"request": NOBODY, "token": NOBODY, "hash": ""}),
        "take_mailed_token": Function(SERVICE, {"token": NOBODY, "hash": "", "purpose": "signup"}),
        "settle_mailed_token": Function(SERVICE, {"token": NOBODY, "used": False}),
        # For ./app dead-letters and ./app jobs.
        "list_dead_letters": Function(USERS | SERVICE, _PAGE | {"state": "waiting"}),
        "dead_letter": Function(SERVICE, {"letter": NOBODY}),
        "replay_dead_letter": Function(SERVICE, {"letter": NOBODY}),
        "discard_dead_letter": Function(SERVICE, {"letter": NOBODY}),
        "list_runs": Function(USERS | SERVICE, _PAGE),
        "shown_run": Function(SERVICE, {"run_id": NOBODY}),
        # For metrics.
        "operations": Function(SERVICE),
    },
)
