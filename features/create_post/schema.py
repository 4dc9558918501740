from typing import Annotated

from pydantic import Field, StrictBool

from kernel.web import Body, Line, Text


class NewPost(Body):
    """The content of a new post; the author is the caller."""

    title: Annotated[
        Line, Field(min_length=3, max_length=200, examples=["Notes on the Analytical Engine"])
    ]
    content: Annotated[Text, Field(max_length=100_000, examples=["It weaves algebraic patterns."])]
    published: StrictBool = Field(default=False, description="false keeps it a draft")
