"""The services that the Edge uses."""

from dataclasses import dataclass

from kernel.cache.reads import Reads
from kernel.identity.denials import Denials
from kernel.identity.revocation import Revocations
from kernel.identity.tokens import TokenVerifier
from kernel.limits.limiter import Limiter
from kernel.live import LiveClients
from kernel.observe.unexpected import UnexpectedErrors
from kernel.redis import Pipeline, WakeUps


@dataclass(frozen=True, slots=True)
class EdgeServices:
    """The services of the Edge; they live while the application runs."""

    redis: Pipeline
    limiter: Limiter
    verifier: TokenVerifier
    revocations: Revocations
    reads: Reads
    denials: Denials
    unexpected: UnexpectedErrors
    wake_ups: WakeUps
    live: LiveClients
