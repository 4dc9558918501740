from typing import Literal

from pydantic import Field

from kernel.web import Body


class Ending(Body):
    """Which sessions end."""

    scope: Literal["local", "others", "global"] = Field(
        default="local",
        description="the own session, all of the user's but this, or all of the user's",
    )
