"""The statements that requests, relay, workers and the cleanup send, each with its bound.

A bound is the number of rows that a statement may read, or sort, however large the database is.
"""
# ruff: noqa: S608 - the SQL is made of our own text

from collections.abc import Sequence
from typing import Final

from bench.growth.files import of_files
from bench.growth.fill import POSTER, READER, WRITER, Sizes, row_id
from bench.growth.statement import FEW, Statement, by_user, call, quoted_id, rpc

_PAGE: Final = 20
_TOTAL: Final = 32  # the rows that one total is the sum of


def statements(sizes: Sizes, rules: Sequence[str], totals: Sequence[str]) -> list[Statement]:
    """Return all of them for a filled database with these rules of retention and totals."""
    return [
        *_lists(sizes),
        *_posts(),
        *_own(),
        *_sessions(sizes),
        *_mails(),
        *_exports(sizes),
        *of_files(),
        *_relay(),
        *_runs(),
        *_cleanup(sizes, rules, totals),
        *_operators(),
        _deletion(sizes),
    ]


def _fail(run: str) -> str:
    return f"update jobs.runs set state = 'failed', finished_at = now() where id = {run}"


def _lists(sizes: Sizes) -> list[Statement]:
    """Return G1: page 1 and 100, and a deep one, for each kind of caller."""
    callers: list[tuple[str, str, int | None, bool]] = [
        ("anonymous", "anon", None, True),
        ("a user", "authenticated", READER, True),
        ("a user's drafts", "authenticated", READER, False),
        (f"{sizes.posts // 10:,} drafts", "authenticated", WRITER, False),
    ]
    deep = sizes.posts * 3 // 4 // _PAGE
    pages = [(1, 5.0), (100, 10.0), (deep, 1000.0), (10**9, 5.0)]
    found = [
        Statement(
            name=f"list_posts page {page:,}, {caller}",
            sql=rpc("list_posts", f"{page}, {_PAGE}, {str(published).lower()}"),
            role=role,
            user=user,
            # The ids of the pages before it come from the index, up to the end of the list.
            rows=FEW + 2 * _PAGE + 2 * _TOTAL + (0 if page == 10**9 else _PAGE * page),
            milliseconds=milliseconds,
        )
        for page, milliseconds in pages
        for caller, role, user, published in callers
    ]
    post = quoted_id("post", sizes.posts // 2 + 1)
    place = (
        "(select (extract(epoch from created_at) * 1000000)::bigint "
        f"from public.posts where id = {post})"
    )
    return [
        *found,
        by_user("total_of_posts", "false", user=WRITER),
        *(
            Statement(
                name=f"browse_posts {case}",
                sql=rpc("browse_posts", f"{arguments}, {_PAGE}"),
                role="anon",
                rows=3 * FEW,
            )
            for case, arguments in {
                "the newest": "null, null, false",
                "after a deep post": f"{place}, {post}, false",
                "before a deep post": f"{place}, {post}, true",
            }.items()
        ),
    ]


def _posts() -> list[Statement]:
    post, own = (
        quoted_id("post", 3),
        quoted_id("post", 10),
    )  # the second one is a draft of the WRITER
    columns = "id, title, content, published, author_id, created_at, updated_at"
    return [
        Statement(
            name="get_post",
            sql=f"select {columns} from public.posts where id = {post} limit 1",
            role="anon",
        ),
        Statement(
            name="create_post",
            sql="insert into public.posts (title, content, published) "
            "values ('A post', 'Text', true) returning *",
            role="authenticated",
            user=WRITER,
        ),
        Statement(
            name="update_post",
            sql="update public.posts set title = 'Another', content = 'Text', published = true "
            f"where id = {own} returning *",
            role="authenticated",
            user=WRITER,
        ),
        Statement(
            name="delete_post",
            sql=f"delete from public.posts where id = {own} returning *",
            role="authenticated",
            user=WRITER,
        ),
        Statement(name="get_settings", sql="select * from public.settings where id = 'global'"),
        Statement(
            name="update_settings",
            sql="update public.settings set site_name = 'Another' where id = 'global'",
        ),
        by_user("replayed_row"),
    ]


def _own() -> list[Statement]:
    user = quoted_id("user", READER)
    return [
        by_user("me"),
        by_user("profile", user),
        by_user("alive"),
        by_user("check_session"),
        by_user("own_sessions", "1, 20"),
        by_user("end_own_session", quoted_id("session", READER)),
        Statement(
            name="update_user",
            sql=f"update public.profiles set display_name = 'Another' where id = {user}",
            role="authenticated",
            user=READER,
        ),
        call("service_alive"),
        call("account", user),
        call("credentials_of", user),
        call("user_id_of", "'user3@example.com'"),
        call("address_confirmed", "'user3@example.com'"),
        call("record_audit", f"'login', {user}"),
        call("record_denial", f"{user}, 'a_slice'"),
        call("last_event"),
        call(
            "events_after",
            "current_setting('growth.event')::bigint",
            setup="select set_config('growth.event', (max(id) - 100)::text, true) "
            "from outbox.events",
        ),
    ]


def _sessions(sizes: Sizes) -> list[Statement]:
    session, token = quoted_id("session", READER), quoted_id("token", READER)
    return [
        call("revoked_sessions", quoted_id("user", READER), case="of a user"),
        call("revoked_sessions", case="all", rows=sizes.users // 10 + FEW, milliseconds=200),
        call("session_started", session),
        call("renew_session", f"{session}, gen_random_uuid(), 0, 0"),
        call("renew_session", f"{session}, {token}, 0, 0", case="by a used token"),
        call("end_session_of_token", token),
        call("note_login", f"{quoted_id('user', READER)}, 'device', 'network', '192.0.2.1'"),
        call("login_notice", quoted_id("login", READER)),
    ]


def _mails() -> list[Statement]:
    user, address = quoted_id("user", READER), "'user3@example.com'"
    request, token = quoted_id("request", READER), quoted_id("mailed", READER)
    return [
        call("request_password_reset", address),
        call("request_confirmation", f"{address}, false"),
        call("resend_confirmation", address),
        call("complete_sign_up", address),
        call("request_email_change", f"{user}, 'free@example.com'"),
        call("email_change_from", quoted_id("request", 5)),  # of those for another address
        call("issue_mailed_token", f"{request}, gen_random_uuid(), 'hash'"),
        call("take_mailed_token", f"{token}, 'hash', 'password_reset'"),
        call("settle_mailed_token", f"{token}, true"),
        call("issue_notice", f"{quoted_id('notice', READER)}, gen_random_uuid(), 'hash'"),
        call(
            "admit_mails",
            "jsonb_build_array(jsonb_build_object('mail', gen_random_uuid(), "
            f"'recipient', {address}, 'kind', 'a.mail', 'security', false))",
        ),
        call("admit_mail", f"gen_random_uuid(), {address}, 'a.mail', false"),
        Statement(
            name="an address changes at Auth",
            sql=f"update auth.users set email = 'free@example.com' where id = {user}",
            role="supabase_auth_admin",
        ),
    ]


def _exports(sizes: Sizes) -> list[Statement]:
    export, user = quoted_id("export", READER), quoted_id("user", READER)
    collected = f"insert into exports.parts values ({export}, 3, 'activity.json', '')"
    return [
        by_user("request_own_export", "gen_random_uuid()"),
        by_user("own_export", export),
        by_user("own_export_chunk", f"{export}, 0"),
        call("request_export", f"gen_random_uuid(), {user}"),
        call("export_of_user", export),
        call("export_chunk", f"{export}, 0"),
        call("collect_export", export),
        Statement(
            name=f"collect_export of {sizes.posts // 10:,} posts",
            sql=rpc("collect_export", quoted_id("export", WRITER)),
            setup=collected.replace(export, quoted_id("export", WRITER)),
            rows=200,
            milliseconds=20,
        ),
        call("export_part", f"{export}, 1"),
        call("put_export_chunk", f"{export}, 0, 'Ynl0ZXM='"),
        call("finish_export", f"{export}, 1, 5"),
    ]


def _relay() -> list[Statement]:
    batch = 100
    results = (
        "select jsonb_agg(jsonb_build_object('id', id, 'dropped', true, 'published', true)) "
        "from outbox.events where claim = '{claim}'"
    )
    claim = str(row_id("claim", 1))
    expired = (
        "update jobs.runs set state = 'running', holder = 'gone:1', "
        "held_until = now() - interval '1 minute' "
        f"where id in (select id from jobs.runs where state = 'queued' limit {batch})"
    )
    return [
        *(
            call(
                "claim_events", f"{batch}, 30, {wanted}", case=case, rows=3 * batch, milliseconds=10
            )
            for case, wanted in {
                "": "true, true",
                "without a broker": "true, false",
                "without a cache": "false, true",
            }.items()
        ),
        call(
            "settle_events",
            f"'{claim}', current_setting('growth.results')::jsonb, "
            "(select jsonb_agg(jsonb_build_object('id', gen_random_uuid(), 'job', 'a.job', "
            "'event_id', r.id, 'item', 0)) from jsonb_to_recordset("
            "current_setting('growth.results')::jsonb) as r (id bigint))",
            setup=f"update outbox.events set claim = '{claim}' where id in "
            f"(select id from outbox.events where dropped_at is null limit {batch}); "
            f"select set_config('growth.results', ({results.format(claim=claim)})::text, true)",
            rows=5 * batch,
            milliseconds=25,
        ),
        call("lost_runs", f"60, {batch}", rows=3 * batch, milliseconds=10),
        call("claim_expired_runs", f"{batch}, 30", setup=expired, rows=3 * batch, milliseconds=10),
        call(
            "settle_expired_runs",
            "current_setting('growth.runs')::uuid[]",
            setup=f"{expired}; select set_config('growth.runs', array_agg(id)::text, true) "
            "from jobs.runs where holder = 'gone:1'",
            rows=3 * batch,
            milliseconds=10,
        ),
        call(
            "keep_unreadable",
            """'[{"id": "00000000-0000-4000-8000-000000000000", "queue": "jobs",
                "at": "2026-01-01T00:00:00Z", "message": "AAAA"}]'""",
        ),
        call("due_replays", f"{batch}", rows=3 * batch, milliseconds=10),
        call("event_topics"),
        call("put_slot", "'a.job', now()"),
    ]


def _runs() -> list[Statement]:
    queued = quoted_id("run", 3)
    begun = f"update jobs.runs set state = 'running', holder = 'me:1' where id = {queued}"
    run = f"{queued}, 'a.job', 3, 0"
    return [
        call("begin_run", f"{run}, 'me:1', 15, 4"),
        call(
            "begin_runs",
            f"jsonb_build_array(jsonb_build_object('run_id', {queued}, 'job', 'a.job', "
            "'event_id', 3, 'item', 0, 'holder', 'me:1', 'max_attempts', 4)), 15",
        ),
        *(
            call(name, arguments, setup=begun)
            for name, arguments in {
                "extend_run": f"{queued}, 'me:1', 15",
                "finish_run": f"{queued}, 'me:1', 'succeeded', null, 5",
                "finish_runs": "jsonb_build_array(jsonb_build_object('run_id', "
                f"{queued}, 'holder', 'me:1', 'state', 'succeeded', 'duration_ms', 5, "
                "'retry_seconds', 0))",
                "release_runs": "'me:', true",
                "close_run": f"{run}, 'succeeded', null",
            }.items()
        ),
        *(
            call(name, queued, setup=_fail(queued))
            for name in ("replay_later", "replay_dead_letter")
        ),
    ]


def _cleanup(sizes: Sizes, rules: Sequence[str], totals: Sequence[str]) -> list[Statement]:
    batch = 1000
    return [
        call("retention_rules"),
        *(
            call(
                "apply_retention",
                f"'{rule}', {batch}, false",
                case=rule,
                rows=5 * batch,
                milliseconds=500,
            )
            for rule in rules
        ),
        # The archived events of the users: five each.
        call("forget_deleted_users", f"{batch}, false", rows=20 * batch, milliseconds=2000),
        call("kept_totals"),
        # Once a night: every row is counted, by an index.
        *(
            call(
                "repair_total",
                f"'{total}', false",
                case=total,
                rows=2 * (sizes.posts + sizes.users),
                milliseconds=2000,
            )
            for total in totals
        ),
    ]


def _operators() -> list[Statement]:
    cap = 10_000  # a state or kind is counted up to the cap
    letter, run = quoted_id("letter", 3), quoted_id("run", 3)
    return [
        call("operations", rows=7 * cap, milliseconds=200),
        call("list_dead_letters", "1, 20, 'waiting'", rows=cap + FEW, milliseconds=50),
        call(
            "list_dead_letters",
            "500, 20, 'waiting'",
            case="the last",
            rows=2 * cap,
            milliseconds=100,
        ),
        call("dead_letter", letter),
        call("discard_dead_letter", letter),
        Statement(
            name="replays of dead letters",
            sql=f"insert into public.dead_letter_replays (dead_letter_id) values ({run})",
            setup=_fail(run),
            role="authenticated",
            user=READER,
            admin=True,
        ),
        call("list_runs", "1, 20", rows=4 * cap + FEW, milliseconds=100),
        call("list_runs", "500, 20", case="the last", rows=8 * cap, milliseconds=200),
        call("list_runs", "1, 20, 'failed'", case="of a state", rows=cap + FEW, milliseconds=50),
        call("shown_run", run),
    ]


def _deletion(sizes: Sizes) -> Statement:
    posts = sizes.posts // 100
    return Statement(
        name=f"deletion of a user with {posts:,} posts",
        sql=f"delete from auth.users where id = {quoted_id('user', POSTER)}",
        role="supabase_auth_admin",
        rows=3 * posts + 10 * FEW,
        milliseconds=2000,
    )
