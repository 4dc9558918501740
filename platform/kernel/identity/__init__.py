"""Who the caller is: tokens, sessions, revocation, account limits and the audit log."""
