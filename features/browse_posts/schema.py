from pydantic import Field

from features.shared.posts import Post


class FeedPost(Post):
    """A post of the feed: of a long content its first 2,000 characters."""

    content_truncated: bool = Field(
        default=False,
        exclude_if=lambda truncated: not truncated,
        description="true where the post goes on: read it alone",
    )
