"""The scenarios: how many users, what they do, for how long, and the bounds that must hold."""

from dataclasses import dataclass, replace
from typing import Final

from bench.scale.observed import Observed, Times

P95_MS, P99_MS, HIT_RATE = 200.0, 500.0, 0.80


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """`classes` are Locust's users; each pauses between the two times of `think` (seconds).

    All users are there after `ramp_seconds`, on a machine that is fast enough. The measurement
    begins when they are, or at once if the ramp itself is what is measured (`measures_ramp`).
    """

    name: str
    says: str
    classes: tuple[str, ...]
    users: int
    seconds: float
    think: tuple[float, float]
    ramp_seconds: float = 20.0
    measures_ramp: bool = False
    wants_hits: bool = False
    scaled: str = ""

    def sized(self, *, scale: float, users: int | None, seconds: float | None) -> "Scenario":
        """Return it with other numbers, which its title then states."""
        wanted = users if users is not None else max(1, round(self.users * scale))
        lasts = seconds if seconds is not None else self.seconds
        if (wanted, lasts) == (self.users, self.seconds):
            return self
        part = f"scaled: {wanted:,} of {self.users:,} users, {lasts:.0f} of {self.seconds:.0f} s"
        ramp = min(self.ramp_seconds, lasts / 3)
        return replace(self, users=wanted, seconds=lasts, ramp_seconds=ramp, scaled=part)

    @property
    def title(self) -> str:
        """One line: the name, the size, and whether it is scaled."""
        size = f"{self.name}: {self.users:,} users, {self.seconds:.0f} s"
        return f"{size} ({self.scaled})" if self.scaled else size


SCENARIOS: Final = {
    one.name: one
    for one in (
        Scenario(
            name="browse",
            says="80 % posts by Zipf, 10 % lists, 10 % the own user, all with a token",
            classes=("Browse",),
            users=1000,
            seconds=120,
            think=(1, 3),
            wants_hits=True,
        ),
        Scenario(
            name="write",
            says="posts are written, changed, read and deleted",
            classes=("Write",),
            users=100,
            seconds=120,
            think=(1, 3),
        ),
        Scenario(
            name="accounts",
            says="sign-up or login, own user, refresh, logout",
            classes=("Accounts",),
            users=40,
            seconds=120,
            think=(2, 6),
        ),
        Scenario(
            name="export",
            says="archives of users' data: asked for, awaited, downloaded",
            classes=("Export",),
            users=10,
            seconds=120,
            think=(1, 3),
        ),
        Scenario(
            name="everyday",
            says="10,000 requests in 5 minutes: reads, and now and then a write or a login",
            classes=("Everyday",),
            users=1000,
            seconds=300,
            think=(20, 40),
            measures_ramp=True,
        ),
        Scenario(
            name="spike",
            says="from no user to all in a minute, who read",
            classes=("Browse",),
            users=5000,
            seconds=90,
            think=(5, 15),
            ramp_seconds=60,
            measures_ramp=True,
        ),
        Scenario(
            name="connections",
            says="open keep-alive connections, 1,000 reads a second over all of them",
            classes=(),
            users=10_000,
            seconds=120,
            think=(10, 10),
            ramp_seconds=40,
            wants_hits=True,
        ),
        Scenario(
            name="soak",
            says="the same load for 10 minutes: memory, descriptors, connections stay as they are",
            classes=("Everyday",),
            users=700,
            seconds=600,
            think=(1, 3),
        ),
        Scenario(
            name="faults",
            says="parts are killed under load, and nothing is lost",
            classes=("Browse", "Write"),
            users=120,
            seconds=180,
            think=(1, 3),
            ramp_seconds=10,
        ),
    )
}


def missed(scenario: Scenario, seen: Observed) -> list[str]:
    """Return a sentence for each bound that the answers do not keep."""
    found = []
    times = Times.of(seen.calls)
    for name, value, bound in (("P95", times.p95, P95_MS), ("P99", times.p99, P99_MS)):
        if value >= bound:
            found.append(f"{name} is {value:.0f} ms, and must be under {bound:.0f} ms.")
    if scenario.wants_hits and (seen.hit_rate is None or seen.hit_rate <= HIT_RATE):
        share = "unknown" if seen.hit_rate is None else f"{seen.hit_rate:.1%}"
        found.append(f"The hit rate is {share}, and must be over {HIT_RATE:.0%}.")
    if errors := seen.errors:
        most = ", ".join(f"{times:,} of {what}" for what, times in errors.most_common(5))
        found.append(f"{errors.total():,} errors without a fault: {most}.")
    if not seen.calls:
        found.append("There was no call in the measured time.")
    return found
