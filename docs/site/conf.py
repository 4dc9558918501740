"""Sphinx's settings for the documentation site: `./app docs` builds it, and takes no other.

The pages are the Markdown files of the top folder and of docs/, where they are. nav.md beside this
file has their order; a page that it does not name fails the build.
"""

import ast
import html
import os
import re
import shutil
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).parents[2]
_FOLDERS = {"docs", "devstack"}  # the others have no pages: Sphinx does not walk through them
# `./app docs` puts Mermaid there; without it a diagram is shown as its text.
MERMAID = Path(os.environ["SITE_SCRIPTS"])
_FEATURES = (ROOT / "features" / "__init__.py").read_text(encoding="utf-8")
_CONSTANTS = {
    node.targets[0].id: node.value.value
    for node in ast.parse(_FEATURES).body
    if isinstance(node, ast.Assign)
    and isinstance(node.targets[0], ast.Name)
    and isinstance(node.value, ast.Constant)
}

project = _CONSTANTS["APP_NAME"]
release = _CONSTANTS["__version__"]
html_title = f"{project} {release}"

extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["*.md", "docs/**.md", "devstack/README.md"]
exclude_patterns = [
    "docs/site",
    *(path.name for path in ROOT.iterdir() if path.is_dir() and path.name not in _FOLDERS),
]
# Pygments reads no function bodies of SQL in $$, and no request without its version of HTTP.
suppress_warnings = ["misc.highlighting_failure"]

myst_heading_anchors = 6  # with GitHub's names: a link works in both places
myst_fence_as_directive = ["mermaid"]

highlight_language = "none"
smartquotes = False
html_theme = "furo"  # its fonts are the reader's own
html_static_path = [str(Path(__file__).with_name("static"))]
html_favicon = "static/favicon.svg"
html_css_files = ["diagrams.css"]
html_js_files = ["diagrams.js"]
if (MERMAID / "mermaid.min.js").exists():
    html_static_path.append(str(MERMAID))
    html_js_files.insert(0, "mermaid.min.js")
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_use_index = False

_PAGES_BESIDE = "```{toctree}\n:hidden:\n:glob:\n\n*\n```\n"
_NAVIGATION = {
    root_doc: Path(__file__).with_name("nav.md").read_text(encoding="utf-8"),
    "docs/how-to/README": _PAGES_BESIDE,
    "docs/decisions/README": _PAGES_BESIDE,
}
_BADGE = re.compile(r"^\[!\[.*\n", re.MULTILINE)  # a picture that GitHub draws
_LINK = re.compile(r"\[([^\]\n]+)\]\(([^)#:\s]+)\)")


class Diagram(SphinxDirective):
    """The text of a diagram, for Mermaid in the reader's browser."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the element that Mermaid looks for."""
        text = html.escape("\n".join(self.content))
        return [nodes.raw("", f'<pre class="mermaid">{text}</pre>', format="html")]


def _prepare(app: Sphinx, page: str, source: list[str]) -> None:
    """Add the navigation, and leave out what only a Git host can show: badges, links to folders."""
    folder = (ROOT / page).parent
    source[0] = _LINK.sub(
        lambda link: link[1] if (folder / link[2]).is_dir() else link[0], source[0]
    )
    if page in _NAVIGATION:
        app.env.note_dependency(str(Path(__file__).with_name("nav.md")))
        source[0] = f"{_BADGE.sub('', source[0])}\n{_NAVIGATION[page]}"


def _copy_start(app: Sphinx, error: Exception | None) -> None:
    """Let the site's address alone lead to the start."""
    if error is None:
        shutil.copyfile(Path(app.outdir, f"{root_doc}.html"), Path(app.outdir, "index.html"))


def setup(app: Sphinx) -> None:
    """Sphinx calls this."""
    app.add_directive("mermaid", Diagram)
    app.connect("source-read", _prepare)
    app.connect("build-finished", _copy_start)
