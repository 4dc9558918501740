"""The inbox's page: the mails, newest first, and a single mail."""

import re
from datetime import datetime
from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from devstack.inbox.mail import Address, Mail
from devstack.inbox.mailbox import Mailbox

# No scripts, no other hosts, no tracking images. A mail's frame inherits this policy, and has a
# sandbox in addition. HTML mail needs inline styles.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_REFRESH = '<meta http-equiv="refresh" content="3">'
_LINK = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)\]]")
_STYLE = """
:root { color-scheme: light dark; --line: #8883; --soft: #888; --accent: #2f7d5b; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 2rem 1.25rem 4rem;
  font: 16px/1.5 system-ui, sans-serif; }
header { display: flex; align-items: baseline; gap: .75rem; margin-bottom: 1.25rem; }
h1 { font-size: 1.35rem; margin: 0; overflow-wrap: anywhere; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
small, time, dt { color: var(--soft); font-size: .85rem; }
ul { list-style: none; margin: 0; padding: 0; border-top: 1px solid var(--line); }
li a { display: grid; grid-template-columns: 14rem 1fr auto; gap: 0 1rem; padding: .7rem .5rem;
  border-bottom: 1px solid var(--line); color: inherit; }
li a:hover { background: #8881; text-decoration: none; }
li span { overflow: hidden; white-space: nowrap; text-overflow: ellipsis; }
li .unread { font-weight: 650; }
li .snippet { color: var(--soft); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 0 0 1.25rem; }
dd { margin: 0; overflow-wrap: anywhere; }
pre, iframe { width: 100%; border: 1px solid var(--line); border-radius: .5rem; margin: 0 0 1rem; }
pre { padding: 1rem; white-space: pre-wrap; overflow-wrap: anywhere;
  font: 14px/1.55 ui-monospace, monospace; }
iframe { height: 32rem; background: #fff; color-scheme: light; }
h2 { font-size: .85rem; font-weight: 500; color: var(--soft); margin: 0 0 .4rem; }
.empty { color: var(--soft); text-align: center; padding: 5rem 1rem; }
@media (max-width: 40rem) { li a { grid-template-columns: 1fr auto; }
  li a .subject { grid-column: 1 / -1; } }
"""


def routes(mailbox: Mailbox) -> list[Route]:
    """Return the page's routes."""

    async def inbox(_: Request) -> Response:
        return HTMLResponse(_inbox(mailbox.newest_first()), headers=_HEADERS)

    async def mail(request: Request) -> Response:
        found = mailbox.get(request.path_params["id"])
        if found is None:
            return RedirectResponse("/", 303, headers=_HEADERS)
        found.read = True
        return HTMLResponse(_mail(found), headers=_HEADERS)

    return [Route("/", inbox), Route("/mail/{id}", mail)]


def _document(title: str, body: str, head: str = "") -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title>{head}<style>{_STYLE}</style></head>"
        f"<body>{body}</body></html>"
    )


def _inbox(mails: list[Mail]) -> str:
    unread = sum(not mail.read for mail in mails)
    title = f"({unread}) Inbox" if unread else "Inbox"
    listed = f"<ul>{''.join(_item(mail) for mail in mails)}</ul>"
    empty = '<p class="empty">No mail yet. Mails of the application appear here.</p>'
    count = f"{len(mails)} mail{'s' * (len(mails) != 1)}, {unread} unread" if mails else ""
    head = f"<header><h1>Inbox</h1><small>{count}</small></header>"
    return _document(title, head + (listed if mails else empty), _REFRESH)


def _item(mail: Mail) -> str:
    style = "" if mail.read else " unread"
    to = ", ".join(one.address for one in mail.to + mail.cc + mail.bcc)
    return (
        f'<li><a href="/mail/{escape(mail.id)}"><span class="to{style}">{escape(to)}</span>'
        f'<span class="subject"><span class="{style}">{escape(mail.subject or "(no subject)")}'
        f'</span> <span class="snippet">{escape(mail.snippet)}</span></span>'
        f"{_time(mail.received)}</a></li>"
    )


def _mail(mail: Mail) -> str:
    fields = [
        ("From", _named([mail.sender])),
        ("To", _named(mail.to)),
        ("Cc", _named(mail.cc)),
        ("Bcc", _named(mail.bcc)),
        ("Reply to", _named(mail.reply_to)),
        ("Files", ", ".join(one.file_name or one.content_type for one in mail.attachments)),
    ]
    rows = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in fields if value)
    parts = []
    if mail.html:
        # A link in a mail opens a new page, which is not in the sandbox.
        framed = escape(f'<base target="_blank">{mail.html}')
        sandbox = "allow-popups allow-popups-to-escape-sandbox"
        parts.append(f'<iframe sandbox="{sandbox}" srcdoc="{framed}" title="HTML"></iframe>')
    if mail.text:
        parts.append(f"<h2>Text</h2><pre>{_linked(mail.text)}</pre>")
    subject = mail.subject or "(no subject)"
    body = (
        f'<header><a href="/">← Inbox</a><h1>{escape(subject)}</h1></header>'
        f"<dl>{rows}<dt>Received</dt><dd>{_time(mail.received)}</dd></dl>{''.join(parts)}"
    )
    return _document(subject, body)


def _linked(text: str) -> str:
    pieces, end = [], 0
    for match in _LINK.finditer(text):
        link = escape(match[0])
        pieces += [
            escape(text[end : match.start()]),
            f'<a href="{link}" target="_blank">{link}</a>',
        ]
        end = match.end()
    return "".join([*pieces, escape(text[end:])])


def _named(addresses: list[Address]) -> str:
    return ", ".join(
        f"{one.name} <{one.address}>" if one.name else one.address for one in addresses
    )


def _time(when: datetime) -> str:
    return f'<time datetime="{when.isoformat()}">{when.astimezone():%d %b %H:%M:%S}</time>'
