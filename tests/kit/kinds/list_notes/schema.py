from pydantic import BaseModel, Field


class Paging(BaseModel):
    """The page; a page past the end is empty."""

    page: int = Field(default=1, ge=1, le=1_000_000_000, description="counts from 1")
    page_size: int = Field(default=20, ge=1, le=100, description="notes on a page")
