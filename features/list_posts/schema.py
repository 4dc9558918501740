from pydantic import BaseModel, Field

PAGE_MAX = 1_000_000_000


class Paging(BaseModel):
    """The page; a page past the end is empty."""

    page: int = Field(default=1, ge=1, le=PAGE_MAX, description="counts from 1")
    page_size: int = Field(default=20, ge=1, le=100, description="posts on a page")
    published_only: bool = Field(
        default=True, description="false adds the caller's own drafts and needs a token"
    )
