"""The Auth part of the gateway against the recorded responses of a real Supabase Auth."""

import json
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest

from devstack.tests.gateway.auth_kit import PEM, Gateway, gateway

RECORDING = json.loads(
    (Path(__file__).parent / "recordings" / "supabase_auth.json").read_text(encoding="utf-8")
)


EXCHANGES: list[dict[str, Any]] = RECORDING["exchanges"]
MODES = list(RECORDING["modes"])
UUID_ = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
HASH = re.compile(r"\b[0-9a-f]{56}\b")
REFRESH_TOKEN = re.compile(r"[a-z2-7]{12}")
CLOCK = {"exp", "iat", "expires_at", "timestamp"}
OPAQUE = {"refresh_token": REFRESH_TOKEN, "email_otp": re.compile(r"\d{6}"), "hashed_token": HASH}
KEY_PARTS = {"x", "y"}
PAUSES = ("after the reuse interval", "after the family", "replay of the second family")


class Replay:
    """Sends a mode's exchanges in order; maps the recorded ids and tokens to our own."""

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
        ours: Any = answer.text if isinstance(body, str) else answer.json()
        if exchange["name"] == "settings":  # the recording has two of them alone
            ours = {name: ours[name] for name in body}
        self._same(body, ours, "")

    async def _others(self, total: int) -> None:
        """Add users until their number equals that of the recorded server."""
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
        """Assert that both have the same shape; ids and tokens may differ, but consistently."""
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
    """Replace the parts of a text that differ in each run."""
    for pattern, name in (
        (r"eyJ[\w-]+\.[\w-]+\.[\w-]+", "<jwt>"),
        (HASH.pattern, "<hash>"),
        (r"refresh_token=[a-z2-7]{12}", "refresh_token=<token>"),
        (r"expires_at=\d+", "expires_at=<time>"),
        (r"after \d+ seconds", "after <n> seconds"),
        # The recorded server ran without the gateway, which adds this path.
        (r"/auth/v1/verify", "/verify"),
        # Go's JSON parser words this differently.
        (r"(Could not parse request body as JSON: ).*", r"\1<reason>"),
    ):
        text = re.sub(pattern, name, text)
    return text


@pytest.fixture(scope="module")
async def outcomes(postgres_url) -> list[str]:
    """The failure of each exchange, or ""."""
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
