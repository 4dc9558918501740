"""Attacks S1 to S11 on a running system, by somebody who has read the code.

    TRUSTED_PROXIES=127.0.0.1/32 ./app up --port 8100
    (set -a; eval "$(./app env)"; .venv/bin/python -m bench.attacks)

The system believes our X-Forwarded-For, so that an attacker has as many addresses as they like.
Only for a local system: the attacks leave users and posts behind. The exit code is 1 if one
succeeds.
"""

import hashlib
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import jwt
from redis import Redis

PASSWORD: Final = "correct horse 9"
GUESS: Final = "a wrong horse 9"
WORDS: Final = "Buy pills at evil.example"
REUSE_SECONDS: Final = 10  # several tabs may use a token at once for so long
NEEDED: Final = (
    "API_URL", "SUPABASE_URL", "SUPABASE_KEY", "JWT_SECRET", "INBOX_URL",
    "REDIS_HOST", "REDIS_PORT", "BROKER_HOST", "BROKER_PORT",
)  # fmt: skip
_ADDRESSES = count(int.from_bytes(os.urandom(2)) + 1)


def another_address() -> str:
    """Return an address that was not used so far (RFC 2544: for tests)."""
    number = next(_ADDRESSES)
    return f"198.{18 + (number >> 16) % 2}.{(number >> 8) % 256}.{number % 256}"


@dataclass(kw_only=True)
class User:
    """Somebody who has signed up."""

    id: str
    email: str
    session: dict[str, Any] = field(repr=False)

    @property
    def token(self) -> str:
        """The access token."""
        return str(self.session["access_token"])


class Target:
    """The system that is attacked: the API from ever new addresses, and what lies past it."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self.settings = settings
        self.url = settings["API_URL"]
        self._client = httpx.Client(base_url=f"{self.url}/api/v1", timeout=30)
        self._past = httpx.Client(
            base_url=settings["SUPABASE_URL"], headers={"apikey": settings["SUPABASE_KEY"]}
        )
        self._inbox = httpx.Client(base_url=settings["INBOX_URL"])

    def call(
        self,
        method: str,
        path: str,
        user: User | str | None = None,
        *,
        address: str | None = None,
        **options: Any,
    ) -> httpx.Response:
        """Call the API, from a new address unless one is named; `user` may be a token."""
        headers = {"X-Forwarded-For": address or another_address(), **options.pop("headers", {})}
        if user is not None:
            headers["Authorization"] = f"Bearer {user.token if isinstance(user, User) else user}"
        return self._client.request(method, path, headers=headers, **options)

    def past(self, method: str, path: str, token: str, **options: Any) -> httpx.Response:
        """Call Supabase directly."""
        headers = {"Authorization": f"Bearer {token}"}
        return self._past.request(method, path, headers=headers, **options)

    def sign_up(self, name: str | None = None) -> User:
        """Sign somebody up."""
        body = {"email": f"{uuid4().hex}@example.com", "password": PASSWORD}
        body |= {"display_name": name} if name else {}
        session = self.call("POST", "/auth/signup", json=body).raise_for_status().json()["data"]
        return User(id=session["user"]["id"], email=body["email"], session=session)

    def log_in(self, user: User, password: str = PASSWORD, address: str | None = None) -> int:
        """Return the status of a login."""
        body = {"email": user.email, "password": password}
        return self.call("POST", "/auth/login", json=body, address=address).status_code

    def publish(self, user: User, title: str, content: str = "") -> str:
        """Publish a post; return its id."""
        body = {"title": title, "content": content, "published": True}
        answer = self.call("POST", "/posts", user, json=body)
        return str(answer.raise_for_status().json()["data"]["id"])

    def mails(self, email: str) -> list[dict[str, Any]]:
        """Return the mails to an address: subject and text."""
        found = self._inbox.get("/api/v1/search", params={"query": f"to:{email}"}).json()
        ids = [one["ID"] for one in found["messages"]]
        return [self._inbox.get(f"/api/v1/message/{one}").json() for one in ids]

    def redis(self, which: str) -> Redis:
        """Return a client of REDIS or BROKER."""
        return Redis(self.settings[f"{which}_HOST"], int(self.settings[f"{which}_PORT"]))

    def raw(self, data: bytes, seconds: float = 15) -> bytes:
        """Send bytes over a connection of its own; return what comes back until it ends."""
        place = urlsplit(self.url)
        at = socket.create_connection((place.hostname, place.port or 80), timeout=seconds)
        received = b""
        with at, suppress(OSError):
            at.sendall(data)
            while part := at.recv(65_536):
                received += part
        return received


def until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """Return what the condition returns once it is true, or its last result."""
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.2)
    return found


@dataclass(frozen=True, kw_only=True)
class Attack:
    """An attack; `carry_out` returns what happened, and whether the system held."""

    number: str
    tried: str
    carry_out: Callable[[Target], tuple[str, bool]]


ATTACKS: list[Attack] = []


def attack(number: str, tried: str) -> Callable[[Any], Any]:
    """Add a function to the attacks."""

    def add(function: Callable[[Target], tuple[str, bool]]) -> Any:
        ATTACKS.append(Attack(number=number, tried=tried, carry_out=function))
        return function

    return add


@attack("S1", "guess the code of somebody's reset from 60 networks")
def _guess_codes(target: Target) -> tuple[str, bool]:
    victim = target.sign_up()
    target.call("POST", "/auth/password-reset", json={"email": victim.email})
    resets = until(lambda: [one for one in target.mails(victim.email) if "token=" in one["Text"]])
    token = resets[0]["Text"].split("#token=")[-1].split()[0] if resets else ""
    seen: Counter[int] = Counter()
    for number in range(60):
        code = hashlib.sha224(f"{victim.email}{number:06}".encode()).hexdigest()
        guess = code if number % 2 else token[:22] + code[: len(token) - 22]
        body = {"token": guess, "password": GUESS}
        seen[target.call("POST", "/auth/password-reset/confirm", json=body).status_code] += 1
    still = target.log_in(victim)
    held = len(token) >= 43 and seen.keys() <= {401, 422, 429} and still == 200
    return f"token of {len(token)} characters in the fragment, guesses {dict(seen)}", held


@attack("S2", "20 paths of 64 KB of eyJ… while others call")
def _long_paths(target: Target) -> tuple[str, bool]:
    path = "/" + "eyJ" * 21_000
    data = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(target.raw, data) for _ in range(20)]
        slowest = 0.0
        while not all(one.done() for one in answers):
            begun = time.monotonic()
            target.call("GET", "/health/liveness")
            slowest = max(slowest, time.monotonic() - begun)
    seen = Counter(one.result()[9:12].decode() for one in answers)
    return f"{dict(seen)}, others waited {slowest:.2f} s at most", set(seen) <= {"414", "431"}


@attack("S3", "much, doubled, old and half heads")
def _bad_heads(target: Target) -> tuple[str, bool]:
    head = b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n"
    tried = {
        "40 KB of headers": head + b"X-A: " + b"a" * 40_000 + b"\r\n\r\n",
        "101 lines": head + b"X-A: a\r\n" * 101 + b"\r\n",
        "two Host": head + b"Host: localhost\r\n\r\n",
        "no Host": b"GET / HTTP/1.1\r\n\r\n",
        "HTTP/2 prelude": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "half a head": head,
    }
    seen = {what: target.raw(data)[9:12].decode() for what, data in tried.items()}
    held = list(seen.values()) == ["431", "431", "400", "400", "400", "408"]
    return ", ".join(f"{what}: {status}" for what, status in seen.items()), held


@attack("S4", "take the account with a stolen token of an hour ago")
def _stolen_token(target: Target) -> tuple[str, bool]:
    victim = target.sign_up()
    claims = jwt.decode(victim.token, options={"verify_signature": False})
    claims["amr"] = [{"method": "password", "timestamp": claims["iat"] - 3600}]
    stolen = jwt.encode(claims, target.settings["JWT_SECRET"], algorithm="HS256")
    user = f"/users/{victim.id}"
    change = {"current_password": GUESS, "password": "evil horse 10"}
    seen = [
        target.call("PUT", user, stolen, json={"email": f"{uuid4().hex}@evil.example"}),
        target.call("DELETE", user, stolen),
        target.call("DELETE", user, stolen, json={"current_password": GUESS}),
        target.call("POST", "/users/me/password", stolen, json=change),
    ]
    statuses = [one.status_code for one in seen]
    return f"address, deletion, deletion, password: {statuses}", (
        statuses == [403] * 4 and target.log_in(victim) == 200
    )


@attack("S5", "twenty posts of 400 KB before everybody's list")
def _long_posts(target: Target) -> tuple[str, bool]:
    author = target.sign_up()
    for _ in range(20):
        target.publish(author, "A long post", "😀" * 100_000)
    reader = another_address()
    urls = ("/posts", "/posts", "/posts?x=1", "/posts?page=01")
    seen = [target.call("GET", one, address=reader) for one in urls]
    doubled = target.call("GET", "/posts?page=1&page=2").status_code
    hits = [one.headers.get("x-cache") for one in seen]
    size = max(len(one.content) for one in seen)
    held = hits[1:] == ["HIT"] * 3 and size < 400_000 and doubled == 422
    return f"{size // 1000} KB, {hits}, doubled parameter {doubled}", held


@attack("S6", "reset a login's counter by 2,000 reads")
def _evict(target: Target) -> tuple[str, bool]:
    victim = target.sign_up()
    guesses = Counter(target.log_in(victim, GUESS) for _ in range(25))
    for _ in range(2000):
        target.call("GET", f"/posts/{uuid4()}")
    after = target.log_in(victim, GUESS)
    held = guesses == {401: 20, 429: 5} and after == 429
    return f"25 guesses {dict(guesses)}, after the reads {after}", held


@attack("S7", "write after the logout, also past the API")
def _ended_session(target: Target) -> tuple[str, bool]:
    user = target.sign_up()
    body = {"title": "Too late", "content": "", "published": True}

    def late() -> Iterator[bytes]:
        yield b'{"title": "Too late", "content": "",'
        time.sleep(0.5)
        target.call("POST", "/auth/logout", user).raise_for_status()
        yield b'"published": true}'

    kind = {"Content-Type": "application/json"}
    under_way = target.call("POST", "/posts", user, content=late(), headers=kind).status_code
    after = target.call("POST", "/posts", user, json=body).status_code
    past = target.past("POST", "/rest/v1/posts", user.token, json=body).status_code
    held = (under_way, after, past) == (401, 401, 401)
    return f"body under way {under_way}, after {after}, at PostgREST {past}", held


@attack("S8", "start production with published keys")
def _unsafe_production(target: Target) -> tuple[str, bool]:
    environment = {**os.environ, **target.settings, "APP_ENV": "production"}
    command = (sys.executable, "-m", "cli", "config", "check", "--no-project")
    path = os.pathsep.join(("platform", "."))
    done = subprocess.run(  # noqa: S603 - our own command
        command,
        env={**environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    return f"exit code {done.returncode}", done.returncode == 1 and "JWT_SECRET" in said


@attack("S9", "30 posts that mail a bystander the attacker's words")
def _mail_cannon(target: Target) -> tuple[str, bool]:
    bystander = target.sign_up(WORDS)
    for _ in range(30):
        target.publish(bystander, WORDS)
    until(lambda: len(target.mails(bystander.email)) >= 11, seconds=20)
    mails = target.mails(bystander.email)
    with_words = [one for one in mails if WORDS in one["Subject"] + one["Text"] + one["HTML"]]
    held = len(mails) <= 11 and not with_words
    return f"{len(mails)} mails, {len(with_words)} with the words", held


@attack("S10", "use a refresh token whose child was used")
def _used_refresh(target: Target) -> tuple[str, bool]:
    user = target.sign_up()

    def refresh(token: str) -> httpx.Response:
        return target.call("POST", "/auth/refresh", json={"refresh_token": token})

    first = user.session["refresh_token"]
    child = refresh(first).raise_for_status().json()["data"]
    grandchild = refresh(child["refresh_token"]).raise_for_status().json()["data"]
    target.call("GET", "/users/me", grandchild["access_token"]).raise_for_status()
    time.sleep(REUSE_SECONDS + 1)
    again = refresh(first).status_code
    owner = target.call("GET", "/users/me", grandchild["access_token"]).status_code
    return f"refresh {again}, the session then {owner}", (again, owner) == (401, 401)


@attack("S11", "poison in the broker")
def _poison(target: Target) -> tuple[str, bool]:
    with target.redis("BROKER") as broker:
        before = int(broker.llen("dead_letters"))
        for poison in (b"not json", b"[]", b'{"body": 7}', b"\xff" * 100):
            broker.lpush("default", poison)
        dead = until(lambda: int(broker.llen("dead_letters")) - before >= 4)
    newcomer = target.sign_up()
    welcomed = until(lambda: target.mails(newcomer.email))
    return f"dead letters: {dead}, the worker mails: {bool(welcomed)}", dead and bool(welcomed)


@attack("S11", "lock an owner out by guesses from 25 networks")
def _lock_out(target: Target) -> tuple[str, bool]:
    owner, home = target.sign_up(), another_address()
    first = target.log_in(owner, address=home)
    guesses = Counter(target.log_in(owner, GUESS) for _ in range(25))
    then = target.log_in(owner, address=home)
    held = (first, then) == (200, 200) and guesses == {401: 20, 429: 5}
    return f"guesses {dict(guesses)}, the owner at home {then}", held


@attack("S11", "find a deleted user's words in Redis, list profiles, weak passwords")
def _rest(target: Target) -> tuple[str, bool]:
    words = f"Diary {uuid4().hex}"
    user, other = target.sign_up(words), target.sign_up()
    post = target.publish(user, words)
    for url, caller in ((f"/posts/{post}", None), ("/posts", None), ("/users/me", user)):
        target.call("GET", url, caller)
    target.call("GET", f"/users/{user.id}", other)
    deleted = target.call("DELETE", f"/users/{user.id}", user).status_code
    with target.redis("REDIS") as cache:
        left = [
            name for name in cache.scan_iter("cache:*", count=1000) if words in str(cache.get(name))
        ]
    profiles = len(target.past("GET", "/rest/v1/profiles", other.token).json())
    email = f"{uuid4().hex}@example.com"
    own_address = {"email": email, "password": email[:36]}
    weak = target.call("POST", "/auth/signup", json=own_address | {"password": email})
    held = (deleted, left, profiles, weak.status_code) == (204, [], 1, 422)
    found = f"{len(left)} cached bodies left, {profiles} profile listed"
    return f"{found}, the address as password {weak.status_code}", held


def trusts_us(target: Target) -> bool:
    """Return whether the system believes our X-Forwarded-For."""
    address = another_address()
    standings = [
        target.call("GET", "/posts", address=one).headers.get("ratelimit", "").split("r=")[-1]
        for one in (address, address, another_address())
    ]
    first, second, elsewhere = (one.split(";")[0] for one in standings)
    return bool(first == elsewhere != second)


def main() -> int:
    """Carry all attacks out, print a table; return 1 if one succeeded, 2 if none could begin."""
    if missing := [name for name in NEEDED if name not in os.environ]:
        print(f'Missing: {", ".join(missing)}. Run: set -a; eval "$(./app env)"; set +a')
        return 2
    target = Target({name: os.environ[name] for name in NEEDED})
    if urlsplit(target.url).hostname not in {"127.0.0.1", "localhost"} or not trusts_us(target):
        print("Attack a local system only: TRUSTED_PROXIES=127.0.0.1/32 ./app up --port 8100")
        return 2
    broken = 0
    for one in ATTACKS:
        try:
            happened, held = one.carry_out(target)
        except (httpx.HTTPError, OSError, KeyError, ValueError) as error:
            happened, held = f"could not be carried out: {error!r}", False
        broken += not held
        print(
            f"{one.number:4} {'held  ' if held else 'BROKEN'} {one.tried}: {happened}", flush=True
        )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
