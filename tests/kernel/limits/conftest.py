from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest
from redis import Redis

from kernel import Feature
from kernel.boot.app import create_app
from kernel.config.settings import Settings
from kit.application import running
from kit.small import changed


@pytest.fixture(scope="session")
def redis(stack):
    """This worker's cache, without the application."""
    url = urlsplit(stack.cache_url)
    with Redis(host=str(url.hostname), port=url.port or 0, db=stack.number) as client:
        yield client


@pytest.fixture
def limited(settings: Settings):
    """Runs small applications: `limited({"call": feature()}, rate_limit_default="3/minute")`."""

    def run(features: Mapping[str, Feature], **changes):
        return running(create_app(changed(settings, **changes), features))

    return run
