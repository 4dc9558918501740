from kit.grants import NOBODY, SERVICE, Function, Grants

GRANTS = Grants(
    functions={
        "receive_delivery": Function(SERVICE, {"message_id": NOBODY, "content": None}),
    },
)
