"""Runs the gateway: GATEWAY_CONFIG='{"database_url": …}' python -m devstack.gateway --port N."""

import argparse
import json
import os
import sys

import uvicorn

from devstack.errors import StackError
from devstack.gateway.app import create_app
from devstack.gateway.config import GatewayConfig
from devstack.settings import refuse_production


def main() -> None:
    """Serve on 127.0.0.1 until a signal comes; the settings are JSON in GATEWAY_CONFIG."""
    parser = argparse.ArgumentParser(prog="python -m devstack.gateway", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    try:
        refuse_production(os.environ)
    except StackError as error:
        sys.exit(str(error))
    config = GatewayConfig(**json.loads(os.environ["GATEWAY_CONFIG"]))
    uvicorn.run(
        create_app(config),
        host="127.0.0.1",
        port=arguments.port,
        access_log=False,
        log_level="warning",
        lifespan="on",
        ws="none",
        timeout_graceful_shutdown=2,
        timeout_keep_alive=75,  # like the real one: longer than clients keep a connection
    )


if __name__ == "__main__":
    main()
