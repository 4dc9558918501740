"""The part of Mailpit's API that tests use: https://mailpit.axllent.org/docs/api-v1/."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from devstack.inbox.mail import Address, Attachment, Mail
from devstack.inbox.mailbox import Mailbox

_PAGE = 50


def routes(mailbox: Mailbox) -> list[Route]:
    """Return the API's routes."""

    async def messages(request: Request) -> Response:
        return _listed(mailbox, mailbox.newest_first(), request)

    async def search(request: Request) -> Response:
        query = request.query_params.get("query", "").strip()
        if not query:
            return PlainTextResponse("Error: no search query", 400)
        return _listed(mailbox, mailbox.search(query), request)

    async def message(request: Request) -> Response:
        mail = mailbox.get(request.path_params["id"])
        if mail is None:
            return PlainTextResponse("Error: message not found", 404)
        mail.read = True
        return JSONResponse(_message(mail))

    async def delete(request: Request) -> Response:
        try:
            body = json.loads(await request.body() or b"{}")
            ids = body.get("IDs") or None
            mailbox.delete(None if ids is None else [str(id_) for id_ in ids])
        except (ValueError, AttributeError, TypeError):
            return PlainTextResponse('Error: the body is {"IDs": [...]}, or nothing', 400)
        return PlainTextResponse("ok")

    return [
        Route("/api/v1/messages", messages),
        Route("/api/v1/messages", delete, methods=["DELETE"]),
        Route("/api/v1/search", search),
        Route("/api/v1/message/{id}", message),
    ]


def _listed(mailbox: Mailbox, found: list[Mail], request: Request) -> Response:
    start, limit = _number(request, "start", 0), _number(request, "limit", _PAGE)
    page = found[start : start + limit]
    return JSONResponse(
        {
            "total": len(mailbox),
            "unread": mailbox.unread,
            "count": len(page),
            "messages_count": len(found),
            "messages_unread": sum(not mail.read for mail in found),
            "start": start,
            "tags": [],
            "messages": [_summary(mail) for mail in page],
        }
    )


def _number(request: Request, name: str, otherwise: int) -> int:
    value = request.query_params.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else otherwise  # noqa: PLR2004 - more digits is no page


def _common(mail: Mail) -> dict[str, Any]:
    return {
        "ID": mail.id,
        "MessageID": mail.message_id,
        "From": _address(mail.sender),
        "To": [_address(one) for one in mail.to],
        "Cc": [_address(one) for one in mail.cc],
        "Bcc": [_address(one) for one in mail.bcc],
        "ReplyTo": [_address(one) for one in mail.reply_to],
        "Subject": mail.subject,
        "Tags": [],
        "Username": "",
        "Size": len(mail.raw),
    }


def _summary(mail: Mail) -> dict[str, Any]:
    return _common(mail) | {
        "Read": mail.read,
        "Created": mail.received.isoformat(),
        "Attachments": len(mail.attachments),
        "Snippet": mail.snippet,
    }


def _message(mail: Mail) -> dict[str, Any]:
    inline = [one for one in mail.attachments if one.content_id]
    files = [one for one in mail.attachments if not one.content_id]
    return _common(mail) | {
        "ReturnPath": mail.return_path,
        "Date": mail.date.isoformat(),
        "Text": mail.text,
        "HTML": mail.html,
        "Inline": [_attachment(one) for one in inline],
        "Attachments": [_attachment(one) for one in files],
    }


def _address(address: Address) -> dict[str, str]:
    return {"Name": address.name, "Address": address.address}


def _attachment(one: Attachment) -> dict[str, str | int]:
    return {
        "PartID": one.part_id,
        "FileName": one.file_name,
        "ContentType": one.content_type,
        "ContentID": one.content_id,
        "Size": one.size,
    }
