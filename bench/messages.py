"""The HTTP/1.1 messages of the load, written once and sent many times."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count, cycle

CONTENT = 1000
"""The length of a post's content, in bytes."""
POST, ADDRESS = "{post}", "{address}"
"""The variable parts of a message: the id of the next post, and a new address."""


def message(
    path: str, headers: Mapping[str, str] | None = None, *, method: str = "GET", body: str = ""
) -> str:
    """Return a whole request; a body is JSON."""
    all_headers = {"Host": "127.0.0.1", "Accept": "application/json", **(headers or {})}
    if body:
        all_headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {one}" for name, one in all_headers.items())]
    return "\r\n".join(lines) + "\r\n\r\n" + body


def post_id(number: int) -> str:
    """Return the id of the post with this number."""
    return f"00000000-0000-4000-8000-{number:012x}"


class Messages:
    """A cycle of messages; it ends when a message needs a post and none is left.

    `next_post` is the number of the next unused post.
    """

    def __init__(self, templates: Sequence[str], posts: range, first_address: int = 0) -> None:
        self.next_post = posts.start
        self._posts = posts
        self._addresses = count(first_address)
        self._templates = cycle(
            [(one, one.encode(), POST in one, ADDRESS in one) for one in templates]
        )

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        template, encoded, wants_post, wants_address = next(self._templates)
        if not (wants_post or wants_address):
            return encoded
        if wants_post:
            if self.next_post not in self._posts:
                raise StopIteration
            template = template.replace(POST, post_id(self.next_post))
            self.next_post += 1
        if wants_address:
            template = template.replace(ADDRESS, _address(next(self._addresses)))
        return template.encode()


def _address(number: int) -> str:
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
