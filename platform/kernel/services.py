"""Which services there are, and how each is made."""

import svcs
from redis.asyncio import Redis

from kernel.call import Call, Caller
from kernel.jwks import Jwks
from kernel.readiness import Readiness
from kernel.redis import connect_redis
from kernel.settings import Settings
from kernel.supabase import AsCaller, AsService, AuthApi, Probe, SupabaseHttp
from kernel.tokens import TokenVerifier


def register_services(registry: svcs.Registry, settings: Settings) -> None:
    """Register all services; those that last as long as the process are closed with the registry.

    A request's own (Call, Caller) are registered in its container, and AuthApi and AsCaller are
    made of them: a service of one request never outlives it.
    """
    http = SupabaseHttp(settings)
    redis = connect_redis(settings)

    def auth_api(container: svcs.Container) -> AuthApi:
        return AuthApi(http, client_address=container.get(Call).client_address)

    def as_caller(container: svcs.Container) -> AsCaller:
        return AsCaller(http, container.get(Caller).token)

    def as_service() -> AsService:
        return AsService(http)

    registry.register_value(Settings, settings)
    registry.register_value(Readiness, Readiness())
    registry.register_value(SupabaseHttp, http, on_registry_close=http.aclose)
    registry.register_value(Probe, Probe(http))
    registry.register_value(Redis, redis, on_registry_close=redis.aclose)
    registry.register_value(TokenVerifier, _verifier(settings, http))
    registry.register_factory(AuthApi, auth_api)
    registry.register_factory(AsCaller, as_caller)
    registry.register_factory(AsService, as_service)


def _verifier(settings: Settings, http: SupabaseHttp) -> TokenVerifier:
    secret = settings.jwt_secret
    return TokenVerifier(
        secret=secret.get_secret_value() if secret else None,
        jwks=Jwks(http, f"{http.base}/auth/v1/.well-known/jwks.json"),
        audience=settings.jwt_audience,
        issuer=settings.jwt_issuer,
    )
