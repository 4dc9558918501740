"""What a slice says about how often it may be called."""

from dataclasses import dataclass
from typing import Literal

from kernel.config.rates import Rate

Subject = Literal["address", "account"]


@dataclass(frozen=True, init=False)
class Limit:
    """A limit of a slice: `Limit("10/minute")`, `Limit("20/15 minutes", per="account")`.

    *address*: calls from one client address. The Edge counts them before it looks at anything else,
    beside the default limit that all slices share. *account*: what the slice itself counts of one
    e-mail address, by the service AccountLimit.
    Its name derives from the slice's folder (`login`, `login_account`), and RATE_LIMIT_<NAME>
    changes its rate. Raises ValueError for a rate that cannot be read.
    """

    rate: Rate
    per: Subject = "address"

    def __init__(self, rate: str | Rate, *, per: Subject = "address") -> None:
        object.__setattr__(self, "rate", Rate.parse(rate) if isinstance(rate, str) else rate)
        object.__setattr__(self, "per", per)

    def name(self, feature: str) -> str:
        """Return the name that the limit has in the slice with this folder."""
        return feature if self.per == "address" else f"{feature}_{self.per}"
