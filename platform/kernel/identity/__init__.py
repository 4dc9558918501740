"""The caller's identity: tokens, sessions, revocation, account limits, and the audit log."""

from kernel.identity.account_limit import AccountLimit, Reservation
from kernel.identity.audit import Audit
from kernel.identity.fresh_login import FreshLogin, ReauthenticationRequired, WrongPassword
from kernel.identity.known_networks import KnownNetworks
from kernel.identity.login_notices import LoginNotices
from kernel.identity.mailed_tokens import MailedTokens, NewToken, Proof
from kernel.identity.refreshes import Refreshes
from kernel.identity.revocation import Revocations
from kernel.identity.sessions import SessionStore
from kernel.identity.tokens import InvalidToken, TokenVerifier
from kernel.identity.used_refresh_tokens import UsedRefreshTokens

__all__ = [
    "AccountLimit",
    "Audit",
    "FreshLogin",
    "InvalidToken",
    "KnownNetworks",
    "LoginNotices",
    "MailedTokens",
    "NewToken",
    "Proof",
    "ReauthenticationRequired",
    "Refreshes",
    "Reservation",
    "Revocations",
    "SessionStore",
    "TokenVerifier",
    "UsedRefreshTokens",
    "WrongPassword",
]
