"""The Auth part of the gateway with a database and an inbox, for tests."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import asyncpg
import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.applications import Starlette
from starlette.routing import Mount

from devstack.gateway.auth import AuthServer
from devstack.gateway.bootstrap import prepare
from devstack.gateway.config import GatewayConfig

BASE = "http://gateway.test/auth/v1"
VERSION = {"X-Supabase-Api-Version": "2024-01-01"}
PASSWORD = "correct horse 9"


PEM = (
    ec.generate_private_key(ec.SECP256R1())
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)


@dataclass
class Inbox:
    """A tiny SMTP server; `mails` holds the received mails in order."""

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
        """Make all refresh tokens older."""
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
