"""`./app new` renames by syntax: what looks like the word and is something else stays."""

import pytest

from cli.renaming import Renaming, defined_in

WORDS = {"create_post": "save_bookmark", "post": "bookmark", "posts": "bookmarks"}


def renamed(source, words=WORDS):
    return Renaming(words, defined_in([source])).code(source)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("post = 1", "bookmark = 1"),
        ("class NewPost: pass", "class NewBookmark: pass"),
        ("POST_MAX = 3", "BOOKMARK_MAX = 3"),
        ("def _read_post(): ...", "def _read_bookmark(): ..."),
        ("postage = poster = 1", "postage = poster = 1"),
        ('router.post("/posts")', 'router.post("/bookmarks")'),
        ("def create_post(): ...", "def save_bookmark(): ..."),
        ('await author.post("/posts", json={})', 'await author.post("/bookmarks", json={})'),
        ('client.request("POST", "/posts")', 'client.request("POST", "/bookmarks")'),
        ('getattr(client, "post")', 'getattr(client, "post")'),
        ("handler.post_id\nother.posts", "handler.post_id\nother.posts"),
        ("class A:\n    post_id: int\nA.post_id", "class A:\n    bookmark_id: int\nA.bookmark_id"),
        ("send(post=1)", "send(post=1)"),
        ("def send(post): ...\nsend(post=1)", "def send(bookmark): ...\nsend(bookmark=1)"),
        ("a, post = 1, 2", "a, bookmark = 1, 2"),
        ("from http import post\npost()", "from http import post\npost()"),
        ("from ..shared.posts import Post", "from ..shared.bookmarks import Bookmark"),
        ("from features.x.posts import a", "from features.x.bookmarks import a"),
        ("import posts.client\nposts.client()", "import posts.client\nposts.client()"),
        ('key = "post:{post_id}"', 'key = "bookmark:{bookmark_id}"'),
        ('code = "POST_NOT_FOUND"', 'code = "BOOKMARK_NOT_FOUND"'),
        ('f"/posts/{post.id}?a={len(posts)}"', 'f"/bookmarks/{bookmark.id}?a={len(bookmarks)}"'),
        ('f"{client.post(url)} {{post}}"', 'f"{client.post(url)} {{bookmark}}"'),
        ('"""Posts of a post, by POST."""', '"""Bookmarks of a bookmark, by POST."""'),
        ("# the posts of a blog\nx = 1", "# the bookmarks of a blog\nx = 1"),
        ('"select 1 from public.posts"', '"select 1 from public.bookmarks"'),
        ('"POST"', '"POST"'),
        ('db.table("posts")', 'db.table("bookmarks")'),
    ],
)  # fmt: skip
def test_only_what_means_the_word_is_renamed(before, after):
    assert renamed(before) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"/posts/{post_id}"', '"/price-alerts/{price_alert_id}"'),
        ('"/rest/v1/posts"', '"/rest/v1/price_alerts"'),
        ('db.table("posts")', 'db.table("price_alerts")'),
        ("class Post: pass", "class PriceAlert: pass"),
        ('"Write a post."', '"Write a price alert."'),
        ('"Posts end."', '"Price alerts end."'),
        ("x = 1  # Post, by class", "x = 1  # Price alert, by class"),
    ],
)
def test_a_name_of_two_words_is_written_as_its_place_asks(before, after):
    assert renamed(before, {"post": "price_alert", "posts": "price_alerts"}) == after


def test_the_article_follows_the_word():
    words = {"post": "order", "posts": "orders"}
    assert renamed('"""Delete a post of a user."""', words) == '"""Delete an order of a user."""'


def test_a_text_over_several_lines_keeps_its_lines():
    before = 'x = """one\npost\n"""; post = 1\n'
    assert renamed(before) == 'x = """one\nbookmark\n"""; bookmark = 1\n'
