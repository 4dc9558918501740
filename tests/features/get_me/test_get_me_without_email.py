"""O19: users without an e-mail address read themselves."""


async def test_o19_the_address_is_null(without_email):
    answer = await without_email.get("/users/me")
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["id"] == str(without_email.id)
    assert answer.json()["data"]["email"] is None


async def test_o19_openapi_says_so(anonymous):
    schema = (await anonymous.get("http://api.test/openapi.json")).json()
    kinds = schema["components"]["schemas"]["User"]["properties"]["email"]["anyOf"]
    assert {"type": "null"} in kinds
