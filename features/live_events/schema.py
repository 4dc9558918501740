from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Following(BaseModel):
    """What to follow; no other parameter is taken, and a token least of all."""

    model_config = ConfigDict(extra="forbid")

    topics: list[Annotated[str, Field(pattern=r"^[\w:.-]{1,200}$")]] = Field(
        min_length=1, max_length=32, description="topics, each as a parameter", examples=[["posts"]]
    )
