"""The layout of one stack: its ports, folders and programs, and servers that settings name."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from devstack import postgres, valkey
from devstack.errors import StackError
from devstack.gateway.config import GatewayConfig
from devstack.keys import signing_key
from devstack.ports import Ports
from devstack.programs import Program
from devstack.readiness import http_answers, postgres_answers, valkey_answers

PYTHON = (sys.executable, "-u", "-m")


@dataclass(frozen=True, kw_only=True)
class StackLayout:
    """The layout of a stack. `settings` returns those of the environment and `.env`."""

    root: Path
    data: Path
    ports: Ports
    settings: Callable[[], Mapping[str, str]]

    @property
    def api_url(self) -> str:
        """The URL of the API."""
        return f"http://127.0.0.1:{self.ports.api}"

    @property
    def supabase_url(self) -> str:
        """The URL of the gateway."""
        return f"http://127.0.0.1:{self.ports.gateway}"

    @property
    def inbox_url(self) -> str:
        """The URL of the inbox's page and API."""
        return f"http://127.0.0.1:{self.ports.inbox}"

    @property
    def database_url(self) -> str:
        """The superuser's URL of the database."""
        return self._named(postgres.SERVER_VARIABLE) or postgres.url(self.ports.postgres)

    @property
    def own_database(self) -> bool:
        """Whether the database is the embedded one."""
        return not self._named(postgres.SERVER_VARIABLE)

    def gateway_config(self) -> GatewayConfig:
        """Return the gateway's configuration.

        Raises StackError for an invalid setting.
        """
        interval = self._named("DEVSTACK_MAIL_INTERVAL") or "60"
        if not interval.isdigit():
            raise StackError("DEVSTACK_MAIL_INTERVAL must be a number of seconds; 0 is no limit.")
        return GatewayConfig(
            otp_length=10,
            otp_expiry=900,
            secure_password_change=True,
            database_url=self.database_url,
            public_url=self.supabase_url,
            smtp_port=self.ports.smtp,
            autoconfirm=not self._switched_on("DEVSTACK_CONFIRM_EMAIL"),
            mail_interval=int(interval),
            storage_folder=str(self.data / "storage"),
            signing_key=signing_key(self.data) if self._switched_on("DEVSTACK_ES256") else None,
        )

    def values(self) -> dict[str, str]:
        """Return the stack's values, as `./app env` prints them and applications get them."""
        config = self.gateway_config()
        return {
            "API_URL": self.api_url,
            "SUPABASE_URL": self.supabase_url,
            "SUPABASE_KEY": config.anon_key,
            "SUPABASE_SERVICE_KEY": config.service_key,
            "JWT_SECRET": config.jwt_secret,
            "DATABASE_URL": self.database_url,
            "INBOX_URL": self.inbox_url,
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self.ports.smtp),
            "SMTP_SECURITY": "none",
            **self._redis("REDIS", valkey.CACHE_VARIABLE, self.ports.cache),
            **self._redis("BROKER", valkey.BROKER_VARIABLE, self.ports.broker),
        }

    def own_ports(self, *, with_api: bool) -> set[str]:
        """Return the names of the ports that this stack listens on."""
        named = {
            "postgres": postgres.SERVER_VARIABLE,
            "cache": valkey.CACHE_VARIABLE,
            "broker": valkey.BROKER_VARIABLE,
        }
        own = {part for part, variable in named.items() if not self._named(variable)}
        return own | {"gateway", "inbox", "smtp"} | ({"api"} if with_api else set())

    def servers(self, installation: postgres.Installation | None) -> list[Program]:
        """Return the programs that start first: the database, the two Valkeys and the inbox."""
        programs = [self._inbox()]
        if not self._named(valkey.CACHE_VARIABLE):
            programs.insert(0, valkey.cache(self.ports.cache, self.data / "cache"))
        if not self._named(valkey.BROKER_VARIABLE):
            programs.insert(0, valkey.broker(self.ports.broker, self.data / "broker"))
        if installation is not None:
            programs.insert(0, postgres.program(installation, self.ports.postgres))
        return programs

    def gateway(self) -> Program:
        """Return the gateway as a program."""
        told = json.dumps(asdict(self.gateway_config()))
        return Program(
            name="gateway",
            argv=(*PYTHON, "devstack.gateway", "--port", str(self.ports.gateway)),
            ready=partial(http_answers, self.supabase_url),
            folder=self.root,
            environment=lambda: {**self.settings(), "GATEWAY_CONFIG": told},
        )

    def require_named_servers(self) -> None:
        """Raise StackError if a server that a setting names does not answer."""
        for variable, answers, port in (
            (postgres.SERVER_VARIABLE, postgres_answers, 5432),
            (valkey.CACHE_VARIABLE, valkey_answers, 6379),
            (valkey.BROKER_VARIABLE, valkey_answers, 6379),
        ):
            if not (named := self._named(variable)):
                continue
            url = urlsplit(named)
            if not answers(url.port or port, url.hostname or "127.0.0.1"):
                raise StackError(
                    f"{variable} names {url.hostname}:{url.port or port}, but no such server "
                    "answers there: start it, or remove the setting to use the stack's own."
                )

    def _inbox(self) -> Program:
        ports = ("--http-port", str(self.ports.inbox), "--smtp-port", str(self.ports.smtp))
        return Program(
            name="inbox",
            argv=(*PYTHON, "devstack.inbox", *ports, "--data", str(self.data / "inbox")),
            ready=partial(http_answers, f"{self.inbox_url}/readyz"),
            folder=self.root,
        )

    def _named(self, variable: str) -> str:
        return self.settings().get(variable, "").strip()

    def _switched_on(self, variable: str) -> bool:
        value = self._named(variable).lower()
        if value not in {"", "true", "false", "1", "0"}:
            raise StackError(f"{variable} must be true or false.")
        return value in {"true", "1"}

    def _redis(self, prefix: str, variable: str, own_port: int) -> dict[str, str]:
        named = self._named(variable)
        if not named:
            return {f"{prefix}_HOST": "127.0.0.1", f"{prefix}_PORT": str(own_port)}
        url = urlsplit(named)
        more = {
            "USERNAME": unquote(url.username or ""),
            "PASSWORD": unquote(url.password or ""),
            "DB": url.path.strip("/"),
            "TLS": "true" if url.scheme == "rediss" else "",
        }
        return {
            f"{prefix}_HOST": url.hostname or "127.0.0.1",
            f"{prefix}_PORT": str(url.port or 6379),
        } | {f"{prefix}_{name}": value for name, value in more.items() if value}
