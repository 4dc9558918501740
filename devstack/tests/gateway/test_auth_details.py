"""O22: details of Auth that users of the gateway meet, as in its source of 2026-08."""

from uuid import uuid4

from devstack.tests.gateway.auth_kit import PASSWORD, gateway


def bearer(session):
    return {"Authorization": f"Bearer {session['access_token']}"}


def service(running):
    key = running.config.service_key
    return {"apikey": key, "Authorization": f"Bearer {key}"}


async def test_o22_a_banned_user_with_a_token_is_refused(auth):
    session = await auth.sign_up()
    url = f"/admin/users/{session['user']['id']}"
    await auth.http.put(url, json={"ban_duration": "1h"}, headers=service(auth))
    answers = [
        await auth.http.get("/user", headers=bearer(session)),
        await auth.http.put("/user", json={"data": {"a": 1}}, headers=bearer(session)),
        await auth.http.post("/logout?scope=local", headers=bearer(session)),
    ]
    assert [(one.status_code, one.json()["code"]) for one in answers] == [(403, "user_banned")] * 3
    await auth.http.put(url, json={"ban_duration": "none"}, headers=service(auth))
    ended = await auth.http.post("/logout?scope=local", headers=bearer(session))
    assert ended.status_code == 204


async def test_o22_the_settings_are_whole(auth):
    settings = (await auth.http.get("/settings")).json()
    assert settings["external"]["email"] is True
    assert not any(on for name, on in settings["external"].items() if name != "email")
    assert {"disable_signup", "mailer_autoconfirm", "phone_autoconfirm"} <= settings.keys()
    assert {"sms_provider", "saml_enabled", "passkeys_enabled"} <= settings.keys()


async def test_o22_a_local_part_may_be_long(auth):
    address = f"{'a' * 100}-{uuid4().hex}@example.com"
    assert (await auth.sign_up(email=address))["user"]["email"] == address


async def test_o22_a_generated_link_gives_the_metadata_of_its_body(auth):
    known = {"email": f"{uuid4().hex}@example.com", "password": PASSWORD}
    body = {"type": "signup", **known, "data": {"display_name": "Ada"}}
    made = await auth.http.post("/admin/generate_link", json=body, headers=service(auth))
    shown = made.json()
    assert shown["user_metadata"] == {"display_name": "Ada"}
    (identity,) = shown["identities"]
    assert "display_name" not in identity["identity_data"]


async def test_o22_a_change_of_address_is_confirmed_at_both_and_then_keeps_the_interval(
    postgres_url,
):
    async with gateway(postgres_url, autoconfirm=False, mail_interval=60) as auth:
        body = {"email": f"{uuid4().hex}@example.com", "password": PASSWORD}
        await auth.http.post("/signup", json=body)
        assert auth.inbox.mails[-1]["Subject"] == "Confirm your email address"
        verified = await auth.http.post(
            "/verify", json={"type": "signup", "token_hash": auth.inbox.last_hash}
        )
        session = verified.json()
        wanted = f"{uuid4().hex}@example.com"
        await auth.http.put("/user", json={"email": wanted}, headers=bearer(session))
        subjects = [mail["Subject"] for mail in auth.inbox.mails[-2:]]
        assert subjects == ["Confirm your new email address"] * 2
        new = auth.inbox.last_hash
        old_mail = auth.inbox.mails.pop(-2)
        half = await auth.http.post("/verify", json={"type": "email_change", "token_hash": new})
        assert half.json()["msg"].startswith("Confirmation link accepted.")
        row = await auth.database.fetchrow("select * from auth.users")
        assert row is not None
        assert row["email_change_token_new"] == ""
        assert row["email_change_token_current"] != ""
        again = await auth.http.post("/verify", json={"type": "email_change", "token_hash": new})
        assert again.json()["code"] == "otp_expired"
        auth.inbox.mails.append(old_mail)
        done = await auth.http.post(
            "/verify", json={"type": "email_change", "token_hash": auth.inbox.last_hash}
        )
        assert done.json()["user"]["email"] == wanted
        more = await auth.http.put(
            "/user",
            json={"email": f"{uuid4().hex}@example.com"},
            headers=bearer(done.json()),
        )
        assert (more.status_code, more.json()["code"]) == (429, "over_email_send_rate_limit")
