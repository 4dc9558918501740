"""The adapter `clamd` with a server on this machine that speaks its protocol."""

import pytest

from adapters.clamd import Clamd, ClamdSettings, NotScanned, ScannerUnavailable
from devstack.testing import free_port
from kit.clamd import EICAR, LIMIT


def client(port, deadline=5.0):
    return Clamd(ClamdSettings.model_validate({"host": "127.0.0.1", "port": port}), deadline)


async def scanned(clamd, *pieces):
    async with clamd.scan() as scan:
        for piece in pieces:
            await scan.feed(piece)
        return await scan.result()


async def test_malware_is_found_also_across_pieces(fake_clamd):
    clamd = client(fake_clamd.port)
    assert await scanned(clamd, EICAR) == "Eicar-Test-Signature"
    assert await scanned(clamd, b"x" * 70_000, EICAR[:20], b"", EICAR[20:]) is not None
    assert await scanned(clamd, b"harmless") is None
    assert await scanned(clamd) is None
    assert fake_clamd.scanned == [len(EICAR), 70_000 + len(EICAR), 8, 0]


async def test_what_is_too_large_for_the_scanner_is_not_scanned(fake_clamd):
    with pytest.raises(NotScanned, match="StreamMaxLength"):
        await scanned(client(fake_clamd.port), *[b"x" * 65_536] * (LIMIT // 65_536 + 200))


async def test_a_scanner_that_is_away_or_says_nothing_is_an_error(fake_clamd):
    with pytest.raises(ScannerUnavailable):
        await scanned(client(free_port()), b"x")
    fake_clamd.silent = True
    assert await client(fake_clamd.port, 0.1).up() is False
    assert await client(free_port()).up() is False


async def test_a_connection_that_is_lost_is_an_error(fake_clamd):
    async with client(fake_clamd.port).scan() as scan:
        await scan.feed(b"x")  # a scan that nobody waits for is no error
    fake_clamd.silent = True
    with pytest.raises(ScannerUnavailable):
        async with client(fake_clamd.port).scan() as scan:
            raise ConnectionResetError


async def test_it_is_off_without_a_host(fake_clamd):
    off = Clamd(ClamdSettings.model_validate({}), 5.0)
    assert await off.up() is None
    assert await scanned(off, EICAR) is None
    assert await client(fake_clamd.port).up() is True
