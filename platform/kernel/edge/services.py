"""The services that the Edge works with."""

from dataclasses import dataclass

from kernel.cache.reads import Reads
from kernel.identity.denials import Denials
from kernel.identity.revocation import Revocations
from kernel.identity.tokens import TokenVerifier
from kernel.limits.limiter import Limiter
from kernel.redis import Pipeline


@dataclass(frozen=True, slots=True)
class EdgeServices:
    """They live as long as the application runs."""

    redis: Pipeline
    limiter: Limiter
    verifier: TokenVerifier
    revocations: Revocations
    reads: Reads
    denials: Denials
