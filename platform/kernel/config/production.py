"""Unsafe settings for production: reported by `./app config check`, and at the start."""

import logging
from collections.abc import Iterator
from email.utils import parseaddr
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import Final

from kernel.config.finding import Finding
from kernel.config.keys import contradictions, key_findings
from kernel.config.rates import Rate
from kernel.config.settings import NO_REPLY, Settings, SettingsError
from kernel.config.types import host_and_port, is_loopback

log = logging.getLogger(__name__)

_ASSUMED: Final = "is missing, and not all is on this machine, so this is taken as production:"
# As much of the public internet as TRUSTED_PROXIES may hold: all of Cloudflare is a tenth of it.
_WIDEST_IPV4: Final = IPv4Network("0.0.0.0/8").num_addresses
_WIDEST_IPV6: Final = IPv6Network("::/16").num_addresses
_PRIVATE_IPV4: Final = tuple(
    map(IPv4Network, ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12"))
)
_PRIVATE_IPV6: Final = tuple(map(IPv6Network, ("fc00::/7", "fe80::/10")))
_MAPPED: Final = IPv6Network("::ffff:0:0/96")  # IPv4 addresses written as IPv6 (RFC 4291, 2.5.5.2)
_MOST_A_SECOND: Final = 1000  # about what one core answers: more is no limit
_MOST_GUESSES_AN_HOUR: Final = 1000
_LARGEST_BODY: Final = 100 * 1024 * 1024  # bodies are held in memory
_LONGEST_SECONDS: Final = {
    "header_timeout_seconds": 60.0,
    "body_timeout_seconds": 600.0,
    "write_timeout_seconds": 300.0,
}


def findings(settings: Settings) -> list[Finding]:
    """Return all findings, errors first.

    Outside production only the connection to Supabase is checked, because secrets travel there,
    whether the keys contradict each other, and whether there is a broker.
    """
    found = [*_supabase_url(settings), *_one_redis(settings)]
    if settings.app_env == "production":
        for look in (key_findings, _redis, _mail, _addresses, _proxies, _bounds, _rest):
            found += look(settings)
    else:
        found += contradictions(settings)
    return sorted(found, key=lambda finding: finding.level)


def refuse_unsafe(settings: Settings) -> None:
    """In production, raise SettingsError with all errors, if there are any."""
    errors = [finding for finding in findings(settings) if finding.level == "error"]
    if errors and settings.app_env == "production":
        raise SettingsError(refusal(errors, assumed=settings.app_env_is_assumed))


def log_warnings(settings: Settings) -> None:
    """Log one line for each warning."""
    for finding in findings(settings):
        if finding.level == "warning":
            reason = {"setting": finding.setting, "reason": finding.reason}
            log.warning("A setting is not recommended for production", extra=reason)


def refusal(errors: list[Finding], *, assumed: bool = False) -> str:
    """Return the message about errors, one line each.

    *assumed*: this is production because APP_ENV is missing.
    """
    lines = "\n".join(map(str, errors))
    production = f"APP_ENV {_ASSUMED}" if assumed else "With APP_ENV=production"
    return (
        f"The settings are not safe:\n{lines}\n"
        f"{production} nothing starts before they are mended; .env.example explains each."
    )


def _supabase_url(settings: Settings) -> Iterator[Finding]:
    url = settings.supabase_url
    if url.scheme == "https":
        return
    if settings.app_env == "production":
        yield Finding("error", "SUPABASE_URL", "must be https://: keys and passwords go there")
    elif not is_loopback(url.host):
        reason = "is http:// to another machine, and keys and passwords go there: use https://"
        yield Finding("error", "SUPABASE_URL", reason)


def _redis(settings: Settings) -> Iterator[Finding]:
    cache = [settings.redis_host]
    if settings.redis_sentinels:
        cache = [host_and_port(one)[0] for one in settings.redis_sentinels]
    yield from _server("REDIS", cache, settings.redis_password is not None, settings.redis_tls)
    if settings.broker_host is None:
        return  # a warning of its own
    broker = [settings.broker_host]
    yield from _server("BROKER", broker, settings.broker_password is not None, settings.broker_tls)


def _server(name: str, hosts: list[str], has_password: bool, tls: bool) -> Iterator[Finding]:  # noqa: FBT001  # two facts, named at once
    if all(map(is_loopback, hosts)):
        return
    if not has_password:
        reason = "is missing, and the server is another machine: all in its network could use it"
        yield Finding("error", f"{name}_PASSWORD", reason)
    if not tls:
        reason = "is false, and what is kept and the password cross the network unencrypted"
        yield Finding("warning", f"{name}_TLS", reason)


def _mail(settings: Settings) -> Iterator[Finding]:
    host = settings.smtp_host
    if host is None:
        yield Finding("error", "SMTP_HOST", "is missing: no mail could be sent")
    elif settings.smtp_security == "none" and not is_loopback(host):
        reason = "is none, and mails would cross the network unencrypted: use starttls or tls"
        yield Finding("error", "SMTP_SECURITY", reason)
    if parseaddr(settings.mail_from)[1] == NO_REPLY:
        yield Finding("warning", "MAIL_FROM", "is the default: mails would look forged")


def _addresses(settings: Settings) -> Iterator[Finding]:
    if settings.app_url == Settings.model_fields["app_url"].default:
        yield Finding("error", "APP_URL", "is the default: links in mails would lead nowhere")
    elif settings.app_url.scheme != "https":
        reason = "must be https://: links in mails carry one-time tokens"
        yield Finding("error", "APP_URL", reason)
    if "*" in settings.cors_origins:
        reason = "is *: pages of any origin could call with credentials; name your own"
        yield Finding("error", "CORS_ORIGINS", reason)
    if any(origin.startswith("http://") for origin in settings.cors_origins):
        reason = "has http:// origins: an attacker on the network can change their pages"
        yield Finding("warning", "CORS_ORIGINS", reason)
    if "*" in settings.allowed_hosts:
        yield Finding("warning", "ALLOWED_HOSTS", "is *: name the hosts that you serve")


def _one_redis(settings: Settings) -> Iterator[Finding]:
    if settings.broker_host is None:
        reason = (
            "is missing: the cache may evict jobs, and counters of wrong passwords; name a server "
        )
        yield Finding("warning", "BROKER_HOST", reason + "that evicts nothing")


def _proxies(settings: Settings) -> Iterator[Finding]:
    four = [one for one in settings.trusted_proxies if isinstance(one, IPv4Network)]
    six = [one for one in settings.trusted_proxies if isinstance(one, IPv6Network)]
    four += [_unmapped(one) for one in six if one.overlaps(_MAPPED)]
    four = [one for one in four if not any(map(one.subnet_of, _PRIVATE_IPV4))]
    six = [one for one in six if not any(map(one.subnet_of, _PRIVATE_IPV6))]
    if (
        sum(one.num_addresses for one in collapse_addresses(four)) > _WIDEST_IPV4
        or sum(one.num_addresses for one in collapse_addresses(six)) > _WIDEST_IPV6
    ):
        reason = "is a large part of the internet: strangers could invent their client address"
        yield Finding("error", "TRUSTED_PROXIES", reason)


def _unmapped(network: IPv6Network) -> IPv4Network:
    bits = max(network.prefixlen - _MAPPED.prefixlen, 0)
    first = int(network.network_address) & 0xFFFFFFFF if bits else 0
    return IPv4Network((first, bits))


def _bounds(settings: Settings) -> Iterator[Finding]:
    rates = {"default": settings.rate_limit_default, "fallback": settings.rate_limit_fallback}
    guesses = {"reauthentication": settings.rate_limit_reauthentication}
    for name, rate in settings.rate_limits.items():
        (guesses if name.endswith("_account") else rates)[name] = rate
    for name, rate in rates.items():
        if _a_second(rate) > _MOST_A_SECOND:
            reason = f"is more than {_MOST_A_SECOND} a second, which limits nobody"
            yield Finding("error", f"RATE_LIMIT_{name.upper()}", reason)
    for name, rate in guesses.items():
        if _a_second(rate) * 3600 > _MOST_GUESSES_AN_HOUR:
            reason = f"is more than {_MOST_GUESSES_AN_HOUR} an hour: passwords could be guessed"
            yield Finding("error", f"RATE_LIMIT_{name.upper()}", reason)
    if settings.max_body_bytes > _LARGEST_BODY:
        reason = "is more than 100 MiB: a few requests would fill the memory"
        yield Finding("error", "MAX_BODY_BYTES", reason)
    for name, most in _LONGEST_SECONDS.items():
        if getattr(settings, name) > most:
            reason = f"is more than {most:g} s: slow clients would hold the connections"
            yield Finding("warning", name.upper(), reason)


def _a_second(rate: Rate) -> float:
    return rate.quota / rate.seconds


def _rest(settings: Settings) -> Iterator[Finding]:
    if settings.app_env_is_assumed:
        yield Finding("warning", "APP_ENV", _ASSUMED)
    if not settings.refuses_common_passwords:
        reason = "is false: accounts with passwords that everyone tries first would be taken over"
        yield Finding("warning", "REFUSE_COMMON_PASSWORDS", reason)
    if settings.docs:
        yield Finding("warning", "DOCS_ENABLED", "is true: everyone can read /docs")
    if settings.level == "DEBUG":
        reason = "is DEBUG: logs would tell more of people and requests than they need to"
        yield Finding("warning", "LOG_LEVEL", reason)
