"""Abuse as a mail cannon: an account on another person's address, if Auth confirms immediately."""

WORDS = "Buy cheap pills"


async def test_s9_a_bystander_gets_ten_mails_an_hour_and_none_of_the_attackers_words(
    jobs, new_person, new_post, supabase
):
    attacker = await new_person()  # on the address of a person who did not sign up
    headers = {"Authorization": f"Bearer {attacker.token}"}
    name = f"/rest/v1/profiles?id=eq.{attacker.id}"
    named = await supabase.patch(name, json={"display_name": WORDS}, headers=headers)
    named.raise_for_status()
    posts = [str((await new_post(attacker, title=WORDS)).id) for _ in range(95)]
    mails = await jobs.all_mail_to(attacker.email, attacker.id, *posts)
    notices = [mail for mail in mails if mail.subject == "Your post is published"]
    assert len(notices) == 10
    assert not any(WORDS in mail.subject + mail.text + mail.html for mail in mails)
