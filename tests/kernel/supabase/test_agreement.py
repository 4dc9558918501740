"""O21: settings of another project are named before any user logs in."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from devstack.testing import GatewayConfig, GatewayThread, api_key
from kernel.supabase import Agreement, SupabaseHttp

OTHER = "x8J2mQ4vT6yB1nC3zL5kH7gF9dS0aPwRe"
ISSUER = "https://project.example.com/auth/v1"
NAMES = ("SUPABASE_KEY", "SUPABASE_SERVICE_KEY", "JWT_SECRET", "JWT_ISSUER")


async def faults(settings, **changes):
    """Return the faulty settings with the reasons."""
    changed = settings.model_validate(settings.model_dump() | changes)
    async with SupabaseHttp(changed) as http:
        return {fault.setting: fault.reason for fault in await Agreement(http, changed).faults()}


@pytest.fixture(scope="module")
def other(stack):
    """A gateway with keys in the newer format, another secret and an issuer."""
    config = GatewayConfig(
        database_url=stack.database_url,
        public_url="http://127.0.0.1",
        jwt_secret=OTHER,
        jwt_issuer=ISSUER,
        anon_key="sb_publishable_hT3uYb8KqzW0nXf5_RmJ2cVd7-LgAe4",
        service_key="sb_secret_2cVd7-LgAe4hT3uYb8KqzW0nXf5_RmJ",
    )
    with GatewayThread(config) as gateway:
        yield {
            "supabase_url": gateway.url,
            "supabase_key": config.anon_key,
            "supabase_service_key": config.service_key,
        }


async def test_o21_settings_of_one_project_have_no_faults(settings, other):
    assert await faults(settings) == {}
    assert await faults(settings, **other, jwt_secret=OTHER, jwt_issuer=ISSUER) == {}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"supabase_service_key": api_key("anon")}, "SUPABASE_SERVICE_KEY"),
        ({"supabase_key": api_key("service_role")}, "SUPABASE_KEY"),
        ({"jwt_secret": OTHER}, "SUPABASE_KEY"),
        ({"supabase_key": "sb_publishable_unknown", "jwt_secret": None}, "SUPABASE_KEY"),
        ({"supabase_service_key": "unknown"}, "SUPABASE_SERVICE_KEY"),
        ({"jwt_secret": None}, "JWT_SECRET"),
        ({"jwt_issuer": ISSUER}, "JWT_ISSUER"),
    ],
)
async def test_o21_a_setting_of_another_project_is_named(settings, changes, named):
    assert named in await faults(settings, **changes)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"jwt_secret": OTHER[::-1]}, "JWT_SECRET"),
        ({"jwt_secret": OTHER, "jwt_issuer": "https://elsewhere.example.com"}, "JWT_ISSUER"),
    ],
)
async def test_o21_opaque_keys_are_checked_by_a_call_of_auth(settings, other, changes, named):
    found = await faults(settings, **(other | changes))
    assert set(found) == {named}
    assert OTHER[::-1] not in found[named]


async def test_o21_a_project_with_signing_keys_needs_no_secret(settings, stack):
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    config = replace(stack.gateway, signing_key=key.decode())
    with GatewayThread(config) as gateway:
        assert await faults(settings, supabase_url=gateway.url, jwt_secret=None) == {}
