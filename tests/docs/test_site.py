"""The documentation site: every page is in it, its links lead somewhere, its diagrams are drawn."""

import functools
import http.server
import re
import shutil
import threading

import pytest

from cli import site
from kit.browser import CHROMIUM, opened
from kit.copies import ROOT

pytestmark = pytest.mark.slow
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "devstack" / "README.md"]
LOADED = re.compile(r'<(?:script|img|link|iframe)[^>]+(?:src|href)="((?:https?:)?//[^"]+)"')


@pytest.fixture(scope="module")
def prepared():
    site.prepare()


@pytest.fixture(scope="module")
def built(prepared, tmp_path_factory):
    output = tmp_path_factory.mktemp("site") / "html"
    site.build(ROOT, output)
    return output


def loaded_from_elsewhere(text):
    return LOADED.findall(text)


def test_every_page_is_in_the_site_and_loads_nothing_from_other_servers(built):
    wanted = {
        path.relative_to(ROOT).with_suffix(".html") for path in PAGES if path.parent != site.SOURCES
    }
    pages = [path for path in built.rglob("*.html") if "_static" not in path.parts]
    assert wanted <= {path.relative_to(built) for path in pages}
    assert len(wanted) > 30
    start = (built / "index.html").read_text("utf-8")
    assert 'href="docs/ARCHITECTURE.html"' in start
    for page in pages:
        assert loaded_from_elsewhere(page.read_text("utf-8")) == [], page


def test_a_script_of_another_server_is_found():
    assert loaded_from_elsewhere('<script defer src="//cdn.example/a.js"></script>') == [
        "//cdn.example/a.js"
    ]


def test_broken_links_and_a_page_that_no_page_names_are_faults(prepared, tmp_path):
    copy = tmp_path / "checkout"
    for name in ("docs/site", "features/__init__.py"):
        place = copy / name
        place.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy2)(ROOT / name, place)
    (copy / "README.md").write_text(
        "# Start\n\n[a](docs/TUTORIAL.md) [b](docs/gone.md) [c](docs/TUTORIAL.md#gone) [d](#gone)\n"
        "[e](docs/TUTORIAL.md#the-first-step)\n"
    )
    (copy / "docs" / "TUTORIAL.md").write_text("# Tutorial\n\n## The first step\n")
    (copy / "docs" / "forgotten.md").write_text("# Forgotten\n")
    (copy / "docs" / "site" / "nav.md").write_text("```{toctree}\ndocs/TUTORIAL\n```\n")
    with pytest.raises(site.SiteError) as raised:
        site.build(copy, tmp_path / "html")
    faults = [line for line in str(raised.value).splitlines() if "WARNING" in line]
    found = [line for line in faults if "README.md" in line]
    assert len(found) == 3
    assert "docs/gone" in found[0]
    assert all("gone" in line for line in found)
    assert [line for line in faults if line not in found and "forgotten" not in line] == []
    assert any("forgotten.md" in line and "toctree" in line for line in faults)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")
@pytest.mark.skipif(shutil.which("npm") is None, reason="no npm: diagrams stay text")
async def test_a_browser_draws_the_diagrams_and_asks_no_other_server(built, tmp_path):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(built))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        async with opened(f"{url}/docs/ARCHITECTURE.html", tmp_path) as page:
            text = (ROOT / "docs" / "ARCHITECTURE.md").read_text("utf-8")
            number = text.count("```mermaid\n")
            drawn = "document.querySelectorAll('pre.mermaid svg[aria-roledescription]').length"
            await page.until(f"{drawn} == {number}")
            assert await page.run("document.querySelectorAll('.mermaid .error-icon').length") == 0
        server.shutdown()
    assert page.faults == []
    assert [one for one in page.requested if not one.startswith((f"{url}/", "data:"))] == []
