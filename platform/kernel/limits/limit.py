"""A slice's declaration of its rate limit."""

from dataclasses import dataclass
from typing import Literal

from kernel.config.rates import Rate

Subject = Literal["address", "account"]


@dataclass(frozen=True, init=False)
class Limit:
    """A rate limit of a slice: `Limit("10/minute")`, `Limit("20/15 minutes", per="account")`.

    *address*: requests from one client address. The Edge counts them first, together with the
    default limit that all slices share. *account*: requests for one e-mail address; the slice
    itself counts them with the service AccountLimit. The limit's name comes from the slice's folder
    (`login`, `login_account`), and RATE_LIMIT_<NAME> changes its rate. Raises ValueError for an
    invalid rate.
    """

    rate: Rate
    per: Subject = "address"

    def __init__(self, rate: str | Rate, *, per: Subject = "address") -> None:
        object.__setattr__(self, "rate", Rate.parse(rate) if isinstance(rate, str) else rate)
        object.__setattr__(self, "per", per)

    def name(self, feature: str) -> str:
        """Return the limit's name in the slice with this folder."""
        return feature if self.per == "address" else f"{feature}_{self.per}"
