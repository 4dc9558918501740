"""Runs the inbox: python -m devstack.inbox --http-port N --smtp-port N --data FOLDER."""

import argparse
import asyncio
import os
import sys
from pathlib import Path

import uvicorn

from devstack.errors import StackError
from devstack.inbox.app import create_app
from devstack.inbox.mailbox import Mailbox
from devstack.inbox.smtp import start_smtp
from devstack.settings import refuse_production


async def serve(http_port: int, smtp_port: int, data: Path | None) -> None:
    """Serve both on 127.0.0.1 until a signal comes."""
    mailbox = Mailbox(data)
    smtp = await start_smtp(smtp_port, mailbox.add)
    config = uvicorn.Config(
        create_app(mailbox),
        port=http_port,
        access_log=False,
        log_level="warning",
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=1,
    )
    try:
        await uvicorn.Server(config).serve()
    finally:
        smtp.close()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m devstack.inbox", description=__doc__)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--data", type=Path, help="keep the mails in this folder")
    arguments = parser.parse_args()
    try:
        refuse_production(os.environ)
    except StackError as error:
        sys.exit(str(error))
    asyncio.run(serve(arguments.http_port, arguments.smtp_port, arguments.data))


if __name__ == "__main__":
    main()
