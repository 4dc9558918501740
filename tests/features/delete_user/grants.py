from kit.grants import SERVICE, Function, Grants

GRANTS = Grants(
    functions={
        "last_event": Function(SERVICE),
        "events_after": Function(SERVICE, {"event_id": 0}),
    },
)
