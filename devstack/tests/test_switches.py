"""The DEVSTACK_* settings of the gateway, from the environment and `.env`."""

import jwt
import pytest

from devstack.errors import StackError
from devstack.layout import StackLayout
from devstack.ports import Ports


@pytest.fixture
def told(tmp_path):
    """Returns the gateway's configuration for these settings."""

    def config(**settings):
        return StackLayout(
            root=tmp_path, data=tmp_path, ports=Ports(), settings=lambda: settings
        ).gateway_config()

    return config


def test_without_settings_users_are_confirmed_at_once_and_tokens_are_hs256(told):
    config = told()
    assert config.autoconfirm
    assert config.signing_key is None
    assert config.mail_interval == 60


def test_addresses_can_want_confirmation_and_mails_no_interval(told):
    config = told(DEVSTACK_CONFIRM_EMAIL="true", DEVSTACK_MAIL_INTERVAL="0")
    assert not config.autoconfirm
    assert config.mail_interval == 0


def test_the_signing_key_is_made_once_and_for_this_user_alone(told, tmp_path):
    key = told(DEVSTACK_ES256="1").signing_key
    assert key == told(DEVSTACK_ES256="true").signing_key
    assert jwt.encode({"sub": "1"}, key, algorithm="ES256")
    assert (tmp_path / "signing_key.pem").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["DEVSTACK_CONFIRM_EMAIL", "DEVSTACK_ES256"])
def test_a_switch_that_is_neither_true_nor_false_is_a_sentence(told, name):
    with pytest.raises(StackError, match=f"{name} must be true or false"):
        told(**{name: "perhaps"})


def test_an_interval_that_is_no_number_is_a_sentence(told):
    with pytest.raises(StackError, match="DEVSTACK_MAIL_INTERVAL must be a number"):
        told(DEVSTACK_MAIL_INTERVAL="often")
