"""With e-mail confirmation on, the response does not reveal who has an account."""

from kit.people import PASSWORD, new_email


async def test_a_new_and_a_taken_address_have_the_same_answer(confirming, author):
    answers = [
        await confirming.post("/auth/signup", json={"email": email, "password": PASSWORD})
        for email in (new_email(), author.email)
    ]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    assert set(answers[0].json()["data"]) == {"message"}


async def test_signing_up_again_at_once_has_the_same_answer_too(confirming):
    body = {"email": new_email(), "password": PASSWORD}
    answers = [await confirming.post("/auth/signup", json=body) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
