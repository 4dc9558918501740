"""The services, and how each is created."""

from collections.abc import Mapping
from functools import partial
from typing import Final

import svcs
from redis.asyncio import Redis

from kernel.boot.adapters import Adapters, discover_adapters
from kernel.cache import Cached, Drops
from kernel.cache.drops import Announce
from kernel.cache.reads import Reads
from kernel.cache.warmer import CacheWarmer
from kernel.config.settings import Settings
from kernel.core.caller import Caller
from kernel.core.cursors import CursorKeys
from kernel.core.derived_key import derived_key
from kernel.core.traces import Traces, traces_to
from kernel.edge.policies import PolicyTable
from kernel.edge.routes import routes_of
from kernel.feature import Feature
from kernel.identity.account_limit import AccountLimit, AccountLimiter
from kernel.identity.audit import Audit
from kernel.identity.denials import Denials
from kernel.identity.fresh_login import FreshLogin
from kernel.identity.jwks import Jwks
from kernel.identity.known_networks import KnownNetworks
from kernel.identity.login_notices import LoginNotices
from kernel.identity.mailed_tokens import MailedTokens
from kernel.identity.refreshes import Refreshes
from kernel.identity.revocation import Revocations
from kernel.identity.seen_tokens import SeenTokens
from kernel.identity.sessions import SessionStore
from kernel.identity.tokens import TokenVerifier
from kernel.identity.used_refresh_tokens import UsedRefreshTokens
from kernel.jobs.runs import DoneMarkers, Run, Runs
from kernel.jobs.unreadable import UnreadableMessages
from kernel.limits.limiter import Limiter
from kernel.limits.policy import Policy, PolicySet
from kernel.live import Hub, LiveClient, LiveClients, LiveStream, Topics
from kernel.mail import Mailer
from kernel.mail.inboxes import Inboxes
from kernel.mail.smtp import SmtpConnections
from kernel.observe.operations import Operations
from kernel.observe.pings import Pings
from kernel.observe.readiness import Readiness
from kernel.observe.unexpected import UnexpectedErrors
from kernel.redis import (
    Pipeline,
    WakeUps,
    connect_broker,
    connect_keeping,
    connect_pipeline,
    connect_redis,
    connect_waiting,
)
from kernel.supabase import (
    Agreement,
    AsCaller,
    AsService,
    AuthAdmin,
    AuthApi,
    Probe,
    StorageAsCaller,
    StorageAsService,
    SupabaseHttp,
)
from kernel.supabase.storage import StorageHttp
from kernel.web.call import Call
from kernel.web.cursor_pages import Cursors
from kernel.web.precondition import Precondition

_OF_BOTH: Final = {Settings, AsService, AuthAdmin, Announce, Redis, StorageAsService, SupabaseHttp}
# The services that a job can ask for: a job has no caller.
JOB_SERVICES: Final[frozenset[type]] = frozenset({*_OF_BOTH, Mailer, Run})
# The services that the handler of a request can ask for.
REQUEST_SERVICES: Final[frozenset[type]] = frozenset(
    {
        *_OF_BOTH,
        *(AuthApi, AsCaller, Call, Caller, Cursors, Precondition, StorageAsCaller),
        *(AccountLimit, Audit, FreshLogin, MailedTokens, Revocations, SessionStore, TokenVerifier),
        *(KnownNetworks, LoginNotices, Refreshes, UsedRefreshTokens),
        *(
            Agreement,
            CacheWarmer,
            Limiter,
            LiveClient,
            LiveClients,
            Operations,
            Pings,
            Probe,
            Readiness,
        ),
    }
)


def register_services(
    registry: svcs.Registry,
    settings: Settings,
    features: Mapping[str, Feature],
    adapters: Adapters | None = None,
    process: str = "api",
) -> None:
    """Register all services; the process-wide ones are closed with the registry.

    By default `adapters` are those of their folder.

    A request's own objects (Call, Caller) are registered in its container, and AuthApi, AsCaller,
    AccountLimit, FreshLogin and MailedTokens are created from them: a service of one request never
    outlives it. The same applies to a job's Run and Mailer. `process` is this process in traces,
    whose thread starts here: call this after a fork.
    """
    traces = traces_to(settings.traces_endpoint, application=settings.app_name, process=process)
    http = SupabaseHttp(settings, traces)
    pipeline, keeping = connect_pipeline(settings), connect_keeping(settings)
    accounts = AccountLimiter(keeping)
    by_account = PolicyTable(features, settings).by_account
    key = derived_key(settings.supabase_service_key.get_secret_value(), "account limits")
    redis = connect_redis(settings)
    cursor_keys = CursorKeys(*settings.cursor_secrets)
    drops = Drops(pipeline, prefixes_of(features, cursor_keys))

    def auth_api(container: svcs.Container) -> AuthApi:
        call = container.get(Call)
        return AuthApi(http, client_address=call.client_address, user_agent=call.user_agent)

    def as_caller(container: svcs.Container) -> AsCaller:
        return AsCaller(http, container.get(Caller).token, container.get(Call).idempotency)

    def known_networks(container: svcs.Container) -> KnownNetworks:
        return KnownNetworks(keeping, key, container.get(Call).client_address)

    def account_limit(container: svcs.Container) -> AccountLimit:
        name = container.get(Call).feature
        if name not in by_account:
            raise LookupError(
                f"features/{name} asks for an AccountLimit but declares none: "
                'Feature(limits=(Limit("20/15 minutes", per="account"),))'
            )
        return AccountLimit(accounts, by_account[name], container.get(KnownNetworks))

    reauthentication = PolicySet([Policy("reauthentication", settings.rate_limit_reauthentication)])

    def fresh_login(container: svcs.Container) -> FreshLogin:
        parts = container.get(AuthApi, AsService, Caller, Audit)
        known = container.get(KnownNetworks)
        return FreshLogin(*parts, attempts=AccountLimit(accounts, reauthentication, known))

    def mailed_tokens(container: svcs.Container) -> MailedTokens:
        return MailedTokens(*container.get(AsService, Call))

    registry.register_value(Settings, settings)
    registry.register_value(CursorKeys, cursor_keys)
    _register_checks(registry, settings, http)
    _register_supabase(registry, http, StorageHttp(http, settings, traces))
    registry.register_value(Redis, redis, on_registry_close=redis.aclose)
    registry.register_value(Pipeline, pipeline, on_registry_close=pipeline.aclose)
    registry.register_value(Limiter, Limiter(pipeline))
    registry.register_value(AccountLimiter, accounts, on_registry_close=keeping.aclose)
    _register_jobs(registry, settings, http)
    _register_flights(registry, settings, pipeline, drops)
    _register_observers(registry, http, traces)
    _register_sessions(registry, settings, http, redis)
    _register_live(registry, settings, features, pipeline)
    _register_own_settings(registry, settings, features)
    _register_adapters(registry, settings, discover_adapters() if adapters is None else adapters)
    registry.register_factory(AuthApi, auth_api)
    registry.register_factory(AccountLimit, account_limit)
    registry.register_factory(AsCaller, as_caller)
    registry.register_factory(FreshLogin, fresh_login)
    registry.register_factory(KnownNetworks, known_networks)
    registry.register_factory(MailedTokens, mailed_tokens)


def prefixes_of(
    features: Mapping[str, Feature], cursor_keys: CursorKeys | None = None
) -> dict[Cached, list[str]]:
    """Return all cached reads, and what the keys of each begin with: once for each route."""
    prefixes: dict[Cached, list[str]] = {}
    for route in routes_of(features, cursor_keys):
        for cached, prefix in (route.cache.prefixes if route.cache else {}).items():
            prefixes.setdefault(cached, []).append(prefix)
    return prefixes


def _register_observers(registry: svcs.Registry, http: SupabaseHttp, traces: Traces) -> None:
    registry.register_value(Operations, Operations(AsService(http)))
    registry.register_value(Traces, traces, on_registry_close=traces.aclose)


def _register_supabase(registry: svcs.Registry, http: SupabaseHttp, storage: StorageHttp) -> None:
    def storage_as_caller(container: svcs.Container) -> StorageAsCaller:
        return StorageAsCaller(storage, container.get(Caller).token)

    registry.register_value(SupabaseHttp, http, on_registry_close=http.aclose)
    registry.register_factory(AsService, lambda: AsService(http))
    registry.register_factory(StorageAsCaller, storage_as_caller)
    registry.register_factory(StorageAsService, lambda: StorageAsService(storage))


def _register_checks(registry: svcs.Registry, settings: Settings, http: SupabaseHttp) -> None:
    registry.register_value(Readiness, Readiness())
    registry.register_value(Probe, Probe(http))
    registry.register_value(Agreement, Agreement(http, settings))


def _register_sessions(
    registry: svcs.Registry, settings: Settings, http: SupabaseHttp, redis: Redis
) -> None:
    def audit(container: svcs.Container) -> Audit:
        return Audit(*container.get(AsService, Call))

    def login_notices(container: svcs.Container) -> LoginNotices:
        parts = container.get(AsService, Call)
        return LoginNotices(*parts, enabled=settings.login_notices)

    def used_refresh_tokens(container: svcs.Container) -> UsedRefreshTokens:
        return UsedRefreshTokens(*container.get(AsService, SeenTokens, Revocations, Audit))

    registry.register_factory(Audit, audit)
    registry.register_factory(AuthAdmin, lambda: AuthAdmin(http))
    registry.register_factory(LoginNotices, login_notices)
    registry.register_value(TokenVerifier, _verifier(settings, http))
    registry.register_value(Revocations, Revocations(redis, AsService(http)))
    registry.register_value(SessionStore, SessionStore(redis))
    registry.register_value(SeenTokens, SeenTokens(redis))
    registry.register_factory(UsedRefreshTokens, used_refresh_tokens)
    denials = Denials(AsService(http))
    registry.register_value(Denials, denials, on_registry_close=denials.aclose)


def _register_jobs(registry: svcs.Registry, settings: Settings, http: SupabaseHttp) -> None:
    broker, smtp = connect_broker(settings), SmtpConnections(settings)
    inboxes = Inboxes(AsService(http))

    def mailer(container: svcs.Container) -> Mailer:
        run = container.get(Run)
        return Mailer(settings, feature=run.slice, run_id=run.id, inboxes=inboxes, smtp=smtp)

    registry.register_value(DoneMarkers, DoneMarkers(broker), on_registry_close=broker.aclose)
    registry.register_value(UnreadableMessages, UnreadableMessages(broker))
    registry.register_value(Runs, Runs(AsService(http)))
    registry.register_value(SmtpConnections, smtp, on_registry_close=smtp.aclose)
    registry.register_factory(Mailer, mailer)


def _register_flights(
    registry: svcs.Registry, settings: Settings, pipeline: Pipeline, drops: Drops
) -> None:
    reads, wake_ups = Reads(pipeline, drops), WakeUps(pipeline)
    refreshes = Refreshes(pipeline, settings.supabase_service_key.get_secret_value())
    registry.register_value(Drops, drops)
    registry.register_value(Reads, reads, on_registry_close=reads.aclose)
    registry.register_value(Announce, Announce(drops, wake_ups))
    registry.register_value(WakeUps, wake_ups, on_registry_close=wake_ups.aclose)
    registry.register_value(Refreshes, refreshes, on_registry_close=refreshes.aclose)


def _register_live(
    registry: svcs.Registry,
    settings: Settings,
    features: Mapping[str, Feature],
    pipeline: Pipeline,
) -> None:
    topics = Topics(one for feature in features.values() for one in feature.topics)

    with svcs.Container(registry) as container:
        revocations, readiness = container.get(Revocations, Readiness)
    live = LiveClients(
        Hub(connect_waiting(settings)),
        topics,
        most=settings.live_max_sockets,
        per_user=settings.live_per_user,
        ended=revocations.ended,
        draining=lambda: readiness.draining,
    )
    registry.register_value(LiveStream, LiveStream(pipeline, topics))
    registry.register_value(LiveClients, live, on_registry_close=live.aclose)


def _register_own_settings(
    registry: svcs.Registry, settings: Settings, features: Mapping[str, Feature]
) -> None:
    for feature in features.values():
        if feature.settings is not None:
            registry.register_value(feature.settings, settings.own(feature.settings))


def _register_adapters(registry: svcs.Registry, settings: Settings, adapters: Adapters) -> None:
    pings, unexpected = Pings(), UnexpectedErrors()
    registry.register_value(Pings, pings)
    registry.register_value(UnexpectedErrors, unexpected)
    for name, adapter in adapters.items():
        seconds = adapter.deadline.total_seconds()
        client = adapter.make(settings.own(adapter.settings), seconds)
        close = partial(adapter.close, client) if adapter.close is not None else None
        registry.register_value(adapter.client, client, on_registry_close=close)
        if adapter.ping is not None:
            pings.add(name, partial(adapter.ping, client), seconds=seconds)
        if adapter.observe is not None and (observer := adapter.observe(client)) is not None:
            unexpected.add(observer)


def _verifier(settings: Settings, http: SupabaseHttp) -> TokenVerifier:
    secret = settings.jwt_secret
    return TokenVerifier(
        secret=secret.get_secret_value() if secret else None,
        jwks=Jwks(http, f"{http.base}/auth/v1/.well-known/jwks.json"),
        audience=settings.jwt_audience,
        issuer=settings.jwt_issuer,
        longest_seconds=settings.max_token_seconds,
    )
