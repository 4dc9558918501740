import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.config.rates import Rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("100/minute", Rate(100, 60)),
        ("1/second", Rate(1, 1)),
        ("5/hour", Rate(5, 3600)),
        ("20/15 minutes", Rate(20, 900)),
        ("20 / 15minutes", Rate(20, 900)),
        (" 3/2 Seconds ", Rate(3, 2)),
        ("7/24 hours", Rate(7, 86400)),
    ],
)
def test_a_rate_is_read_as_people_write_it(text, rate):
    assert Rate.parse(text) == rate


@pytest.mark.parametrize(
    "text",
    [
        "", "10", "minute", "10/", "/minute", "0/minute", "-1/minute", "1.5/minute", "10/0 minutes",
        "10/day", "10 per minute", "10/minute/hour", "10/25 hours", "\u0661/minute",
        "99999999/minute",
    ],
)  # fmt: skip
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(ValueError, match="must"):
        Rate.parse(text)


@given(st.integers(1, 9_999_999), st.integers(1, 86400))
def test_what_is_written_is_read_again(quota, seconds):
    rate = Rate(quota, seconds)
    assert Rate.parse(str(rate)) == rate
    assert rate.microseconds == seconds * 1_000_000


def test_it_is_written_in_the_longest_unit_that_fits():
    written = [str(Rate(20, seconds)) for seconds in (1, 2, 60, 90, 900, 3600, 7200)]
    assert written == [
        "20/second",
        "20/2 seconds",
        "20/minute",
        "20/90 seconds",
        "20/15 minutes",
        "20/hour",
        "20/2 hours",
    ]


@pytest.mark.parametrize("quota", ["10000000", "9" * 30])
def test_a_quota_that_is_too_large_says_so(quota):
    with pytest.raises(ValueError, match="9,999,999 at most"):
        Rate.parse(f"{quota}/minute")
