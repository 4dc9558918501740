"""E-mail addresses in the form that mail servers and Supabase Auth know."""

from email_validator import EmailNotValidError, validate_email


def ascii_domain(domain: str) -> str | None:
    """Return the ASCII form of a domain (RFC 5890), or None if it has none."""
    if domain.isascii():
        return domain
    try:
        return validate_email(f"x@{domain}", check_deliverability=False).ascii_domain
    except EmailNotValidError:
        return None


def normal_address(address: str) -> str | None:
    """Return an address as Supabase Auth stores it: in lower case, the domain in its ASCII form.

    Auth accepts no other characters before the @, so such an address is None.
    """
    local, _, name = address.lower().rpartition("@")
    domain = ascii_domain(name)
    return f"{local}@{domain}" if domain and local.isascii() else None
