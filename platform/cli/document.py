"""`./app openapi`: the OpenAPI document; its copy in docs/ makes each change a visible diff."""

import json
from typing import Annotated, Any

import typer

from cli.checkout import ROOT

COPY = ROOT / "docs" / "openapi.json"


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(openapi)


def openapi(
    *,
    write: Annotated[bool, typer.Option("--write", help="Update docs/openapi.json.")] = False,
) -> None:
    """Show the OpenAPI document, or write it to docs/openapi.json."""
    text = written(document())
    if write:
        current = COPY.exists() and COPY.read_text(encoding="utf-8") == text
        COPY.write_text(text, encoding="utf-8")
        typer.echo(f"{COPY.relative_to(ROOT)} {'was current' if current else 'is written'}")
    else:
        typer.echo(text, nl=False)


def document() -> dict[str, Any]:
    """Return the document of the slices; no setting changes it but APP_NAME, which is left out."""
    from features import APP_NAME
    from kernel.boot.app import create_app
    from kernel.config.settings import Settings

    needed = {
        "supabase_url": "http://127.0.0.1",
        "supabase_key": "none",
        "supabase_service_key": "none",
        "redis_host": "127.0.0.1",
    }
    return create_app(Settings.model_validate({**needed, "app_name": APP_NAME})).openapi()


def written(document: dict[str, Any]) -> str:
    """Return the text of the copy: indented, in the order of names."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
