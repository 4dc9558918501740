"""The statements about files, and those that Storage sends about their objects."""
# ruff: noqa: S608 - the SQL is made of our own text

from typing import Final

from bench.growth.fill import READER, WRITER
from bench.growth.statement import FEW, Statement, call, quoted_id, rpc

_OWN: Final = 1_000 + FEW  # policies may look through all files of a user, which the quota bounds


def of_files() -> list[Statement]:
    """Return those of the WRITER, who has as many files as the quota allows."""
    file, ready, batch = quoted_id("file", 10), quoted_id("file", 20), 1000
    place = (
        "(select (extract(epoch from created_at) * 1000000)::bigint "
        f"from public.files where id = {file})"
    )
    return [
        *(
            Statement(
                name=f"list_files {case}",
                sql=rpc("list_files", f"{arguments}, 20"),
                role="authenticated",
                user=WRITER,
                rows=3 * FEW,
            )
            for case, arguments in {
                "the newest": "null, null, false",
                "after a deep one": f"{place}, {file}, false",
                "before a deep one": f"{place}, {file}, true",
            }.items()
        ),
        Statement(
            name="request_upload",
            sql="insert into public.files (name, content_type, size) values ('a', 'text/plain', 1)",
            role="authenticated",
            user=READER,
        ),
        Statement(
            name="an upload that Storage tries",
            sql=f"insert into storage.objects (bucket_id, name) values ('files', {file})",
            role="authenticated",
            user=WRITER,
            rows=_OWN,
        ),
        Statement(
            name="a download that Storage signs",
            sql=f"select from storage.objects where bucket_id = 'files' and name = {ready}",
            role="authenticated",
            user=WRITER,
            rows=_OWN,
        ),
        call("finish_file_check", f"{ready}, null, null"),
        call("clear_pending_files", f"{batch}", rows=10 * batch, milliseconds=500),
        call("unused_objects", f"{ready}, {batch}", rows=5 * batch, milliseconds=500),
    ]
