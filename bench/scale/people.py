"""Users with sessions and published posts, written straight into the database."""

import time
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

import asyncpg
import bcrypt
import jwt

PASSWORD: Final = "correct horse 9"  # noqa: S105  # of users who exist only here
_AN_HOUR: Final = 3600
_ROUNDS: Final = 10  # as Supabase Auth hashes
_CONTENT: Final = 1000  # characters of a post

_USERS: Final = """
insert into auth.users (id, instance_id, aud, role, email, email_confirmed_at, encrypted_password,
  raw_app_meta_data, raw_user_meta_data, created_at, updated_at, confirmation_token, recovery_token,
  email_change_token_new, email_change)
select id, '00000000-0000-0000-0000-000000000000', 'authenticated', 'authenticated', email, now(),
  $4, '{"provider": "email", "providers": ["email"]}', '{}', now(), now(), '', '', '', ''
from unnest($1::uuid[], $2::uuid[], $3::text[]) as one (id, session, email)
"""
_IDENTITIES: Final = """
insert into auth.identities (provider_id, user_id, identity_data, provider, created_at, updated_at)
select id::text, id, jsonb_build_object('email', email, 'sub', id), 'email', now(), now()
from unnest($1::uuid[], $2::uuid[], $3::text[]) as one (id, session, email)
"""
_SESSIONS: Final = """
insert into auth.sessions (id, user_id, created_at, updated_at, refreshed_at, aal)
select session, id, now(), now(), now(), 'aal1'
from unnest($1::uuid[], $2::uuid[], $3::text[]) as one (id, session, email)
"""
_PROFILES: Final = """
insert into public.profiles (id, display_name)
select id, 'User ' || left(email, 8)
from unnest($1::uuid[], $2::uuid[], $3::text[]) as one (id, session, email)
"""
_POSTS: Final = """
insert into public.posts (id, title, content, published, author_id, first_published_at, created_at)
select id, 'A post', repeat('x', $3), true, author, now(), now() - number * interval '1 second'
from unnest($1::uuid[], $2::uuid[]) with ordinality as one (id, author, number)
"""


@dataclass(frozen=True, kw_only=True)
class People:
    """Users, each with an address and an access token, and published posts of theirs."""

    emails: list[str]
    tokens: list[str]
    posts: list[str]


async def fill(url: str, *, users: int, posts: int, secret: str) -> People:
    """Write them into an empty, migrated database; `secret` signs the tokens, for an hour."""
    ids, sessions = [uuid4() for _ in range(users)], [uuid4() for _ in range(users)]
    emails = [f"{one.hex}@example.com" for one in ids]
    written = [uuid4() for _ in range(posts)]
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(_ROUNDS)).decode()
    connection = await asyncpg.connect(url)
    try:
        # Without triggers: each user would get a welcome mail, and each post a notification.
        await connection.execute("set session_replication_role = replica")
        await connection.execute(_USERS, ids, sessions, emails, hashed)
        for statement in (_IDENTITIES, _SESSIONS, _PROFILES):
            await connection.execute(statement, ids, sessions, emails)
        authors = [ids[number % users] for number in range(posts)]
        await connection.execute(_POSTS, written, authors, _CONTENT)
        await connection.execute("set session_replication_role = origin")
        await connection.execute("select totals.repair(name) from totals.lists")
        await connection.execute("analyze")
    finally:
        await connection.close()
    people = zip(ids, sessions, emails, strict=True)
    return People(
        emails=emails,
        tokens=[_token(*person, secret) for person in people],
        posts=[str(one) for one in written],
    )


def _token(user: UUID, session: UUID, email: str, secret: str) -> str:
    now = int(time.time())
    claims = {
        "sub": str(user),
        "aud": "authenticated",
        "role": "authenticated",
        "email": email,
        "session_id": str(session),
        "iat": now,
        "exp": now + _AN_HOUR,
        "is_anonymous": False,
    }
    return jwt.encode(claims, secret, algorithm="HS256")
