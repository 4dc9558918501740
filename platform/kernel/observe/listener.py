"""/metrics on a listener of its own: METRICS_HOST and METRICS_PORT."""

import logging
import os
import socket
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from socketserver import ThreadingTCPServer
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, GCCollector, Metric, PlatformCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import MetricsHandler
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from kernel.config.settings import Settings, SettingsError
from kernel.core.metrics import PROCESS, SHARED_FOLDER
from kernel.observe.processes import Processes

log = logging.getLogger(__name__)

PATH: Final = "/metrics"
Role = Literal["api", "worker", "relay", "beat"]
_CLIENT_SECONDS: Final = 10.0


class Listener:
    """Serves the metrics of collectors in a thread, also while the process is busy or hangs.

    The text format or OpenMetrics, depending on Accept. Without METRICS_PORT it does nothing.
    """

    def __init__(self, settings: Settings, *collectors: Collector) -> None:
        self._server: ThreadingTCPServer | None = None
        if settings.metrics_port is None:
            return
        registry = CollectorRegistry()
        for collector in collectors:
            registry.register(collector)
        try:
            self._server = _server(settings.metrics_host, settings.metrics_port, registry)
        except OSError as error:
            raise SettingsError(
                f"METRICS_HOST {settings.metrics_host} and METRICS_PORT {settings.metrics_port}: "
                f"{error.strerror or error}. Each process needs a port of its own, or none."
            ) from None
        # A child would otherwise keep the port when its parent has died.
        os.register_at_fork(after_in_child=self._server.socket.close)
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()
        log.info("Metrics are served", extra={"host": settings.metrics_host, "port": self.port})

    @property
    def port(self) -> int | None:
        """The port, which the system has chosen if METRICS_PORT is 0."""
        return None if self._server is None else int(self._server.server_address[1])

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def collectors(role: Role, version: str) -> list[Collector]:
    """Return what every process reports: of itself, or the sum of all that share its folder."""
    folder = os.environ.get(SHARED_FOLDER)
    shared = None if folder is None else Path(folder)
    common = [_Build(role, version), Processes(shared), _Python()]
    if shared is None:
        return [PROCESS, *common]
    # The processes first: they remove the states of those that have died.
    return [*common, _Shared(shared)]


class _Shared(Collector):
    """The sums of all processes. A process that has just made its file has written nothing yet."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        files = [str(file) for file in self._folder.glob("*.db") if file.stat().st_size]
        found: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        return found


class _Build(Collector):
    def __init__(self, role: Role, version: str) -> None:
        self._values = [role, version]

    def collect(self) -> Iterable[Metric]:
        build = GaugeMetricFamily(
            "build_info", "The process's role and version: 1.", labels=["role", "version"]
        )
        build.add_metric(self._values, 1)
        yield build


class _Python(Collector):
    def __init__(self) -> None:
        self._parts = [PlatformCollector(registry=None), GCCollector(CollectorRegistry())]

    def collect(self) -> Iterable[Metric]:
        for part in self._parts:
            yield from part.collect()


def _server(host: str, port: int, registry: Collector) -> ThreadingTCPServer:
    class Handler(MetricsHandler):
        timeout = _CLIENT_SECONDS

        def do_GET(self) -> None:  # noqa: N802 - the library's name
            if urlsplit(self.path).path == PATH:
                super().do_GET()
            else:
                self.send_error(404, explain=f"Metrics are at {PATH}.")

    Handler.registry = registry

    class Server(ThreadingTCPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        allow_reuse_address = True
        daemon_threads = True
        request_queue_size = 16

        def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
            error = sys.exc_info()
            if isinstance(error[1], OSError):
                log.debug("A scrape ended early", exc_info=error)
            else:
                log.error("Metrics cannot be reported", exc_info=error)

    return Server((host, port), Handler)
