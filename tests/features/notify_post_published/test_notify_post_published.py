"""The mail that tells an author that a post is published, as it arrives in an inbox."""

import email
from email import policy

import pytest

from kernel.supabase.http import bearer

JOB = "notify_post_published.notify_author"
POST = {"title": "A title", "content": "Some content.", "published": True}


@pytest.fixture
def notices(jobs):
    """Returns the mails about posts, once no other can follow: `await notices(author, post_id)`."""

    async def notices(author, *post_ids):
        mails = await jobs.all_mail_to(author.email, author.id, *post_ids)
        return [mail for mail in mails if mail.subject.startswith("Your post is published")]

    return notices


@pytest.fixture(autouse=True)
async def proven(author, prove):
    await prove(author.id)


@pytest.fixture
def write(author, new_post):
    """Writes a post as its author and returns its id: `await write(published=True)`."""

    async def write(**fields):
        return str((await new_post(author, **POST | fields)).id)

    return write


@pytest.fixture
def change(supabase, author):
    """Changes a post as its author, past the API: `await change(post_id, published=True)`."""

    async def change(post_id, **fields):
        answer = await supabase.patch(
            f"/rest/v1/posts?id=eq.{post_id}",
            json=fields,
            headers={"Authorization": f"Bearer {author.token}"},
        )
        answer.raise_for_status()

    return change


async def test_a_post_that_is_published_at_once_is_one_mail_to_its_author(
    jobs, notices, write, author
):
    post_id = await write(title="On engines")
    (mail,) = await notices(author, post_id)
    assert mail.subject == "Your post is published: On engines"
    assert mail.text.startswith(f'Hello {author.display_name},\n\nyour post "On engines" is')
    link = f"http://127.0.0.1:3000/posts/{post_id}"
    assert link in mail.text
    assert f'<a href="{link}">' in mail.html
    assert [run["state"] for run in await jobs.runs(post_id, JOB)] == ["succeeded"]


async def test_an_author_gets_the_mail_in_their_own_language(jobs, author, write, database):
    await database.execute(
        "update auth.users set raw_user_meta_data = raw_user_meta_data || $2 where id = $1",
        author.id,
        '{"locale": "de_AT"}',
    )
    post_id = await write(title="Über Maschinen")
    mails = await jobs.all_mail_to(author.email, author.id, post_id)
    (mail,) = [mail for mail in mails if mail.subject.startswith("Ihr Beitrag")]
    assert mail.subject == "Ihr Beitrag ist veröffentlicht: Über Maschinen"
    assert mail.text.startswith(f"Guten Tag {author.display_name},")
    assert '<html lang="de">' in mail.html
    assert "„Über Maschinen“" in mail.html


async def test_an_author_can_ask_for_no_more_of_these_mails(notices, write, author):
    post_id = await write()
    (mail,) = await notices(author, post_id)
    message = email.message_from_bytes(mail.raw, policy=policy.default)
    assert message["List-Unsubscribe"].startswith("<mailto:unsubscribe@example.com?subject=")
    assert "notify_post_published%2Fpublished" in message["List-Unsubscribe"]


async def test_a_draft_is_no_mail_until_it_is_published(notices, write, change, author):
    post_id = await write(published=False)
    await change(post_id, title="Still a draft")
    assert await notices(author, post_id) == []
    await change(post_id, published=True)
    (mail,) = await notices(author, post_id)
    assert mail.subject == "Your post is published: Still a draft"


async def test_a_post_that_is_published_again_is_no_second_mail(
    jobs, notices, write, change, author
):
    post_id = await write()
    for published in (False, True, False, True):
        await change(post_id, published=published)
    await change(post_id, title="Another title")
    assert len(await notices(author, post_id)) == 1
    assert len(await jobs.runs(post_id, JOB)) == 1


async def test_a_post_that_sql_alone_edits_and_publishes_is_one_mail(
    notices, author, draft, database
):
    await database.execute(
        "update public.posts set title = 'From Studio', published = true where id = $1", draft.id
    )
    (mail,) = await notices(author, draft.id)
    assert mail.subject == "Your post is published: From Studio"


async def test_two_posts_that_one_statement_publishes_are_two_mails(notices, author, database):
    rows = await database.fetch(
        """insert into public.posts (title, content, published, author_id)
           values ('First', '', true, $1), ('Second', '', true, $1), ('Third', '', false, $1)
           returning id""",
        author.id,
    )
    mails = await notices(author, *(row["id"] for row in rows[:2]))
    assert sorted(mail.subject.rpartition(" ")[2] for mail in mails) == ["First", "Second"]


async def test_a_title_is_no_markup(notices, write, author):
    post_id = await write(title="<img src=x> & “more”")
    (mail,) = await notices(author, post_id)
    assert mail.subject == "Your post is published: <img src=x> & “more”"
    assert "<img" not in mail.html
    assert "&lt;img src=x&gt; &amp; “more”" in mail.html


async def test_a_title_that_would_end_a_header_ends_none(notices, write, author):
    post_id = await write(title="Hi =?utf-8?q?x=0D=0ABcc:_eve=40example.com?= Buy this!")
    (mail,) = await notices(author, post_id)
    message = email.message_from_bytes(mail.raw, policy=policy.default)
    assert message["Bcc"] is None
    assert [one.address for one in mail.to + mail.cc + mail.bcc] == [author.email]
    assert "Buy this!" in mail.subject


async def test_s9_past_the_api_a_title_has_no_line_break(write, supabase, author):
    post_id = await write(published=False)
    for separator in ("\n", "\r", "\r\n", "\x85", "\u2028"):
        answer = await supabase.patch(
            f"/rest/v1/posts?id=eq.{post_id}",
            json={"title": f"Hi{separator}Bcc: eve@example.com"},
            headers={"Authorization": f"Bearer {author.token}"},
        )
        assert answer.status_code == 400
        assert answer.json()["code"] == "23514"


async def test_a_post_that_is_deleted_at_once_is_no_mail(jobs, notices, write, author, database):
    with jobs.held():
        post_id = await write()
        await database.execute("delete from public.posts where id = $1", post_id)
    assert await notices(author, post_id) == []
    assert [run["state"] for run in await jobs.runs(post_id, JOB)] == ["succeeded"]


async def test_an_author_who_is_deleted_at_once_gets_no_mail(
    jobs, notices, write, author, supabase, stack
):
    with jobs.held():
        post_id = await write()
        gone = await supabase.delete(
            f"/auth/v1/admin/users/{author.id}", headers=bearer(stack.gateway.service_key)
        )
        assert gone.status_code == 200
    assert await notices(author, post_id) == []
    assert [run["state"] for run in await jobs.runs(post_id, JOB)] == ["succeeded"]
