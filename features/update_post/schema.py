from typing import Annotated

from pydantic import Field, StrictBool

from kernel.web import Body, Line, Text


class Revision(Body):
    """The complete new content of the post."""

    title: Annotated[
        Line, Field(min_length=3, max_length=200, examples=["Notes on the Analytical Engine"])
    ]
    content: Annotated[Text, Field(max_length=100_000, examples=["It weaves algebraic patterns."])]
    published: StrictBool = Field(description="false makes it a draft again")
