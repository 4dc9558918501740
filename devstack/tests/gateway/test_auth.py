"""Auth's part of the gateway, against what a real Supabase Auth answered and on its own."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import asyncpg
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.applications import Starlette
from starlette.routing import Mount
from supabase_auth import AsyncGoTrueClient, AsyncMemoryStorage
from supabase_auth.errors import AuthApiError

from devstack.gateway.auth import AuthServer
from devstack.gateway.bootstrap import prepare
from devstack.gateway.config import GatewayConfig

RECORDING = json.loads(
    (Path(__file__).parent / "recordings" / "supabase_auth.json").read_text(encoding="utf-8")
)
EXCHANGES: list[dict[str, Any]] = RECORDING["exchanges"]
MODES = list(RECORDING["modes"])
BASE = "http://gateway.test/auth/v1"
VERSION = {"X-Supabase-Api-Version": "2024-01-01"}
PASSWORD = "correct horse 9"
PEM = (
    ec.generate_private_key(ec.SECP256R1())
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)


# A gateway of its own: a fresh database, an SMTP server that keeps what it gets.


@dataclass
class Inbox:
    """A tiny SMTP server; `mails` holds what it took, in order."""

    mails: list[Any] = field(default_factory=list)
    port: int = 0

    @asynccontextmanager
    async def serve(self) -> AsyncIterator["Inbox"]:
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 inbox\r\n")
        while line := await reader.readline():
            if line.upper().startswith(b"DATA"):
                writer.write(b"354 go on\r\n")
                raw = await reader.readuntil(b"\r\n.\r\n")
                self.mails.append(message_from_bytes(raw, policy=policy.default))
            writer.write(b"221 bye\r\n" if line.upper().startswith(b"QUIT") else b"250 ok\r\n")
        writer.close()
        await writer.wait_closed()

    @property
    def last_hash(self) -> str:
        return parse_qs(urlsplit(self.last_link).query)["token"][0]

    @property
    def last_link(self) -> str:
        return re.findall(r"http\S+/verify\S+", self.text)[0]

    @property
    def last_code(self) -> str:
        return re.findall(r"\b\d{6}\b", self.text)[0]

    @property
    def text(self) -> str:
        return self.mails[-1].get_body(("plain",)).get_content()


@dataclass
class Gateway:
    config: GatewayConfig
    http: httpx.AsyncClient
    database: asyncpg.Connection
    inbox: Inbox

    async def sign_up(self, **fields: Any) -> dict[str, Any]:
        body = {"email": f"{uuid4().hex}@example.com", "password": PASSWORD, **fields}
        answer = await self.http.post("/signup", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refresh(self, token: str) -> httpx.Response:
        url = "/token?grant_type=refresh_token"
        return await self.http.post(url, json={"refresh_token": token})

    async def age(self, seconds: float = 11) -> None:
        """Let time pass for refresh tokens."""
        await self.database.execute(
            "update auth.refresh_tokens set updated_at = updated_at - make_interval(secs => $1)",
            float(seconds),
        )


@asynccontextmanager
async def gateway(postgres_url: str, **settings: Any) -> AsyncIterator[Gateway]:
    name = f"auth_{uuid4().hex}"
    server = await asyncpg.connect(postgres_url)
    await server.execute(f"create database {name}")
    url = urlsplit(postgres_url)._replace(path=f"/{name}").geturl()
    try:
        database = await asyncpg.connect(url)
        await prepare(database)
        async with Inbox().serve() as inbox:
            config = GatewayConfig(
                database_url=url,
                public_url="http://127.0.0.1:54321",
                bcrypt_rounds=4,
                **{"smtp_port": inbox.port, **settings},
            )
            async with AuthServer(config) as api:
                app = Starlette(routes=[Mount("/auth/v1", app=api)])
                transport = httpx.ASGITransport(app=app, client=("203.0.113.7", 4711))
                headers = {"apikey": config.anon_key, **VERSION}
                async with httpx.AsyncClient(
                    transport=transport, base_url=BASE, headers=headers
                ) as http:
                    yield Gateway(config, http, database, inbox)
        await database.close()
    finally:
        await server.execute(f"drop database if exists {name} with (force)")
        await server.close()


@pytest.fixture(scope="module")
async def auth(postgres_url) -> AsyncIterator[Gateway]:
    async with gateway(postgres_url, mail_interval=0) as running:
        yield running


# The replay: one run of each mode in order, then one test for each exchange.

UUID_ = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
HASH = re.compile(r"\b[0-9a-f]{56}\b")
REFRESH_TOKEN = re.compile(r"[a-z2-7]{12}")
CLOCK = {"exp", "iat", "expires_at", "timestamp"}
OPAQUE = {"refresh_token": REFRESH_TOKEN, "email_otp": re.compile(r"\d{6}"), "hashed_token": HASH}
KEY_PARTS = {"x", "y"}
PAUSES = ("after the reuse interval", "after the family", "replay of the second family")


class Replay:
    """Sends a mode's exchanges in order; remembers what stands for the recorded ids and tokens."""

    def __init__(self, running: Gateway) -> None:
        self.gateway = running
        self.known: dict[str, str] = {}
        self.access_tokens = ["", ""]
        self.jwks: dict[str, Any] = {}

    async def run(self, exchange: dict[str, Any]) -> None:
        request, expected = exchange["request"], exchange["response"]
        name: str = exchange["name"]
        if any(pause in name for pause in PAUSES):
            await self.gateway.age()
        if "x-total-count" in expected["headers"]:
            await self._others(int(expected["headers"]["x-total-count"]))
        for token in HASH.findall(json.dumps(request)):
            self.known.setdefault(token, self.gateway.inbox.last_hash)
        answer = await self.gateway.http.request(
            request["method"],
            self._ours(request["path"]),
            headers=self._headers(name, request["headers"]),
            content=request.get("raw") or self._content(request["json"]),
        )
        if exchange.get("note", "").startswith("200: revoking a family touches"):
            assert answer.status_code == 400
            assert answer.json()["code"] == "refresh_token_already_used"
            return
        assert answer.status_code == expected["status"], answer.text
        for header, value in expected["headers"].items():
            self._same(value, answer.headers[header], header)
        body = expected["json"]
        self._same(body, answer.text if isinstance(body, str) else answer.json(), "")

    async def _others(self, total: int) -> None:
        """Add users until there are as many as there were on the recorded server."""
        await self.gateway.database.execute(
            """
            insert into auth.users (id, email, created_at)
            select gen_random_uuid(), 'other' || n || '@example.com', 'epoch'
            from generate_series(1, $1 - (select count(*)::int from auth.users)) n
            """,
            total,
        )

    def _ours(self, text: str) -> str:
        for recorded, ours in self.known.items():
            text = text.replace(recorded, ours)
        return text

    def _content(self, body: Any) -> str | None:
        return None if body is None else self._ours(json.dumps(body))

    def _headers(self, name: str, recorded: dict[str, str]) -> dict[str, str]:
        config = self.gateway.config
        headers = {"apikey": config.anon_key, "X-Supabase-Api-Version": "", **recorded}
        if "service_role" in headers.get("Authorization", ""):
            headers["Authorization"] = f"Bearer {config.service_key}"
        elif "Authorization" in headers:
            expired = jwt.encode({"sub": str(uuid4()), "exp": 1}, config.jwt_secret)
            special = {
                "GET /user garbage token": "garbage",
                "GET /user expired token": expired,
                "GET /user in the other session": self.access_tokens[-2],
            }
            token = special.get(name, self.access_tokens[-1])
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def _same(self, recorded: Any, ours: Any, key: str) -> None:
        """Assert that both have one shape; ids and tokens may differ, but always in one way."""
        where = f"{key}: {recorded!r} recorded, {ours!r} answered"
        if isinstance(recorded, dict) and "$jwt" in recorded:
            self._same_token(recorded["$jwt"], ours)
        elif isinstance(recorded, dict):
            assert isinstance(ours, dict), where
            assert set(recorded) == set(ours), where
            for name, value in recorded.items():
                self._same(value, ours[name], name)
        elif isinstance(recorded, list):
            assert isinstance(ours, list), where
            assert len(recorded) == len(ours), where
            for one, other in zip(recorded, ours, strict=True):
                self._same(one, other, key)
        elif key in CLOCK:
            assert type(ours) is int, where
            assert abs(ours) > 1_700_000_000, where
        elif isinstance(recorded, str) and isinstance(ours, str):
            self._same_text(recorded, ours, key)
        else:
            assert recorded == ours, where
            assert type(recorded) is type(ours), where

    def _same_text(self, recorded: str, ours: str, key: str) -> None:
        where = f"{key}: {recorded!r} recorded, {ours!r} answered"
        if key in KEY_PARTS:
            assert len(recorded) == len(ours), where
        elif TIME.fullmatch(recorded):
            assert TIME.fullmatch(ours), where
        elif (pattern := OPAQUE.get(key, UUID_)).fullmatch(recorded):
            assert pattern.fullmatch(ours), where
            assert self.known.setdefault(recorded, ours) == ours, where
        else:
            assert _plain(recorded) == _plain(ours), where

    def _same_token(self, recorded: dict[str, Any], token: str) -> None:
        self.access_tokens.append(token)
        config, header = self.gateway.config, jwt.get_unverified_header(token)
        key: Any = config.jwt_secret
        if config.signing_key:
            key = jwt.PyJWK(self.jwks["keys"][0])
        claims = jwt.decode(token, key, algorithms=[header["alg"]], audience="authenticated")
        self._same(recorded["header"], header, "header")
        self._same(recorded["claims"], claims, "claims")
        assert claims["exp"] - claims["iat"] == config.jwt_expiry


def _plain(text: str) -> str:
    """Take out of a text what is of one run only."""
    for pattern, name in (
        (r"eyJ[\w-]+\.[\w-]+\.[\w-]+", "<jwt>"),
        (HASH.pattern, "<hash>"),
        (r"refresh_token=[a-z2-7]{12}", "refresh_token=<token>"),
        (r"expires_at=\d+", "expires_at=<time>"),
        (r"after \d+ seconds", "after <n> seconds"),
        # The recorded server stood without the gateway that adds this path.
        (r"/auth/v1/verify", "/verify"),
        # Go's JSON parser says it in its own words.
        (r"(Could not parse request body as JSON: ).*", r"\1<reason>"),
    ):
        text = re.sub(pattern, name, text)
    return text


@pytest.fixture(scope="module")
async def outcomes(postgres_url) -> list[str]:
    """What went wrong with each exchange; "" where nothing did."""
    found = []
    settings: dict[str, dict[str, Any]] = {
        "autoconfirm": {},
        "es256": {"signing_key": PEM},
        "confirm": {"autoconfirm": False},
    }
    for mode in MODES:
        async with gateway(postgres_url, **settings[mode]) as running:
            replay = Replay(running)
            replay.jwks = (await running.http.get("/.well-known/jwks.json")).json()
            for exchange in EXCHANGES:
                if exchange["mode"] == mode:
                    try:
                        await replay.run(exchange)
                    except (AssertionError, KeyError) as error:
                        found.append(f"{type(error).__name__}: {error}")
                    else:
                        found.append("")
    return found


@pytest.mark.parametrize(
    "number", range(len(EXCHANGES)), ids=[f"{e['mode']}-{e['name']}" for e in EXCHANGES]
)
async def test_answers_as_recorded(outcomes, number):
    assert not outcomes[number], outcomes[number]


async def test_replays_every_exchange(outcomes, summary):
    good = outcomes.count("")
    summary(f"Supabase Auth: {good} of {len(EXCHANGES)} recorded exchanges replayed")
    assert good == len(EXCHANGES) == 140


# What the recording does not show.


def official(running: Gateway) -> Any:
    return AsyncGoTrueClient(
        url=BASE,
        headers={"apikey": running.config.anon_key},
        http_client=running.http,
        storage=AsyncMemoryStorage(),
        auto_refresh_token=False,
        persist_session=False,
    )


async def test_the_official_client_signs_up_in_renews_changes_and_leaves(auth):
    client = official(auth)
    email = f"{uuid4().hex}@example.com"
    credentials = {"email": email, "password": PASSWORD}
    signed_up = await client.sign_up({**credentials, "options": {"data": {"name": "Ada"}}})
    assert signed_up.user.user_metadata["name"] == "Ada"

    signed_in = await client.sign_in_with_password(credentials)
    renewed = await client.refresh_session(signed_in.session.refresh_token)
    assert renewed.session.refresh_token != signed_in.session.refresh_token
    assert (await client.get_user(renewed.session.access_token)).user.email == email

    changed = await client.update_user({"password": "another good 1"})
    assert changed.user.id == signed_up.user.id
    with pytest.raises(AuthApiError) as refusal:
        await client.refresh_session(signed_up.session.refresh_token)
    assert str(refusal.value.code) == "refresh_token_not_found"

    await client.sign_out()
    with pytest.raises(AuthApiError) as refusal:
        await client.get_user(renewed.session.access_token)
    assert refusal.value.code == "session_not_found"


async def test_the_official_client_administers_users(auth):
    client: Any = AsyncGoTrueClient(
        url=BASE,
        headers={
            "apikey": auth.config.service_key,
            "Authorization": f"Bearer {auth.config.service_key}",
        },
        http_client=auth.http,
        storage=AsyncMemoryStorage(),
    )
    email = f"{uuid4().hex}@example.com"
    created = await client.admin.create_user(
        {"email": email, "password": PASSWORD, "app_metadata": {"role": "admin"}}
    )
    user_id = created.user.id
    assert created.user.app_metadata["role"] == "admin"
    assert email in [user.email for user in await client.admin.list_users()]
    link = await client.admin.generate_link({"type": "recovery", "email": email})
    opened = await client.verify_otp(
        {"type": "recovery", "token_hash": link.properties.hashed_token}
    )
    assert opened.user.id == user_id
    changed = await client.admin.update_user_by_id(
        user_id, {"app_metadata": {"role": None}, "email": f"new-{email}", "email_confirm": True}
    )
    assert "role" not in changed.user.app_metadata
    assert changed.user.email == f"new-{email}"
    await client.admin.delete_user(user_id)
    with pytest.raises(AuthApiError) as refusal:
        await client.admin.get_user_by_id(user_id)
    assert refusal.value.status == 404


async def test_parallel_refreshes_get_one_session_and_one_token(auth):
    session = await auth.sign_up()
    answers = await asyncio.gather(*(auth.refresh(session["refresh_token"]) for _ in range(6)))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    assert len({answer.headers["sb-auth-session-id"] for answer in answers}) == 1


async def test_parent_of_the_current_token_is_good_at_any_time_its_parent_is_not(auth):
    first = (await auth.sign_up())["refresh_token"]
    second = (await auth.refresh(first)).json()["refresh_token"]
    await auth.age()
    assert (await auth.refresh(first)).json()["refresh_token"] == second
    third = (await auth.refresh(second)).json()["refresh_token"]
    await auth.age()
    assert (await auth.refresh(first)).json()["code"] == "refresh_token_already_used"
    assert (await auth.refresh(third)).json()["code"] == "refresh_token_already_used"


async def test_of_parallel_sign_ups_one_wins(auth):
    body = {"email": f"{uuid4().hex}@example.com", "password": PASSWORD}
    answers = await asyncio.gather(*(auth.http.post("/signup", json=body) for _ in range(5)))
    codes = sorted(answer.json().get("code", "") for answer in answers)
    assert codes == ["", *["user_already_exists"] * 4]


async def test_renewing_and_ending_at_once_never_deadlocks(auth):
    session = await auth.sign_up()
    headers = {"Authorization": f"Bearer {session['access_token']}"}
    answers = await asyncio.gather(
        *(auth.refresh(session["refresh_token"]) for _ in range(4)),
        auth.http.put("/user", json={"password": "another good 1"}, headers=headers),
        *(auth.http.post(f"/logout?scope={s}", headers=headers) for s in ("others", "global")),
    )
    assert all(answer.status_code < 500 for answer in answers)


async def test_a_session_ends_after_its_timebox(auth):
    session = await auth.sign_up()
    await auth.database.execute(
        "update auth.sessions set created_at = created_at - interval '8 days' where user_id = $1",
        session["user"]["id"],
    )
    answer = await auth.refresh(session["refresh_token"])
    assert (answer.status_code, answer.json()["code"]) == (400, "session_expired")


async def test_a_session_keeps_the_address_that_was_passed_on(auth):
    body = {"email": f"{uuid4().hex}@example.com", "password": PASSWORD}
    for forwarded, kept in (("198.51.100.4", "198.51.100.4"), ("nonsense", "203.0.113.7")):
        headers = {"Sb-Forwarded-For": forwarded}
        url = "/signup" if kept == "198.51.100.4" else "/token?grant_type=password"
        answer = await auth.http.post(url, json=body, headers=headers)
        ip = await auth.database.fetchval(
            "select host(ip) from auth.sessions where id = $1", answer.headers["sb-auth-session-id"]
        )
        assert ip == kept


async def test_a_ban_holds_back_sign_in_and_renewal(auth):
    session = await auth.sign_up()
    headers = {"Authorization": f"Bearer {auth.config.service_key}"}
    url = f"/admin/users/{session['user']['id']}"
    await auth.http.put(url, json={"ban_duration": "1h30m"}, headers=headers)
    assert (await auth.refresh(session["refresh_token"])).json()["code"] == "user_banned"
    await auth.http.put(url, json={"ban_duration": "none"}, headers=headers)
    assert (await auth.refresh(session["refresh_token"])).status_code == 200


async def test_es256_tokens_verify_by_the_published_key(postgres_url):
    async with gateway(postgres_url, signing_key=PEM) as running:
        token = (await running.sign_up())["access_token"]
        keys = jwt.PyJWKSet.from_dict((await running.http.get("/.well-known/jwks.json")).json())
        kid = jwt.get_unverified_header(token)["kid"]
        claims = jwt.decode(token, keys[kid], algorithms=["ES256"], audience="authenticated")
        assert claims["role"] == "authenticated"


async def test_a_change_of_address_waits_for_its_mail(auth):
    session = await auth.sign_up()
    headers = {"Authorization": f"Bearer {session['access_token']}"}
    wanted = f"{uuid4().hex}@example.com"
    answer = await auth.http.put("/user", json={"email": wanted}, headers=headers)
    assert answer.json()["new_email"] == wanted
    assert auth.inbox.mails[-1]["To"] == wanted
    body = {"type": "email_change", "email": wanted, "token": auth.inbox.last_code}
    user = (await auth.http.post("/verify", json=body)).json()["user"]
    assert user["email"] == user["identities"][0]["email"] == wanted
    assert "new_email" not in user
    assert (await auth.http.post("/verify", json=body)).json()["code"] == "otp_expired"


async def test_a_change_is_confirmed_at_both_addresses_where_that_is_asked_for(postgres_url):
    async with gateway(postgres_url, autoconfirm=False, mail_interval=0) as running:
        user = await running.sign_up()
        confirmed = {"type": "signup", "token_hash": running.inbox.last_hash}
        session = (await running.http.post("/verify", json=confirmed)).json()
        headers = {"Authorization": f"Bearer {session['access_token']}"}
        wanted = f"{uuid4().hex}@example.com"
        await running.http.put("/user", json={"email": wanted}, headers=headers)
        assert [mail["To"] for mail in running.inbox.mails[-2:]] == [user["email"], wanted]
        new = {"type": "email_change", "token_hash": running.inbox.last_hash}
        one = await running.http.post("/verify", json=new)
        assert (one.status_code, one.json()["code"]) == (200, "200")
        assert (await running.http.post("/verify", json=new)).json()["code"] == "otp_expired"
        running.inbox.mails.pop()
        both = {"type": "email_change", "token_hash": running.inbox.last_hash}
        answer = await running.http.post("/verify", json=both)
        assert answer.json()["user"]["email"] == wanted


async def test_an_old_session_cannot_change_the_password_where_that_is_asked_for(postgres_url):
    async with gateway(postgres_url, secure_password_change=True) as running:
        session = await running.sign_up()
        headers = {"Authorization": f"Bearer {session['access_token']}"}
        await running.database.execute(
            "update auth.sessions set created_at = now() - interval '25 hours'"
        )
        body = {"password": "another horse 10"}
        answer = await running.http.put("/user", json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "reauthentication_needed")


async def test_each_use_and_each_change_makes_other_tokens_worthless(auth):
    # As GoTrue's Confirm, Recover, ConfirmEmailChange and UpdatePassword clear them all.
    session = await auth.sign_up()
    admin = {"Authorization": f"Bearer {auth.config.service_key}"}
    user = session["user"]

    async def token():
        body = {"type": "recovery", "email": user["email"]}
        answer = await auth.http.post("/admin/generate_link", json=body, headers=admin)
        return answer.json()["hashed_token"]

    async def code(hashed):
        answer = await auth.http.post("/verify", json={"type": "recovery", "token_hash": hashed})
        return answer.json().get("code")

    for change in ({"password": "another horse 10"}, {"email_confirm": True}):
        hashed = await token()
        await auth.http.put(f"/admin/users/{user['id']}", json=change, headers=admin)
        assert await code(hashed) == "otp_expired"
    hashed = await token()
    wanted = f"{uuid4().hex}@example.com"
    signed_in = await auth.http.post(
        "/token?grant_type=password",
        json={"email": user["email"], "password": "another horse 10"},
    )
    headers = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
    await auth.http.put("/user", json={"email": wanted}, headers=headers)
    body = {"type": "email_change", "token_hash": auth.inbox.last_hash}
    assert (await auth.http.post("/verify", json=body)).json()["user"]["email"] == wanted
    assert await code(hashed) == "otp_expired"


async def test_mails_carry_link_and_code(postgres_url):
    async with gateway(postgres_url, autoconfirm=False, mail_interval=0) as running:
        user = await running.sign_up()
        mail = running.inbox.mails[-1]
        assert mail["To"] == user["email"]
        assert running.inbox.last_link.startswith("http://127.0.0.1:54321/auth/v1/verify?token=")
        assert running.inbox.last_link.endswith("&type=signup&redirect_to=http://127.0.0.1:3000")
        assert running.inbox.last_hash in mail.get_body(("html",)).get_content()

        first_code = running.inbox.last_code
        again = {"type": "signup", "email": user["email"]}
        assert (await running.http.post("/resend", json=again)).json() == {}
        body = {"type": "email", "email": user["email"]}
        if first_code != running.inbox.last_code:
            old = await running.http.post("/verify", json={**body, "token": first_code})
            assert old.json()["code"] == "otp_expired"
        await running.http.head("/verify", params={"token": running.inbox.last_hash})
        answer = await running.http.post("/verify", json={**body, "token": running.inbox.last_code})
        assert answer.json()["user"]["email_confirmed_at"]


async def test_an_old_link_is_refused_and_no_link_leads_elsewhere(auth):
    email = (await auth.sign_up())["user"]["email"]
    await auth.http.post(
        "/recover", params={"redirect_to": "https://evil.test"}, json={"email": email}
    )
    assert auth.inbox.last_link.endswith("redirect_to=http://127.0.0.1:3000")
    await auth.database.execute(
        "update auth.one_time_tokens set created_at = created_at - interval '2 hours'"
    )
    query = {"type": "recovery", "token": auth.inbox.last_hash, "redirect_to": "https://evil.test"}
    answer = await auth.http.get("/verify", params=query)
    assert answer.headers["location"].startswith("http://127.0.0.1:3000#error=access_denied")


@pytest.mark.parametrize(
    ("settings", "status"), [({"smtp_port": None}, 501), ({"smtp_port": 1}, 500)]
)
async def test_a_mail_that_cannot_be_sent_undoes_the_sign_up(postgres_url, settings, status):
    async with gateway(postgres_url, autoconfirm=False, **settings) as running:
        body = {"email": "ada@example.com", "password": PASSWORD}
        answer = await running.http.post("/signup", json=body)
        assert answer.status_code == status
        assert await running.database.fetchval("select count(*) from auth.users") == 0


async def test_a_trigger_without_security_definer_fails_as_in_production(postgres_url):
    async with gateway(postgres_url) as running:
        await running.database.execute(
            """
            create table public.profiles (id uuid primary key);
            create function public.make_profile() returns trigger language plpgsql as
              'begin insert into public.profiles values (new.id); return new; end';
            create trigger make_profile after insert on auth.users
              for each row execute function public.make_profile();
            """
        )
        body = {"email": "ada@example.com", "password": PASSWORD}
        answer = await running.http.post("/signup", json=body)
        assert answer.status_code == 500
        assert answer.json()["message"] == "Database error saving new user"

        await running.database.execute("alter function public.make_profile() security definer")
        assert (await running.http.post("/signup", json=body)).status_code == 200


LONG = "x" * 1_000_000
WRONG_VALUES: list[Any] = [
    None,
    7,
    1e308,
    True,
    [],
    {},
    "",
    "\0",
    "a\0b",
    "\ud800",
    "%00",
    LONG,
    "é@é.é",
]
CALLS = {
    "POST /signup": ("email", "password", "data", "phone", "code_challenge"),
    "POST /token?grant_type=password": ("email", "password"),
    "POST /token?grant_type=refresh_token": ("refresh_token",),
    "POST /recover": ("email",),
    "POST /resend": ("type", "email"),
    "POST /verify": ("type", "token", "token_hash", "email"),
    "PUT /user": ("email", "password", "data"),
    "POST /admin/users": ("email", "password", "user_metadata", "role", "id", "ban_duration"),
    "POST /admin/generate_link": ("type", "email", "redirect_to"),
}
GOOD = {"email": "x@example.com", "password": PASSWORD, "type": "signup", "token_hash": "abc"}


@pytest.mark.parametrize("call", CALLS)
async def test_no_input_is_a_server_error(auth, call):
    method, url = call.split()
    person = (await auth.sign_up())["access_token"]
    bearer = auth.config.service_key if "/admin" in url else person
    headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
    bodies = [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b'{"email": 1e999}', b"[" * 100_000]
    for name in CALLS[call]:
        bodies += [json.dumps({**GOOD, name: value}).encode() for value in WRONG_VALUES]
        bodies.append(json.dumps({**GOOD, name: {"a": "\0"}}).encode())
    for body in bodies:
        answer = await auth.http.request(method, url, content=body, headers=headers)
        assert answer.status_code < 500 or answer.status_code == 501, (body[:80], answer.text)
        assert answer.status_code == 200 or {"code", "message"} <= set(answer.json())


@pytest.mark.parametrize(
    ("call", "status", "code"),
    [
        ("GET /verify", 400, "validation_failed"),
        ("GET /verify?type=signup", 400, "validation_failed"),
        ("GET /verify?type=signup&token=%00", 400, "validation_failed"),
        ("GET /admin/users?page=0", 400, "validation_failed"),
        ("GET /admin/users?per_page=99999999999999999999", 400, "validation_failed"),
        ("GET /admin/users?filter=%00", 400, "validation_failed"),
        ("GET /admin/users/%00", 404, "validation_failed"),
        ("POST /logout?scope=nowhere", 400, "validation_failed"),
        ("POST /token?grant_type=pkce", 501, "not_implemented"),
        ("POST /otp", 501, "not_implemented"),
        ("POST /factors", 501, "not_implemented"),
        ("GET /authorize?provider=github", 501, "not_implemented"),
        ("POST /sso", 501, "not_implemented"),
    ],
)
async def test_refusals(auth, call, status, code):
    method, url = call.split()
    person = (await auth.sign_up())["access_token"]
    bearer = auth.config.service_key if "/admin" in url else person
    answer = await auth.http.request(method, url, headers={"Authorization": f"Bearer {bearer}"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    "token",
    ["", "x", "a.b.c", "é.é.é", jwt.encode({"sub": "x"}, "", algorithm="none"), "." * 100_000],
)
async def test_bad_tokens_are_refused(auth, token):
    answer = await auth.http.get("/user", headers={"Authorization": f"Bearer {token}".encode()})
    assert answer.status_code == (403 if token else 401)


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"role": "anon"}, "bad_jwt"),
        ({"sub": "x"}, "bad_jwt"),
        ({"sub": 7}, "bad_jwt"),
        ({"sub": str(uuid4()), "session_id": str(uuid4())}, "user_not_found"),
        ({"sub": str(uuid4()), "exp": 1e300}, "bad_jwt"),
        ({"sub": str(uuid4()), "session_id": []}, "bad_jwt"),
    ],
)
async def test_signed_nonsense_is_refused(auth, claims, code):
    token = jwt.encode(claims, auth.config.jwt_secret, algorithm="HS256")
    answer = await auth.http.get("/user", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["code"]) == (403, code)


async def test_only_the_service_role_administers(auth):
    person = (await auth.sign_up())["access_token"]
    for bearer in (person, auth.config.anon_key):
        answer = await auth.http.get("/admin/users", headers={"Authorization": f"Bearer {bearer}"})
        assert (answer.status_code, answer.json()["code"]) == (403, "not_admin")


async def test_the_gateway_wants_a_key_except_where_mails_and_verifiers_come(auth):
    for url in ("/health", "/.well-known/jwks.json", "/verify?type=signup&token=x"):
        assert (await auth.http.get(url, headers={"apikey": ""})).status_code < 400
    assert (await auth.http.get("/settings", headers={"apikey": ""})).status_code == 401
    assert (await auth.http.get("/settings", headers={"apikey": "wrong"})).status_code == 401
    url = f"/settings?apikey={auth.config.anon_key}"
    assert (await auth.http.get(url, headers={"apikey": ""})).status_code == 200


# What a migration finds.


async def test_databases_can_be_prepared_at_the_same_time_and_again(postgres_url):
    server = await asyncpg.connect(postgres_url)
    names = [f"auth_{uuid4().hex}" for _ in range(3)]
    try:
        for name in names:
            await server.execute(f"create database {name}")

        async def make_ready(name: str) -> None:
            connection = await asyncpg.connect(
                urlsplit(postgres_url)._replace(path=f"/{name}").geturl()
            )
            await prepare(connection)
            await connection.close()

        await asyncio.gather(*(make_ready(name) for name in [*names, *names]))
    finally:
        for name in names:
            await server.execute(f"drop database if exists {name} with (force)")
        await server.close()


async def test_the_database_knows_its_caller(auth):
    claims = {"sub": str(uuid4()), "role": "authenticated", "email": "ada@example.com"}
    query = "select auth.uid()::text as sub, auth.role() as role, auth.email() as email"
    for role in ("anon", "authenticated", "service_role"):
        async with auth.database.transaction():
            await auth.database.execute(f"set local role {role}")
            assert set((await auth.database.fetchrow(query)).values()) == {None}
            await auth.database.execute(
                "select set_config('request.jwt.claims', $1, true)", json.dumps(claims)
            )
            assert dict(await auth.database.fetchrow(query)) == claims
            assert await auth.database.fetchval("select auth.jwt() ->> 'sub'") == claims["sub"]
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with auth.database.transaction():
                    await auth.database.fetch("select * from auth.users")


async def test_new_objects_in_public_are_open_as_on_supabase_but_not_to_auth(auth):
    await auth.database.execute("create table if not exists public.things (id int)")
    granted = {
        role: await auth.database.fetchval(
            "select has_table_privilege($1, 'public.things', 'select, insert, update, delete')",
            role,
        )
        for role in ("anon", "authenticated", "service_role", "supabase_auth_admin")
    }
    assert granted == {
        "anon": True,
        "authenticated": True,
        "service_role": True,
        "supabase_auth_admin": False,
    }
