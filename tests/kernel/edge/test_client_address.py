"""R4: the client's address is that of the nearest untrusted hop, which a client cannot fake."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.edge.client_address import ClientAddresses

PROXIES = [ip_network(text) for text in ("10.0.0.0/8", "2001:db8:ffff::/48")]


def found(peer: str | None, *forwarded: str, trusted=PROXIES):
    scope = {
        "client": (peer, 4711) if peer else None,
        "headers": [(b"x-forwarded-for", line.encode("latin-1")) for line in forwarded],
    }
    return ClientAddresses(trusted).of(scope)


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["192.0.2.1, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["192.0.2.1, 198.51.100.1, 10.9.9.9"], "198.51.100.1"),
        ("10.0.0.1", ["10.1.1.1, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["192.0.2.1", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1", "10.9.9.9"], "198.51.100.1"),
        ("10.0.0.1", ["10.2.2.2, 10.9.9.9"], "10.2.2.2"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.0.0.1", ["2001:DB8::1"], "2001:db8::1"),
        ("10.0.0.1", ["fe80::1%eth0"], "fe80::1"),
        ("10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("::ffff:203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("2001:db8:ffff::1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["192.0.2.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["192.0.2.1, , 10.9.9.9"], "10.9.9.9"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1,"], "10.0.0.1"),
        ("10.0.0.1", ["127.1"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.01"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1; DROP TABLE"], "10.0.0.1"),
        ("10.0.0.1", ["\xff\x00"], "10.0.0.1"),
        (None, ["198.51.100.1"], None),
        ("/run/api.sock", ["198.51.100.1"], None),
    ],
)
def test_r4_the_right_most_untrusted_hop_is_the_client(peer, forwarded, address):
    assert found(peer, *forwarded).address == address


def test_r4_nobody_is_trusted_by_default():
    assert found("10.0.0.1", "198.51.100.1", trusted=()).address == "10.0.0.1"


def test_r4_a_subscriber_of_ipv6_is_one_subject_and_another_is_another():
    subjects = {found(f"2001:db8:0:1::{number:x}").subject for number in range(1, 101)}
    assert subjects == {"2001:db8:0:1::/64"}
    assert found("2001:db8:0:2::1").subject != found("2001:db8:0:1::1").subject


def test_r4_an_address_is_one_subject_however_it_is_written():
    assert found("::ffff:203.0.113.7").subject == found("203.0.113.7").subject == "203.0.113.7"
    assert found("10.0.0.1", "2001:db8::1").subject == found("10.0.0.1", "2001:DB8:0::1").subject


def test_clients_without_an_address_are_one_subject():
    assert found(None).subject == found("/run/api.sock").subject == "unknown"


@given(st.lists(st.text(st.characters(max_codepoint=255))))
def test_r4_whatever_a_client_writes_it_is_never_believed(lines):
    assert found("203.0.113.7", *lines).address == "203.0.113.7"
    assert found("10.0.0.1", *lines, "198.51.100.1").address == "198.51.100.1"


@given(st.text(st.characters(max_codepoint=255)))
def test_whatever_a_proxy_writes_is_an_address_or_the_proxy(line):
    address = found("10.0.0.1", line).address
    assert address is not None
    ip_network(address)
