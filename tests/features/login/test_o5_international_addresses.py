"""Addresses whose domain has characters beyond ASCII: Supabase Auth stores their ASCII form."""

from uuid import uuid4

import pytest

from kit.people import PASSWORD


@pytest.fixture
async def stored(supabase):
    """The address of an account, as Auth stores it."""
    email = f"{uuid4().hex}@xn--bcher-kva.example"
    answer = await supabase.post("/auth/v1/signup", json={"email": email, "password": PASSWORD})
    assert answer.raise_for_status().json()["user"]["email"] == email
    return email


@pytest.mark.parametrize("domain", ["xn--bcher-kva.example", "bücher.example", "BÜCHER.example"])
async def test_o5_a_login_with_each_spelling_is_one_account(anonymous, stored, domain):
    typed = f"{stored.partition('@')[0]}@{domain}"
    answer = await anonymous.post("/auth/login", json={"email": typed, "password": PASSWORD})
    assert answer.status_code == 200
    assert answer.json()["data"]["user"]["email"] == stored


async def test_o5_an_address_that_auth_never_stores_is_422_with_its_field(anonymous):
    body = {"email": "grüße@example.com", "password": PASSWORD}
    answer = await anonymous.post("/auth/login", json=body)
    assert answer.status_code == 422
    (field,) = answer.json()["error"]["details"]["fields"]
    assert field["field"] == "body.email"
    assert "Before the @" in field["message"]
