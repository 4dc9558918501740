"""The slots of schedules, also where clocks change."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.jobs import cron, daily, every, seconds
from kernel.jobs.schedule import InvalidJob, Schedule

BERLIN = "Europe/Berlin"
NIGHT = datetime(2026, 1, 2, 2, tzinfo=UTC)
# In 2026 Berlin skips 02:00 to 03:00 on 29 March, and runs it twice on 25 October.
SKIPS, DOUBLES = (datetime(2026, *day, tzinfo=UTC) for day in ((3, 29), (10, 25)))

MOMENTS = st.datetimes(timezones=st.just(UTC)).filter(lambda moment: 1990 < moment.year < 2037)
PERIODS = st.timedeltas(min_value=seconds(1), max_value=timedelta(days=400))
EXPRESSIONS = st.sampled_from(
    [
        "* * * * *",
        "*/15 * * * *",
        "30 * * * *",
        "30 2 * * *",
        "0,30 2 * * *",
        "0 2,3 * * *",
        "*/30 2 * * *",
        "0 2 * * 1-5",
        "0 0 1 * *",
        "15 1 29 2 *",
    ]
)
ZONES = st.sampled_from(
    ["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia"]
)


def slots_of_day(schedule: Schedule, day: datetime) -> list[str]:
    """Return the slots of a day of UTC, as HH:MM in UTC."""
    found, now = [], day - seconds(1)
    while (now := schedule.next(now)) < day + timedelta(days=1):
        found.append(f"{now:%H:%M}")
    return found


def agrees(schedule: Schedule, now: datetime) -> bool:
    """Whether the latest and the next slot are on both sides of a moment, without one between."""
    slot, following = schedule.slot(now), schedule.next(now)
    return (
        slot <= now < following
        and slot.tzinfo is following.tzinfo is UTC
        and schedule.slot(slot) == slot
        and schedule.next(slot) == following
        and schedule.slot(following - timedelta(microseconds=1)) == slot
        and schedule.slot(following) == following
    )


@given(now=MOMENTS, period=PERIODS)
def test_every_moment_has_the_latest_slot_of_a_period(now, period):
    schedule = every(period)
    assert agrees(schedule, now)
    assert schedule.next(now) - schedule.slot(now) == period


@given(now=MOMENTS, hour=st.integers(0, 23), minute=st.integers(0, 59))
def test_every_moment_has_the_latest_slot_of_a_day(now, hour, minute):
    schedule = daily(f"{hour:02}:{minute:02}")
    assert agrees(schedule, now)
    assert (schedule.slot(now).hour, schedule.slot(now).minute) == (hour, minute)
    assert schedule.next(now) - schedule.slot(now) == timedelta(days=1)


@given(now=MOMENTS, expression=EXPRESSIONS, tz=ZONES)
def test_every_moment_has_the_latest_slot_of_an_expression(now, expression, tz):
    assert agrees(cron(expression, tz=tz), now)


@given(around=st.sampled_from([SKIPS, DOUBLES]), minute=st.integers(-120, 360), which=EXPRESSIONS)
def test_every_minute_of_a_night_in_which_clocks_change_has_its_slot(around, minute, which):
    assert agrees(cron(which, tz=BERLIN), around + timedelta(minutes=minute))


def test_slots_are_the_same_in_every_time_zone():
    east = timezone(timedelta(hours=9))
    assert daily("02:00").slot(NIGHT.astimezone(east)) == NIGHT
    assert daily("02:00").slot(NIGHT - timedelta(microseconds=1)) == NIGHT - timedelta(days=1)


def test_a_daily_slot_follows_the_clock_of_its_zone():
    summer, winter = datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    assert slots_of_day(daily("02:00", tz=BERLIN), summer) == ["00:00"]
    assert slots_of_day(daily("02:00", tz=BERLIN), winter) == ["01:00"]
    assert slots_of_day(daily("02:00"), summer) == slots_of_day(daily("02:00"), winter) == ["02:00"]


def test_a_slot_in_the_skipped_hour_is_once_at_its_end():
    assert SKIPS.replace(hour=1).astimezone(ZoneInfo(BERLIN)).hour == 3
    for schedule in (daily("02:30", tz=BERLIN), cron("0,30 2 * * *", tz=BERLIN)):
        assert slots_of_day(schedule, SKIPS) == ["01:00"]  # 03:00 in Berlin


def test_a_slot_in_the_doubled_hour_is_once_in_its_first_run():
    schedule = daily("02:30", tz=BERLIN)
    assert slots_of_day(schedule, DOUBLES) == ["00:30"]
    for hour in (0, 1):  # 02:45 in Berlin, twice
        assert schedule.slot(DOUBLES.replace(hour=hour, minute=45)) == DOUBLES.replace(minute=30)


def test_an_expression_that_begins_with_a_star_follows_real_time():
    assert len(slots_of_day(cron("*/30 * * * *", tz=BERLIN), SKIPS)) == 48
    assert slots_of_day(cron("*/30 2 * * *", tz=BERLIN), SKIPS) == []
    doubled = ["00:00", "00:30", "01:00", "01:30"]
    assert slots_of_day(cron("*/30 2 * * *", tz=BERLIN), DOUBLES) == doubled


def test_working_days_are_monday_to_friday_by_the_clock_of_the_zone():
    friday = datetime(2026, 1, 2, 23, 30, tzinfo=UTC)  # 00:30 on Saturday in Berlin
    schedule = cron("0 2 * * 1-5", tz=BERLIN)
    assert schedule.next(friday) == datetime(2026, 1, 5, 1, tzinfo=UTC)
    assert schedule.slot(friday) == datetime(2026, 1, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (daily("2:05"), "daily, 02:05 UTC"),
        (daily("02:05", tz=BERLIN), "daily, 02:05 Europe/Berlin"),
        (cron("0 2 * * 1-5", tz=BERLIN), "cron 0 2 * * 1-5 Europe/Berlin"),
        (every(timedelta(hours=36)), "every 1 day, 12:00:00"),
    ],
)
def test_a_schedule_says_when_its_slots_are(schedule, words):
    assert str(schedule) == words


@pytest.mark.parametrize(
    ("declare", "sentence"),
    [
        (lambda: cron("0 25 * * *"), r"cron\('0 25 \* \* \*'\) is no cron expression: Bad hour"),
        (lambda: cron("0 2 * *"), "needs five fields: minute, hour, day of the month"),
        (lambda: cron("0 0 2 * * *"), "needs five fields"),
        (lambda: cron("@daily"), "needs five fields"),
        (lambda: cron(""), "needs five fields"),
        (lambda: cron("0 0 30 2 *"), "is no cron expression: Bad day-of-month"),
        (lambda: cron("0 0 */30 2 1#5"), "is never due: no date fits it"),
        (lambda: cron("0 2 * * *", tz="Berlin"), "tz='Berlin' is no time zone"),
        (lambda: daily("02:00", tz="../zones"), "is no time zone"),
        (lambda: daily("25:00"), "needs a time of day as HH:MM"),
        (lambda: daily("2 am"), "needs a time of day as HH:MM"),
        (lambda: every(timedelta(0)), "needs a period above 0"),
    ],
)
def test_a_wrong_schedule_is_one_sentence(declare, sentence):
    with pytest.raises(InvalidJob, match=sentence) as raised:
        declare()
    assert "\n" not in str(raised.value)
