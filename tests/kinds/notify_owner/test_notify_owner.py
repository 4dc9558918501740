"""The mail about a new note, in an inbox: a real relay and worker run the job."""

NOTE = {"label": "A note"}
JOB = "notify_owner.notify_owner"
SUBJECT = "Your note is stored"


async def test_a_new_note_is_one_mail_to_its_owner(jobs, author, new_row, database):
    note = await new_row("notes", owner_id=author.id, **NOTE)
    await database.execute("update public.notes set updated_at = now() where id = $1", note["id"])
    mails = await jobs.all_mail_to(author.email, note["id"])
    (mail,) = [mail for mail in mails if mail.subject == SUBJECT]
    assert f"/notes/{note['id']}" in mail.text
    assert [run["state"] for run in await jobs.runs(note["id"], JOB)] == ["succeeded"]


async def test_a_note_that_is_deleted_at_once_is_no_mail(jobs, author, new_row, database):
    with jobs.held():
        note = await new_row("notes", owner_id=author.id, **NOTE)
        await database.execute("delete from public.notes where id = $1", note["id"])
    mails = await jobs.all_mail_to(author.email, note["id"])
    assert SUBJECT not in [mail.subject for mail in mails]
    assert [run["state"] for run in await jobs.runs(note["id"], JOB)] == ["succeeded"]
