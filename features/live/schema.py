from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Topics = Annotated[list[Annotated[str, Field(max_length=200)]], Field(min_length=1, max_length=32)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Token(_Message):
    """An access token: the first one, or a newer one of the same user."""

    type: Literal["token"]
    token: Annotated[str, Field(max_length=4096, repr=False)]


class Subscribe(_Message):
    """Topics to follow; `since` is the `at` of the last message that the client has seen."""

    type: Literal["subscribe"]
    topics: Topics
    since: Annotated[str, Field(max_length=100)] | None = None


class Unsubscribe(_Message):
    """Topics to follow no longer."""

    type: Literal["unsubscribe"]
    topics: Topics


MESSAGE = TypeAdapter[Token | Subscribe | Unsubscribe](
    Annotated[Token | Subscribe | Unsubscribe, Field(discriminator="type")]
)
"""A message of the client."""
