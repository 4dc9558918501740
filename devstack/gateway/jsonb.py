"""jsonb on connections of the gateway."""

from typing import Any

import orjson


async def speak_json(connection: Any) -> None:
    """Have a connection take and return jsonb as Python's values."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: orjson.dumps(value).decode(),
        decoder=orjson.loads,
    )
