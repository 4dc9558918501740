from typing import Annotated

from pydantic import Field

from kernel.web import Body, Text


class NewNote(Body):
    """The new content of a note."""

    label: Annotated[Text, Field(max_length=2_000)]
