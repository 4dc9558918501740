"""`./app docs`: the documentation as a site of static pages; a broken link fails the build."""

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, NoReturn

import typer

from cli.checkout import ROOT

SOURCES = ROOT / "docs" / "site"
SITE = ROOT / ".site"
PAGES = SITE / "html"
_ENVIRONMENT = SITE / "environment"
_SCRIPTS = SITE / "scripts"
_LOOK_EVERY = 1.0


class SiteError(Exception):
    """The site cannot be built; the text says why."""


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(docs)


def docs(
    *,
    serve: Annotated[
        bool, typer.Option("--serve", help="Show the site, and build it again after a change.")
    ] = False,
    port: Annotated[int, typer.Option(help="The port of --serve, on 127.0.0.1.")] = 8080,
) -> None:
    """Build the documentation site into .site/html.

    A broken link or anchor, and a page that docs/site/nav.md does not name, fail the build. The
    first time it installs the generator into .site, as docs/site/requirements.lock has it.
    """
    from cli.install import InstallError

    try:
        prepare()
        if serve:
            _serve(port)
        build(ROOT, PAGES)
    except (InstallError, SiteError) as error:
        typer.echo(f"{error}\nCorrect that, then: ./app docs", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"The site is built: {PAGES / 'index.html'}")


def prepare() -> None:
    """Install Sphinx and Mermaid into .site, if they are not there. Raises InstallError, SiteError.

    Without npm the diagrams are shown as text, and a line says so.
    """
    from cli.install import make_apart
    from cli.lock import SITE_LOCK

    make_apart(ROOT, _ENVIRONMENT, SITE_LOCK)
    if npm := shutil.which("npm"):
        _add_mermaid(npm)
    else:
        typer.echo("npm is not installed: the site shows diagrams as text.", err=True)


def build(source: Path, output: Path, *, fresh: bool = True) -> None:
    """Build the site of a checkout into a folder.

    Without `fresh` only changed pages are built, and faults of the others are not found again.
    Raises SiteError with the faults of the pages, a line each.
    """
    if fresh:
        shutil.rmtree(output, ignore_errors=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    command = [
        *(str(_ENVIRONMENT / "bin" / "python"), "-m", "sphinx", "--builder", "html"),
        *("--conf-dir", str(source / "docs" / "site")),
        *("--doctree-dir", str(output.with_name(f"{output.name}.doctrees"))),
        *(("--fresh-env",) if fresh else ()),
        *("--quiet", "--fail-on-warning"),
        *(str(source), str(output)),
    ]
    done = subprocess.run(  # noqa: S603  # the command is ours
        command,
        env={"SITE_SCRIPTS": str(_SCRIPTS), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SiteError(done.stderr.strip())


def _add_mermaid(npm: str) -> None:
    """Put Mermaid's script into .site/scripts, from the package that package-lock.json pins."""
    locked = json.loads((SOURCES / "package-lock.json").read_text("utf-8"))
    wanted = locked["packages"]["node_modules/mermaid"]
    made_from = _SCRIPTS / "made-from.txt"
    if made_from.exists() and made_from.read_text("utf-8") == wanted["integrity"]:
        return
    typer.echo(f"Downloading Mermaid {wanted['version']} with npm …", err=True)
    with TemporaryDirectory() as folder:
        command = [npm, "pack", "--silent", f"mermaid@{wanted['version']}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603  # the command is ours
        if done.returncode:
            raise SiteError(f"npm cannot download Mermaid: {done.stderr.strip()}")
        package = Path(folder) / done.stdout.strip()
        digest = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
        if f"sha512-{digest}" != wanted["integrity"]:
            raise SiteError(
                "The package mermaid that npm downloaded is not the one in "
                "docs/site/package-lock.json: its hash differs. Look at the registry of npm."
            )
        with tarfile.open(package) as archive:
            script = archive.extractfile("package/dist/mermaid.min.js")
            assert script
            _SCRIPTS.mkdir(exist_ok=True)
            (_SCRIPTS / "mermaid.min.js").write_bytes(script.read())
    made_from.write_text(wanted["integrity"], "utf-8")


def _serve(port: int) -> NoReturn:
    """Serve the site until Ctrl-C; build it again when a page or a setting of it has changed.

    Raises SiteError if the port is taken.
    """
    handler = partial(_Quiet, directory=str(PAGES))
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise SiteError(f"Port {port}: {error.strerror}. Take another with --port.") from None
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        built = 0.0
        while True:
            if (changed := _changed()) != built:
                try:
                    build(ROOT, PAGES, fresh=not built)
                except SiteError as error:
                    typer.echo(str(error), err=True)
                built = changed
                typer.echo(f"Built: http://127.0.0.1:{server.server_port}/ (Ctrl-C ends it)")
            time.sleep(_LOOK_EVERY)


def _changed() -> float:
    """Return the time of the latest change of a page, or of a setting of the site."""
    files = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*"), ROOT / "devstack" / "README.md"]
    return max(path.stat().st_mtime for path in files if path.exists())


class _Quiet(SimpleHTTPRequestHandler):
    """Serves files, and prints nothing about it."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name
        """Print nothing."""
