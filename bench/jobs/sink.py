"""A mail server that takes every letter and keeps none: `python -m bench.jobs.sink PORT`.

NOOP answers with the number of letters so far.
"""

import asyncio
import sys
from typing import Final

_ANSWERS: Final = {
    b"EHLO": b"250-sink\r\n250 8BITMIME\r\n",
    b"DATA": b"354 Go ahead\r\n",
    b"QUIT": b"221 Bye\r\n",
}
_END: Final = b"\r\n.\r\n"


class _Sink(asyncio.Protocol):
    letters = 0

    def __init__(self) -> None:
        self._received = b""
        self._in_letter = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self._received += data
        while True:
            line, end, rest = self._received.partition(_END if self._in_letter else b"\r\n")
            if not end:
                return
            self._received = rest
            self._transport.write(self._answer(line))

    def _answer(self, line: bytes) -> bytes:
        if self._in_letter:
            self._in_letter = False
            _Sink.letters += 1
            return b"250 Taken\r\n"
        verb = line[:4].upper()
        self._in_letter = verb == b"DATA"
        if verb == b"NOOP":
            return b"250 %d\r\n" % self.letters
        return _ANSWERS.get(verb, b"250 OK\r\n")


async def _main(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Sink, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
