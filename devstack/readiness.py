"""Checks whether servers are ready, with plain sockets and no client library."""

import http.client
import socket
import struct
from urllib.parse import urlsplit

TIMEOUT = 1.0
HTTP_OK = 200
_PROTOCOL_3 = 196608


def postgres_answers(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether a PostgreSQL accepts clients: it answers R (authentication), not E (error).

    https://www.postgresql.org/docs/current/protocol-flow.html
    """
    parameters = b"user\0postgres\0database\0postgres\0\0"
    hello = struct.pack("!ii", 8 + len(parameters), _PROTOCOL_3) + parameters
    return _ask(host, port, hello)[:1] == b"R"


def valkey_answers(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether a Valkey or Redis answers PING; a request for a password counts, too."""
    return _ask(host, port, b"PING\r\n").startswith((b"+PONG", b"-NOAUTH"))


def http_answers(url: str) -> bool:
    """Return whether a GET of this URL answers 200."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status == HTTP_OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _ask(host: str, port: int, question: bytes) -> bytes:
    try:
        with socket.create_connection((host, port), timeout=TIMEOUT) as connection:
            connection.sendall(question)
            return connection.recv(64)
    except OSError:
        return b""
