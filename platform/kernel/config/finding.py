"""A finding: what is not safe in a setting."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a setting: never its value. An error refuses the start in production."""

    level: Literal["error", "warning"]
    setting: str
    reason: str

    def __str__(self) -> str:
        return f"  {self.setting} {self.reason}"
