from typing import Annotated

from pydantic import Field

from kernel.web import Body, Text


class NewNote(Body):
    """The content of a new note; its owner is the caller."""

    label: Annotated[Text, Field(max_length=2_000)]
