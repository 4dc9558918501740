import pytest
from pydantic import TypeAdapter, ValidationError

from kernel.core.addresses import normal_address
from kernel.web import Email

NORMAL = "hello@xn--bcher-kva.example"


@pytest.mark.parametrize(
    "typed", [NORMAL, NORMAL.upper(), "hello@bücher.example", "Hello@BÜCHER.example"]
)
def test_o5_each_spelling_of_a_domain_is_the_one_that_auth_stores(typed):
    assert normal_address(typed) == NORMAL
    assert TypeAdapter(Email).validate_python(typed) == NORMAL


@pytest.mark.parametrize("typed", ["grüße@example.com", "用户@example.com"])
def test_o5_characters_that_auth_refuses_before_the_at_sign_are_named(typed):
    assert normal_address(typed) is None
    with pytest.raises(ValidationError, match="Before the @"):
        TypeAdapter(Email).validate_python(typed)


def test_a_domain_that_does_not_exist_in_ascii_is_none():
    assert normal_address("hello@­.example") is None
