"""The PostgREST part of the gateway, beyond the recording: keys, refusals, rarer features."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from devstack.gateway.config import GatewayConfig, api_key
from devstack.tests.gateway.rest_kit import (
    ADA,
    RECORDINGS,
    execute,
    fresh_database,
    headers,
    load_schema,
    serve,
)

Send = Callable[..., Awaitable[httpx.Response]]
PEM = (
    ec.generate_private_key(ec.SECP256R1())
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)


READS: list[tuple[str, Any]] = [
    # Junction tables in both directions; a foreign key's column as the name of a parent.
    (
        "/posts?select=title,labels(name)&title=eq.Post 1",
        [{"title": "Post 1", "labels": [{"name": "red"}]}],
    ),
    ("/labels?select=name,posts(title)&id=eq.2", [{"name": "blue", "posts": []}]),
    (
        "/labels?select=name,posts!inner(title)&posts.title=eq.Post 2",
        [{"name": "red", "posts": [{"title": "Post 2"}]}],
    ),
    (
        "/nodes?select=id,parent_id(id)&order=id",
        [{"id": 1, "parent_id": None}, {"id": 2, "parent_id": {"id": 1}}],
    ),
    (
        "/posts?select=profiles!posts_author_id_fkey(display_name)&title=eq.Post 2",
        [{"profiles": {"display_name": "Ada"}}],
    ),
    (
        "/profiles?select=display_name,posts(labels(name))&posts.limit=1&posts.order=title&order=display_name",
        [
            {"display_name": "Ada", "posts": [{"labels": []}]},
            {"display_name": "Grace", "posts": [{"labels": [{"name": "red"}]}]},
        ],
    ),
    # Embedded rows as a condition: some rows, or none.
    (
        "/profiles?select=display_name,posts()&posts.title=eq.Post 2&posts=not.is.null",
        [{"display_name": "Ada"}],
    ),
    (
        "/profiles?select=display_name,posts()&posts.title=eq.Post 2&posts=is.null",
        [{"display_name": "Grace"}],
    ),
    # Operators and positions that are not in the recording.
    ("/posts?select=views&meta->>n=eq.3", [{"views": 30}]),
    ("/posts?select=views&meta->n=gte.11&order=views", [{"views": 110}, {"views": 120}]),
    ("/posts?select=views&order=meta->n.desc&limit=1", [{"views": 120}]),
    ("/posts?select=tag:tags->0,n:meta->>n::int&views=eq.10", [{"tag": "t1", "n": 1}]),
    ("/posts?select=views&title=like(all).{Post*,*2}&order=views", [{"views": 20}, {"views": 120}]),
    ("/posts?select=views&views=eq(any).{10,20}&order=views", [{"views": 10}, {"views": 20}]),
    ("/posts?select=views&title=imatch.^post 3$", [{"views": 30}]),
    ("/posts?select=views&title=fts(english).12", [{"views": 120}]),
    ("/posts?select=views&title=isdistinct.Post 1&views=lt.25", [{"views": 20}]),
    ("/posts?select=views&not.or=(views.gt.20,title.eq.Post 1)", [{"views": 20}]),
    (
        '/posts?select=views&order=id&or=(title.eq."Post 1",title.in.("Post 2",","),tags.cs.{n})',
        [{"views": 10}, {"views": 20}],
    ),
    ("/titles?select=title&title=eq.Post 1", [{"title": "Post 1"}]),
    # Functions.
    ("/rpc/total?numbers=1&numbers=2", 3),
    ("/rpc/pairs?n=3&number=gt.1&select=word&order=word.desc&limit=1", [{"word": "w3"}]),
    (
        "/rpc/latest_posts?n=2&select=title,profiles(display_name)",
        [
            {"title": "Post 12", "profiles": {"display_name": "Ada"}},
            {"title": "Post 11", "profiles": {"display_name": "Grace"}},
        ],
    ),
]


@pytest.fixture(scope="session")
async def contract_database(postgres_url: str) -> AsyncIterator[str]:
    async with fresh_database(postgres_url) as dsn:
        await load_schema(dsn)
        await execute(dsn, (RECORDINGS / "postgrest_more.sql").read_text(encoding="utf-8"))
        yield dsn


@pytest.fixture(scope="session")
def config(contract_database: str) -> GatewayConfig:
    return GatewayConfig(
        database_url=contract_database, public_url="http://rest.test", signing_key=PEM
    )


@pytest.fixture(scope="session")
async def client(config: GatewayConfig) -> AsyncIterator[httpx.AsyncClient]:
    async with serve(config) as client:
        yield client


@pytest.fixture(scope="session")
def send(client: httpx.AsyncClient, config: GatewayConfig) -> Send:
    async def send(
        method: str, path: str, body: Any = None, who: str = "service", **more: str
    ) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in more.items()}
        return await client.request(method, path, json=body, headers=headers(config, who) | named)

    return send


@pytest.mark.parametrize(("path", "body"), READS)
async def test_reads(send: Send, path: str, body: Any):
    answer = await send("GET", path)
    assert (answer.status_code, answer.json()) == (200, body)


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("PUT", "/posts", {}),
        ("GET", "/posts?select=title,...profiles(display_name)", {}),
        ("GET", "/posts?select=shout", {}),
        ("GET", "/posts?select=shout(*)", {}),
        ("GET", "/titles?select=profiles(id)", {}),
        ("GET", "/posts?select=id,profiles(id)&order=profiles(id).asc", {}),
        ("PATCH", "/posts?id=is.null&limit=1", {}),
        ("POST", "/posts", {"Content_Type": "text/csv"}),
        ("GET", "/posts", {"Accept": "application/geo+json"}),
        ("GET", "/posts", {"Accept": "application/vnd.pgrst.array+json;nulls=stripped"}),
        ("GET", "/posts", {"Prefer": "timezone=Europe/Berlin"}),
        ("DELETE", "/posts?id=is.null", {"Prefer": "handling=strict,max-affected=1"}),
        ("GET", "/rpc/pairs?n=1", {"Prefer": "count=planned"}),
    ],
)
async def test_what_the_gateway_does_not_support_is_501_and_says_so(
    send: Send, method: str, path: str, more: dict[str, str]
):
    answer = await send(
        method, path, {"title": "x"} if method in {"POST", "PATCH"} else None, **more
    )
    assert answer.status_code == 501
    assert answer.json()["message"].startswith("The local gateway does not support ")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nodes?select=id,nodes(id)", 300, "PGRST201"),
        ("GET", "/posts?select=id,profiles!nope(id)", 400, "PGRST200"),
        ("GET", "/posts?labels.limit=1", 400, "PGRST108"),
        ("GET", "/profiles?select=id,posts(id)&posts=eq.1", 400, "PGRST120"),
        ("GET", "/posts?select=views.sum()", 400, "PGRST123"),
        ("GET", "/posts?select=count()", 400, "PGRST123"),
        ("GET", "/posts?select=title::nope", 400, "42704"),
        ("GET", "/posts?limit=-1", 416, "PGRST103"),
        ("GET", "/posts?title=eq.%00", 400, "22021"),
        ("GET", "/posts?title=eq.%ff", 400, "PGRST100"),
        ("GET", f"/posts?or={'(and' * 60}", 400, "PGRST100"),
        ("GET", "/posts?title=match.(", 400, "2201B"),
        ("GET", "/posts?id=like.a", 404, "42883"),
        ("GET", "/rpc/publish_post?post_id=aaaaaaaa-0000-4000-8000-000000000003", 405, "25006"),
        ("GET", "/a/b/c", 404, "PGRST125"),
        ("TRACE", "/posts", 405, "PGRST117"),
        ("DELETE", "/rpc/boom", 405, "PGRST101"),
        ("POST", "/rpc/pick", 300, "PGRST203"),
        ("POST", "/rpc/teapot", 418, "TEA"),
        # pg_safeupdate, as on hosted projects: an update without a filter is refused.
        ("PATCH", "/posts", 400, "21000"),
        ("DELETE", "/posts", 400, "21000"),
    ],
)
async def test_refusals(send: Send, method: str, path: str, status: int, code: str):
    answer = await send(
        method,
        path,
        {"a": 1}
        if "pick" in path
        else {"title": "abc"}
        if method == "PATCH"
        else {}
        if method == "POST"
        else None,
    )
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_o22_a_plan_is_refused_as_where_plans_are_off(send: Send):
    wanted = 'application/vnd.pgrst.plan+text; for="application/json"; options=;'
    answer = await send("GET", "/posts", Accept=wanted)
    assert answer.status_code == 406
    assert answer.json()["code"] == "PGRST107"


async def test_sql_sees_the_request_and_shapes_the_answer(send: Send):
    context = (
        await send("POST", "/rpc/context", {}, who="ada", X_Note="hi", Cookie="crumb=1")
    ).json()
    assert context == {
        "role": "authenticated", "claims": "authenticated", "method": "POST",
        "path": "/rpc/context", "header": "hi", "cookie": "1",
    }  # fmt: skip
    said = await send("POST", "/rpc/answer", {"status": "202", "headers": '[{"X-Said": "so"}]'})
    assert (said.status_code, said.headers["x-said"], said.json()) == (202, "so", "said")
    wrong = await send("POST", "/rpc/answer", {"status": "202", "headers": '{"a": 1}'})
    assert (wrong.status_code, wrong.json()["code"]) == (500, "PGRST111")
    assert (await send("POST", "/rpc/teapot", {})).headers["x-spout"] == "here"


async def test_the_function_of_db_pre_request_looks_at_each_request_first(
    send: Send, contract_database: str
):
    await execute(
        contract_database,
        """
        create function public.look() returns void language plpgsql as $$
        begin
          if current_setting('request.jwt.claims')::jsonb ->> 'role' = 'authenticated' then
            raise sqlstate 'PT401' using message = 'not you';
          end if;
        end $$;
        grant execute on function public.look() to anon, authenticated, service_role;
        do $$ begin
          execute format('alter role authenticator in database %I set pgrst.db_pre_request = %L',
            current_database(), 'public.look');
        end $$;
        """,
    )
    try:
        for method, path in (("GET", "/posts?limit=1"), ("DELETE", "/posts?id=eq.0")):
            answer = await send(method, path, who="ada")
            assert (answer.status_code, answer.json()["message"]) == (401, "not you")
        assert (await send("GET", "/posts?limit=1")).status_code == 200
    finally:
        reset = "alter role authenticator in database %I reset pgrst.db_pre_request"
        await execute(
            contract_database,
            f"do $$ begin execute format('{reset}', current_database()); end $$",
        )
    assert (await send("GET", "/posts?limit=1", who="ada")).status_code == 200


async def test_arguments_come_from_the_body(send: Send):
    assert (await send("POST", "/rpc/total", {"numbers": [4, 5]})).json() == 9
    assert (await send("POST", "/rpc/echo", [1, {"a": None}])).json() == [1, {"a": None}]
    assert (await send("POST", "/rpc/pairs", {"n": 1})).json() == [{"number": 1, "word": "w1"}]


async def test_missing_columns_get_null_or_their_default(send: Send):
    path, rows = "/labels?columns=id,name", [{"name": "green"}, {"id": 77}]
    answer = await send("POST", path, rows, Prefer="missing=default,return=representation")
    assert [row["name"] for row in answer.json()] == ["green", "plain"]
    assert (await send("POST", path, rows)).json()["code"] == "23502"


async def test_only_readable_columns_are_returned(send: Send):
    path, prefer = "/ledger?select=owner", "return=representation"
    answer = await send("POST", path, {"id": 1}, who="ada", Prefer=prefer)
    assert (answer.status_code, answer.json()) == (201, [{"owner": ADA}])
    answer = await send("POST", "/ledger", {"id": 2}, who="ada", Prefer=prefer)
    assert (answer.status_code, answer.json()["code"]) == (403, "42501")
    assert (await send("GET", "/ledger?select=id")).json() == [{"id": 1}]


async def test_upsert_is_200_only_when_nothing_was_made(send: Send):
    prefer = "resolution=merge-duplicates"
    first, both = [{"id": 1, "name": "rose"}], [{"id": 1, "name": "rose"}, {"id": 90, "name": "x"}]
    assert (await send("POST", "/labels", first, Prefer=prefer)).status_code == 200
    assert (await send("POST", "/labels", both, Prefer=prefer)).status_code == 201
    twice = await send("POST", "/labels", first * 2, Prefer=prefer)
    assert (twice.status_code, twice.json()["code"]) == (400, "21000")


async def test_a_new_table_is_found_without_a_restart(send: Send, contract_database: str):
    assert (await send("GET", "/newcomer")).json()["code"] == "PGRST205"
    await execute(
        contract_database,
        "create table public.newcomer (id int); grant all on public.newcomer to service_role",
    )
    assert (await send("POST", "/newcomer", {"id": 1})).status_code == 201
    await execute(contract_database, "alter table public.newcomer add name text default 'n'")
    assert (await send("GET", "/newcomer")).json() == [{"id": 1, "name": "n"}]
    assert (await send("GET", "/newcomer?select=name")).json() == [{"name": "n"}]


async def test_a_head_has_no_body_and_options_say_what_is_allowed(send: Send):
    head = await send("HEAD", "/posts", Prefer="count=exact")
    assert (head.status_code, head.content, head.headers["content-range"]) == (200, b"", "0-11/12")
    assert "PATCH" in (await send("OPTIONS", "/posts")).headers["allow"]
    assert "/rpc/pairs" in (await send("GET", "/")).json()["paths"]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({}, 401),
        ({"apikey": "nonsense"}, 401),
        ({"apikey": jwt.encode({"role": "anon"}, "x" * 32, "HS256")}, 401),
        ({"apikey": jwt.encode({"role": "postgres"}, GatewayConfig.jwt_secret, "HS256")}, 401),
        ({"apikey": api_key("anon")}, 200),
        ({"apikey": api_key("service_role")}, 200),
    ],
)
async def test_a_request_needs_a_key_of_this_project(
    client: httpx.AsyncClient, sent: dict[str, str], status: int
):
    answer = await client.get("/posts?limit=1", headers=sent)
    assert answer.status_code == status
    if status == 401:
        message = "Invalid API key" if sent else "No API key found in request"
        assert answer.json()["message"] == message
    by_query = await client.get("/posts", params={"limit": "1"} | sent)
    assert by_query.status_code == status


@pytest.mark.parametrize(
    ("key", "algorithm", "status"),
    [
        (PEM, "ES256", 200),
        (GatewayConfig.jwt_secret, "HS256", 200),
        ("another secret of enough bytes, yes", "HS256", 401),
        (GatewayConfig.jwt_secret + "-" * 16, "HS512", 401),
    ],
)
async def test_each_algorithm_has_its_own_key(
    client: httpx.AsyncClient, config: GatewayConfig, key: str, algorithm: str, status: int
):
    claims = {"sub": ADA, "role": "authenticated", "exp": int(time.time()) + 60}
    bearer = f"Bearer {jwt.encode(claims, key, algorithm)}"
    sent = {"apikey": config.anon_key, "Authorization": bearer}
    assert (await client.get("/posts?limit=1", headers=sent)).status_code == status


async def test_a_role_that_authenticator_must_not_take_is_refused(
    client: httpx.AsyncClient, config: GatewayConfig
):
    claims = {"role": "postgres", "exp": int(time.time()) + 60}
    bearer = f"Bearer {jwt.encode(claims, config.jwt_secret, 'HS256')}"
    sent = {"apikey": config.anon_key, "Authorization": bearer}
    answer = await client.get("/posts", headers=sent)
    assert (answer.status_code, answer.json()["code"]) == (403, "42501")
