"""The users of `./app load`, for Locust: what they call, how often, and what came back.

`./app load` starts it, and stops it. LOAD_DATA names a JSON file with addresses, tokens and posts.
Each second one line of JSON on standard output lists what was seen since: the call, status and
X-Cache of the answer, the time of day at its end, and milliseconds.
"""

import itertools
import json
import os
import random
import sys
import time
from bisect import bisect
from pathlib import Path
from typing import Any

import gevent  # pyright: ignore[reportMissingModuleSource]
from locust import FastHttpUser, events, task  # pyright: ignore[reportMissingImports]

DATA = json.loads(Path(os.environ["LOAD_DATA"]).read_text("utf-8"))
EACH_SECONDS = 1.0
API = "/api/v1"

numbers = itertools.count()
accounts = itertools.count()
seen: list[tuple[str, str, float, float]] = []
kept: list[str] = []  # posts that the API has acknowledged

# Zipf: the second most popular post is read half as often as the first, and so on.
ranks = list(itertools.accumulate(1 / rank for rank in range(1, len(DATA["posts"]) + 1)))


def popular() -> str:
    """Return the id of a post, the popular ones more often."""
    return DATA["posts"][bisect(ranks, random.random() * ranks[-1])]


def address(number: int) -> str:
    """Return the client address of a user."""
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


@events.request.add_listener
def note(name: str, response_time: float, response: Any, exception: Any, **_: Any) -> None:
    """Record one answer, or why there is none."""
    status = getattr(response, "status_code", 0)
    if status:
        outcome = f"{status} {response.headers.get('X-Cache', '')}".strip()
    else:
        outcome = type(exception).__name__
    seen.append((name, outcome, time.time(), response_time))


@events.init.add_listener
def report(environment: Any, **_: Any) -> None:
    """Print what was seen, once a second and at the end."""

    def line() -> None:
        users = environment.runner.user_count if environment.runner else 0
        found, stored = seen[:], kept[:]
        del seen[: len(found)], kept[: len(stored)]
        sys.stdout.write(json.dumps({"users": users, "seen": found, "kept": stored}) + "\n")
        sys.stdout.flush()

    def lines() -> None:
        while True:
            gevent.sleep(EACH_SECONDS)
            line()

    gevent.spawn(lines)
    environment.events.quitting.add_listener(lambda **_: line())


class Person(FastHttpUser):
    """A user with an address, an account, and one of the API's processes."""

    abstract = True
    host = DATA["hosts"][0]
    connection_timeout = network_timeout = 10.0

    def __init__(self, environment: Any) -> None:
        self.number = next(numbers)
        self.host = DATA["hosts"][self.number % len(DATA["hosts"])]
        self.address = address(self.number)
        self.token = DATA["tokens"][self.number % len(DATA["tokens"])]
        super().__init__(environment)

    def wait_time(self) -> float:
        """Return the seconds until the next call."""
        shortest, longest = DATA["think"]
        return random.uniform(shortest, longest)

    def call(
        self, name: str, method: str, path: str, body: Any = None, *, token: str | None = None
    ) -> Any:
        """Call the API; return the answer's JSON, or None if it failed."""
        headers = {
            "X-Forwarded-For": self.address,
            "Authorization": f"Bearer {token or self.token}",
            "Accept-Encoding": "identity",
        }
        answer = self.client.request(method, f"{API}{path}", name=name, json=body, headers=headers)
        if not 200 <= answer.status_code < 300:
            return None
        kind = answer.headers.get("Content-Type", "")
        return answer.json() if kind.startswith("application/json") else {}

    def read(self) -> None:
        """Read a popular post."""
        self.call("post", "GET", f"/posts/{popular()}")

    def browse(self) -> None:
        """Read a post, a list or the own user: 80, 10 and 10 of 100."""
        chance = random.random()
        if chance < 0.8:
            self.read()
        elif chance < 0.9:
            self.call("list", "GET", f"/posts?page={random.choice((1, 1, 1, 2, 3))}")
        else:
            self.call("me", "GET", "/users/me")

    def publish(self) -> str | None:
        """Write a published post; return its id."""
        body = {"title": "A post under load", "content": "word " * 100, "published": True}
        found = self.call("create", "POST", "/posts", body)
        if found is None:
            return None
        kept.append(found["data"]["id"])
        return str(found["data"]["id"])

    def revise(self, post: str) -> None:
        """Change an own post, and read it: the answer must be the new one."""
        title = f"Revised {time.time()}"
        body = {"title": title, "content": "word " * 100, "published": True}
        if self.call("update", "PUT", f"/posts/{post}", body) is None:
            return
        found = self.call("own post", "GET", f"/posts/{post}")
        if found is not None and found["data"]["title"] != title:
            seen.append(("own post", "older than its change", time.time(), 0.0))


class Browse(Person):
    """Reads."""

    @task
    def once(self) -> None:
        """Read once."""
        self.browse()


class Write(Person):
    """Writes a post, changes it, reads it, and deletes every second one."""

    @task
    def once(self) -> None:
        """Write once."""
        post = self.publish()
        if post is None:
            return
        self.wait()
        self.revise(post)
        self.wait()
        self.call("list", "GET", "/posts?page=1")
        self.wait()
        if random.random() < 0.5:
            self.call("delete", "DELETE", f"/posts/{post}")


class Accounts(Person):
    """Signs up, or logs in; reads the own user, continues the session, and ends it."""

    @task
    def once(self) -> None:
        """Have one session, from an address of its own."""
        number = next(accounts)
        self.address = address(1_000_000 + number)
        if number % 2:
            email = f"new{number}.{os.getpid()}@example.com"
            body = {"email": email, "password": DATA["password"], "display_name": "New"}
            found = self.call("signup", "POST", "/auth/signup", body)
        else:
            emails = DATA["emails"]
            body = {"email": emails[number % len(emails)], "password": DATA["password"]}
            found = self.call("login", "POST", "/auth/login", body)
        if found is None:
            return
        session = found["data"]
        self.wait()
        self.call("me", "GET", "/users/me", token=session["access_token"])
        self.wait()
        body = {"refresh_token": session["refresh_token"]}
        found = self.call("refresh", "POST", "/auth/refresh", body)
        if found is None:
            return
        self.wait()
        token = found["data"]["access_token"]
        self.call("logout", "POST", "/auth/logout", {"scope": "local"}, token=token)


class Export(Person):
    """Asks for the archive of an account, waits for it, and downloads it."""

    @task
    def once(self) -> None:
        """Export an account that has not been exported before."""
        number = next(accounts)
        if number >= len(DATA["tokens"]):
            return
        token, self.address = DATA["tokens"][number], address(number)
        began = time.time()
        found = self.call("export", "POST", "/users/me/export", token=token)
        while found is not None and found["data"]["status"] in {"queued", "running"}:
            self.wait()
            path = f"/users/me/exports/{found['data']['id']}"
            found = self.call("export's status", "GET", path, token=token)
        if found is None:
            return
        ready = found["data"]["status"]
        outcome = "200" if ready == "ready" else f"archive {ready}"
        seen.append(("archive is ready", outcome, time.time(), (time.time() - began) * 1000))
        path = f"/users/me/exports/{found['data']['id']}/download"
        self.call("download", "GET", path, token=token)


class Everyday(Person):
    """Mostly reads; now and then writes a post, changes it, or logs in."""

    def on_start(self) -> None:
        """Begin without a post of the own."""
        self.post: str | None = None

    @task
    def once(self) -> None:
        """Do one thing: 96 of 100 are reads."""
        chance = random.random()
        if chance < 0.96:
            self.browse()
        elif self.post is None or chance < 0.97:
            self.post = self.publish()
        elif chance < 0.995:
            self.revise(self.post)
        else:
            number = self.number % len(DATA["emails"])
            body = {"email": DATA["emails"][number], "password": DATA["password"]}
            self.call("login", "POST", "/auth/login", body)
