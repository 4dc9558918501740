from typing import Literal

from pydantic import Field

from kernel.web import Body


class Ending(Body):
    """The sessions to end."""

    scope: Literal["local", "others", "global"] = Field(
        default="local",
        description="this session, all other sessions of the user, or all sessions of the user",
    )
