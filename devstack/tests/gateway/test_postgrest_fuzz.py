"""Random requests to the PostgREST part of the gateway cause no 500 and inject no SQL."""

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import quote

import asyncpg
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devstack.gateway.config import GatewayConfig
from devstack.gateway.rest.errors import RestError
from devstack.gateway.rest.query import parse_query
from devstack.gateway.rest.schema import INTROSPECTION, Schema, parse_schema
from devstack.gateway.rest.statements import ResponseForm, read_table
from devstack.tests.gateway.rest_kit import ADA, fresh_database, headers, load_schema, serve

FUZZ = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
# Random, so it appears in SQL only if it comes from the request.
CANARY = "zq7canary91xk"

# Parts of the grammar, of SQL, and other text: mixtures pass the parser's first checks.
_GRAMMAR = (
    "eq. neq. gt. like. ilike. match. imatch. in. is. isdistinct. cs. cd. ov. sl. adj. fts. wfts. "
    "not. (any) (all) (english) . , ( ) { } [ ] ! : :: * -> ->> ... and or not.and null true "
    "unknown asc desc nullsfirst nullslast !inner !left count() sum() int text uuid jsonb "
    "id title views published tags meta author_id created_at profiles posts display_name "
    "author:profiles( posts( 1 -1 99999999999999999999 2026-01-01 1e400 NaN"
)
_HOSTILE = [
    "';drop table posts;--", '";drop table posts;--', "$1", "$$", "$1::text", "' or 1=1--", "\\",
    '"', "'", "%", "%00", "\x00", "\ufeff", "\U0001f600", "\u202e", " ", "+", ";", "&", "=", "/*",
    "pg_sleep(9)", "(select 1)", "{1,2}", '{"a":1}', "e" * 400, "(" * 60, "a.b.c.d", "-", CANARY,
]  # fmt: skip


def _names(listed: str) -> st.SearchStrategy[str]:
    return st.sampled_from(listed.split(" "))


pieces = st.lists(
    st.one_of(_names(_GRAMMAR), st.sampled_from(_HOSTILE), st.text(max_size=5)),
    max_size=8,
).map("".join)
words = st.one_of(st.text(max_size=12), st.sampled_from(_HOSTILE))


columns = _names("id title views published tags meta meta->n meta->>n created_at")
operators = _names("eq neq gt lte like ilike match in is cs cd ov sl fts not.eq eq(any)")
filters = st.one_of(
    st.tuples(columns, st.tuples(operators, pieces).map(".".join)),
    st.tuples(columns, pieces),
    st.tuples(st.sampled_from(["or", "and", "not.or"]), pieces.map(lambda text: f"({text})")),
    st.tuples(
        st.sampled_from(["or", "and"]),
        st.lists(st.tuples(columns, operators, pieces).map(".".join), min_size=1, max_size=3).map(
            lambda terms: f"({','.join(terms)})"
        ),
    ),
    st.tuples(pieces, pieces),
)
others = st.one_of(
    st.tuples(st.sampled_from(["select", "order", "limit", "offset", "columns"]), pieces),
    st.tuples(st.just("select"), st.tuples(columns, pieces).map("::".join)),
    st.tuples(st.just("select"), st.tuples(pieces, columns).map(":".join)),
    st.tuples(st.just("select"), pieces.map("profiles({})".format)),
    st.tuples(st.just("order"), st.tuples(columns, pieces).map(".".join)),
)
# Valid syntax around any text: these requests reach the database.
accepted = st.one_of(
    st.tuples(st.just("title"), st.tuples(_names("eq neq like ilike match"), words).map(".".join)),
    st.tuples(st.just("title"), st.tuples(_names("plfts wfts isdistinct"), words).map(".".join)),
    st.tuples(st.just("title"), words.map(lambda text: f"in.({json.dumps(text)})")),
    st.tuples(st.just("or"), words.map(lambda text: f"(title.eq.{json.dumps(text)},id.is.null)")),
    st.tuples(_names("meta->>n meta->n"), words.map(lambda text: f"neq.{json.dumps(text)}")),
    st.tuples(st.just("select"), words.map(lambda text: f"{json.dumps('a' + text)}:id,title")),
    st.tuples(st.just("select"), words.map(lambda text: f"id,meta->{json.dumps('a' + text)}")),
    st.tuples(st.just("order"), words.map(lambda text: f"meta->{json.dumps('a' + text)}.desc")),
)
queries = st.one_of(
    st.lists(st.one_of(filters, others), max_size=3),
    st.lists(accepted, max_size=2),
    st.lists(st.one_of(filters, others, accepted), max_size=4),
)
json_values: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(_HOSTILE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(columns | st.text(), inner),
    max_leaves=8,
)


def own_row(row: dict[str, object]) -> bytes:
    return json.dumps(row | {"author_id": ADA}).encode()


bodies = st.one_of(
    json_values.map(json.dumps).map(str.encode),
    st.dictionaries(columns, json_values)
    .map(lambda row: row | {"author_id": ADA})
    .map(lambda row: json.dumps(row).encode()),
    st.binary(),
    st.sampled_from([b"[" * 5000, b'{"title":' * 900, b'{"views":1e999}', b"\xef\xbb\xbf{}"]),
)


@pytest.fixture(scope="session")
async def contract_database(postgres_url: str) -> AsyncIterator[str]:
    async with fresh_database(postgres_url) as dsn:
        await load_schema(dsn)
        yield dsn


@pytest.fixture(scope="session")
def config(contract_database: str) -> GatewayConfig:
    return GatewayConfig(database_url=contract_database, public_url="http://rest.test")


@pytest.fixture(scope="session")
async def client(config: GatewayConfig) -> AsyncIterator[httpx.AsyncClient]:
    async with serve(config) as client:
        yield client


@pytest.fixture(scope="session")
async def superuser(contract_database: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(contract_database)
    yield connection
    await connection.close()


@pytest.fixture(scope="session")
async def schema(superuser: asyncpg.Connection) -> Schema:
    return parse_schema(await superuser.fetchval(INTROSPECTION))


def encoded(pairs: list[tuple[str, str]]) -> str:
    return "&".join(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in pairs)


def check(answer: httpx.Response) -> None:
    assert answer.status_code < 500 or answer.status_code == 501, (answer.request.url, answer.text)
    if answer.status_code >= 400:
        assert set(answer.json()) == {"code", "details", "hint", "message"}


@FUZZ
@given(pairs=queries, table=st.sampled_from(["posts", "profiles", "rpc/latest_posts", "nope"]))
async def test_no_query_string_breaks_a_read(
    client: httpx.AsyncClient,
    config: GatewayConfig,
    superuser: asyncpg.Connection,
    *,
    pairs: list[tuple[str, str]],
    table: str,
):
    before = await superuser.fetchval("select count(*) from public.posts")
    check(await client.get(f"/{table}?{encoded(pairs)}", headers=headers(config, "service")))
    assert await superuser.fetchval("select count(*) from public.posts") == before


@FUZZ
@given(
    body=bodies,
    pairs=queries,
    call=st.sampled_from(
        [("POST", "posts"), ("PATCH", "posts"), ("DELETE", "posts"), ("POST", "rpc/count_posts")]
    ),
    prefer=st.sampled_from(
        ["", "return=representation", "resolution=merge-duplicates", "missing=default", CANARY]
    ),
)
async def test_no_body_breaks_a_write(
    client: httpx.AsyncClient,
    config: GatewayConfig,
    superuser: asyncpg.Connection,
    *,
    body: bytes,
    pairs: list[tuple[str, str]],
    call: tuple[str, str],
    prefer: str,
):
    method, path = call
    who = headers(config, "ada") | {"Prefer": prefer, "Content-Type": "application/json"}
    url = f"/{path}?{encoded(pairs)}"
    check(await client.request(method, url, headers=who, content=body))
    # Ada's filters do not bypass row security: the rows of others are unchanged.
    others = "select count(*) from public.posts where author_id <> $1"
    assert await superuser.fetchval(others, ADA) == 6


@FUZZ
@given(
    path=st.text(max_size=12),
    name=st.sampled_from(["Accept", "Prefer", "Range", "Content-Type", "Authorization", "apikey"]),
    value=st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30),
)
async def test_no_path_or_header_breaks_a_request(
    client: httpx.AsyncClient, config: GatewayConfig, *, path: str, name: str, value: str
):
    sent = httpx.Headers(headers(config, "anon"), encoding="latin-1")
    sent[name] = value
    url = f"/{quote(path, safe='')}" if path else "/posts"
    answer = await client.get(url, headers=sent)
    assert answer.status_code < 500 or answer.status_code == 501, answer.text


@FUZZ
@given(raw=st.one_of(st.binary(), queries.map(encoded).map(str.encode)), arguments=st.booleans())
def test_the_parser_raises_nothing_of_its_own(*, raw: bytes, arguments: bool):
    with suppress(RestError):
        parse_query(raw, arguments=arguments)


@FUZZ
@given(pairs=queries)
def test_text_of_a_request_is_never_sql(schema: Schema, pairs: list[tuple[str, str]]):
    marked = [(key, value + CANARY) for key, value in pairs]
    for candidate in (pairs, marked):
        with suppress(RestError):
            query = parse_query(encoded(candidate).encode())
            statement = read_table(schema, "posts", query, ResponseForm(count="exact"), 1000)
            assert CANARY not in statement.sql
            assert "drop" not in statement.sql


@pytest.mark.parametrize(
    "query",
    [
        f"title=eq.{CANARY}",
        f"title=like(any).{{{CANARY}}}",
        f'title=in.("{CANARY}",{CANARY})',
        f"title=fts({CANARY}).{CANARY}",
        f"or=(title.eq.{CANARY},not.and(title.match.{CANARY},views.eq.{CANARY}))",
        f"select={CANARY}:title,meta->{CANARY}->>{CANARY}",
        f'select={CANARY}:profiles("{CANARY}":id)&{CANARY}.id=eq.{CANARY}',
        f"order=meta->{CANARY}.desc&meta->>{CANARY}=eq.{CANARY}",
    ],
)
def test_every_place_for_text_is_bound(schema: Schema, query: str):
    statement = read_table(schema, "posts", parse_query(query.encode()), ResponseForm(), 1000)
    assert CANARY not in statement.sql
    assert CANARY in str(statement.parameters)


@pytest.mark.parametrize(
    "query",
    [
        "title=eq.';drop table posts;--",
        'select="a\\";drop table posts;--":title',
        'or=(title.eq."\');drop table posts;--",views.lt.0)',
        "title=in.(');drop table posts;--)",
        "order=meta->');drop table posts;--",
    ],
)
async def test_injected_sql_is_only_text(
    client: httpx.AsyncClient,
    config: GatewayConfig,
    superuser: asyncpg.Connection,
    query: str,
):
    check(await client.get(f"/posts?{query}", headers=headers(config, "service")))
    assert await superuser.fetchval("select count(*) from public.posts") > 0
