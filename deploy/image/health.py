"""Exit code 0 where the process of this container works: the health check of the image.

Worker, relay and beat touch HEARTBEAT_FILE every few seconds. Where there is none, this is the API,
or a process that has not begun: then the API's liveness is asked for. Standard library only, so
that a check takes milliseconds.
"""

import http.client
import os
import sys
import time
from pathlib import Path

OLDEST_SECONDS = 30.0
TIMEOUT_SECONDS = 3.0
LIVENESS = "/api/v1/health/liveness"


def fault() -> str | None:
    """Return what is wrong, or None."""
    heartbeat = Path(os.environ.get("HEARTBEAT_FILE") or os.devnull)
    if heartbeat.is_file():
        age = time.time() - heartbeat.stat().st_mtime
        return f"{heartbeat} is {age:.0f} s old" if age > OLDEST_SECONDS else None
    host = os.environ.get("API_HOST") or "127.0.0.1"
    port = int(_port("API_PORT") or _port("PORT") or 8000)
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - every address has this machine's own
        host = "127.0.0.1"
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", LIVENESS)
        status = connection.getresponse().status
    except OSError as error:
        return f"{host}:{port} does not answer: {error}"
    finally:
        connection.close()
    return None if status == http.HTTPStatus.OK else f"{LIVENESS} answers {status}"


def _port(name: str) -> str | None:
    # Kubernetes sets API_PORT=tcp://… beside a Service of the name api.
    value = os.environ.get(name, "").strip()
    return value if value.isdigit() else None


if __name__ == "__main__":
    sys.exit(fault())
