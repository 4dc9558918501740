"""AUTH, SELECT, TLS, and the failures to connect that count as unavailable."""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import ssl
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kernel.redis import RedisAway
from kit import resp
from kit.passage import passage
from kit.resp import answering, listening
from kit.waiting import until

SECRET = "a-password-of-48-characters-that-nobody-may-see"


async def echo(pipeline, word: str | bytes = "a"):
    (reply,) = await pipeline.ask(("ECHO", word))
    return reply


@contextlib.asynccontextmanager
async def at(multiplexed_to, valkey, **changes):
    place = {"redis_port": valkey.port, "redis_db": 0, "seconds": 5}
    async with multiplexed_to(**place | changes) as pipeline:
        yield pipeline


@pytest.fixture
def guarded(valkey):
    """A server that requires a password, and also has a user `app`."""
    valkey.client.acl_setuser(
        "app", enabled=True, passwords=[f"+{SECRET}"], commands=["+@all"], keys=["*"]
    )
    valkey.client.config_set("requirepass", SECRET)
    return valkey


@pytest.mark.parametrize("name", [None, "default", "app"])
async def test_the_right_password_opens_the_database_that_is_named(guarded, multiplexed_to, name):
    who = {"redis_username": name, "redis_password": SECRET, "redis_db": 3}
    async with at(multiplexed_to, guarded, **who) as pipeline:
        await pipeline.ask(("SET", "a", "1"))
        (info,) = await pipeline.ask(("CLIENT", "INFO"))
    assert b" db=3 " in info
    assert f" user={name or 'default'} ".encode() in info


@pytest.mark.parametrize(
    ("who", "reason"),
    [
        ({"redis_password": SECRET + "x"}, "AUTH was refused: WRONGPASS"),
        ({"redis_username": "x", "redis_password": SECRET}, "AUTH was refused: WRONGPASS"),
        ({}, "PING was refused: NOAUTH Authentication required."),
        ({"redis_db": 2}, "SELECT was refused: NOAUTH Authentication required."),
        ({"redis_password": SECRET, "redis_db": 99}, "SELECT was refused: ERR DB index is out of"),
    ],
)
async def test_a_refused_login_says_why_and_the_log_has_no_password(
    guarded, multiplexed_to, logged, caplog, who, reason
):
    async with at(multiplexed_to, guarded, **who) as pipeline:
        with pytest.raises(RedisAway, match=reason):
            await echo(pipeline)
    ((message, said),) = logged()
    assert (message, said.startswith(reason)) == ("Redis is away", True)
    assert SECRET not in str([vars(line) for line in caplog.records])


async def test_a_server_that_repeats_the_password_brings_it_into_no_log(
    multiplexed_to, caplog, logged
):
    def repeating(command):
        return b"-ERR unknown command, with args beginning with: %b\r\n" % b" ".join(command)

    async with (
        listening(answering(repeating)) as port,
        multiplexed_to(redis_port=port, redis_password=SECRET) as pipeline,
    ):
        with pytest.raises(RedisAway):
            await echo(pipeline)
    assert logged() == [("Redis is away", "AUTH was refused: ERR")]
    assert SECRET not in str([vars(line) for line in caplog.records])


@pytest.mark.parametrize(
    ("talk", "reason"),
    [
        (resp.silent, r"no answer in 0\.1 s"),
        (resp.loading, "PING was refused: LOADING"),
        (resp.talking_rubbish, "it does not speak RESP"),
        (resp.hanging_up, "the connection"),
        (answering(lambda _: b"+OK\r\n"), "Unexpected reply to PING"),
        (answering(lambda command: b"*0\r\n"), "Unexpected reply to PING"),
    ],
)
async def test_k5_it_says_what_is_wrong_at_the_other_end(multiplexed_to, talk, reason):
    async with listening(talk) as port, multiplexed_to(redis_port=port, redis_db=0) as pipeline:
        started = time.monotonic()
        with pytest.raises(RedisAway, match=reason):
            await echo(pipeline)
        assert time.monotonic() - started < 0.3


async def test_a_server_with_an_invalid_greeting_is_disconnected(multiplexed_to):
    left = asyncio.Event()

    async def talk(reader, writer):
        await answering(lambda _: b"+OK\r\n")(reader, writer)
        left.set()

    async with listening(talk) as port, multiplexed_to(redis_port=port, redis_db=0) as pipeline:
        with pytest.raises(RedisAway):
            await echo(pipeline)
        async with asyncio.timeout(5):
            await left.wait()


@pytest.mark.parametrize("host", ["nowhere.invalid", "x" * 300])
async def test_a_host_that_does_not_exist_is_away(multiplexed_to, host):
    async with multiplexed_to(redis_host=host) as pipeline:
        with pytest.raises(RedisAway):
            await echo(pipeline)


async def test_k6_a_server_that_has_loaded_is_back(multiplexed_to, logged):
    loads = True

    def answer(command):
        return b"-LOADING wait\r\n" if loads else b"+PONG\r\n"

    async with (
        listening(answering(answer)) as port,
        multiplexed_to(redis_port=port, redis_db=0) as pipeline,
    ):
        with pytest.raises(RedisAway):
            await echo(pipeline)
        loads = False
        await until(lambda: len(logged()) == 2, seconds=5)
        assert await echo(pipeline) == b"PONG"


# TLS ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A self-signed certificate for 127.0.0.1 and localhost, and another that no server uses."""
    folder = tmp_path_factory.mktemp("certificates")
    now = dt.datetime.now(dt.UTC)
    for file in ("shown", "other"):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, file)])
        names = [
            x509.DNSName("localhost"),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        ]
        signed = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        encoded = signed.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (folder / f"{file}.pem").write_bytes(encoded)
    return folder


def shown(certificate):
    """Return the context of a server with this certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


def test_tls_by_a_certificate_that_is_trusted(
    valkey, multiplexed_to, certificates, monkeypatch, on_a_loop
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "shown.pem"))

    async def main():
        async with (
            passage(valkey.port, tls=shown(certificates / "shown.pem")) as port,
            multiplexed_to(redis_port=port, redis_db=0, redis_tls=True, seconds=5) as pipeline,
        ):
            value = b"x" * 1024 * 1024
            assert await pipeline.ask(("SET", "a", value), ("GET", "a")) == [b"OK", value]
            words = [str(number).encode() for number in range(500)]
            assert await asyncio.gather(*(echo(pipeline, word) for word in words)) == words

    on_a_loop(main())


@pytest.mark.parametrize(
    ("trusted", "host"), [("other", "127.0.0.1"), ("shown", "127.0.0.2"), (None, "127.0.0.1")]
)
def test_tls_refuses_what_is_not_trusted(
    valkey, multiplexed_to, certificates, monkeypatch, on_a_loop, trusted, host
):
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates / f"{trusted}.pem"))

    async def main():
        async with (
            passage(valkey.port, tls=shown(certificates / "shown.pem"), listens=host) as port,
            multiplexed_to(redis_host=host, redis_port=port, redis_tls=True) as pipeline,
        ):
            with pytest.raises(RedisAway, match=r"CertificateVerif|SSL"):
                await echo(pipeline)

    on_a_loop(main())


def test_a_server_without_tls_is_unavailable_within_the_deadline(multiplexed_to, valkey, on_a_loop):
    async def main():
        for talk in (resp.silent, resp.talking_rubbish, resp.hanging_up):
            async with (
                listening(talk) as port,
                multiplexed_to(redis_port=port, redis_tls=True) as pipeline,
            ):
                started = time.monotonic()
                with pytest.raises(RedisAway):
                    await echo(pipeline)
                assert time.monotonic() - started < 0.3
        async with multiplexed_to(redis_port=valkey.port, redis_tls=True) as pipeline:
            with pytest.raises(RedisAway):
                await echo(pipeline)

    on_a_loop(main())
