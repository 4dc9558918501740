"""The templates of the slices, and what is wrong with one that is refused."""

import re

import pytest

import features
from kernel.mail import TemplateFault
from kernel.mail.templates import folder_of, render

SCRIPT = "<script>alert('x')</script>"
COMMON = {"app_url": "https://app.example"}
PUBLISHED = COMMON | {"title": "A & B", "post_id": "5f0c"}


@pytest.fixture
def folder(tmp_path):
    """Writes templates: `folder(**{"note.txt": "…"})`, and returns where they are."""

    def write(**files):
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("feature", "template", "values"),
    [("signup", "welcome", COMMON), ("notify_post_published", "published", PUBLISHED)],
)
class TestOfTheSlices:
    def test_it_greets_with_or_without_a_name(self, feature, template, values):
        for name, greeting in [("Ada", "Hello Ada,"), (None, "Hello,"), ("", "Hello,")]:
            mail = render(folder_of(feature), template, values | {"display_name": name})
            assert mail.text.startswith(f"{greeting}\n")
            assert mail.html is not None
            assert f"<p>{greeting}</p>" in mail.html

    def test_html_escapes_what_users_wrote_and_text_does_not(self, feature, template, values):
        mail = render(folder_of(feature), template, values | {"display_name": SCRIPT})
        assert f"Hello {SCRIPT}," in mail.text
        assert mail.html is not None
        assert "<script" not in mail.html
        assert "Hello &lt;script&gt;" in mail.html

    def test_the_page_has_a_language_a_title_and_nothing_to_load(self, feature, template, values):
        mail = render(folder_of(feature), template, values | {"display_name": None})
        assert mail.html is not None
        assert '<html lang="en">' in mail.html
        assert f"<title>{mail.subject.replace('&', '&amp;')}</title>" in mail.html
        assert not re.search(r"<(img|link|script|style)|url\(", mail.html)
        assert "You get this mail because" in mail.html
        assert "You get this mail because" in mail.text

    def test_a_missing_value_is_an_error(self, feature, template, values):
        with pytest.raises(TemplateFault, match=r"'display_name' is undefined"):
            render(folder_of(feature), template, values)


def test_a_published_post_is_named_and_linked():
    mail = render(
        folder_of("notify_post_published"), "published", PUBLISHED | {"display_name": None}
    )
    assert mail.subject == "Your post is published: A & B"
    assert "\nhttps://app.example/posts/5f0c\n" in mail.text
    assert mail.html is not None
    assert '<a href="https://app.example/posts/5f0c">' in mail.html
    assert "“A &amp; B”" in mail.html


def test_a_slice_is_found_in_every_place_of_features(tmp_path, monkeypatch):
    (tmp_path / "copy_of_signup" / "mail").mkdir(parents=True)
    monkeypatch.setattr(features, "__path__", [*features.__path__, str(tmp_path)])
    assert folder_of("copy_of_signup") == tmp_path / "copy_of_signup" / "mail"
    assert folder_of("signup").parts[-3:] == ("features", "signup", "mail")


def test_a_missing_text_is_named(folder):
    with pytest.raises(TemplateFault, match=r"note\.txt is missing: add it"):
        render(folder(**{"note.html": "<p>x</p>"}), "note", {})


def test_a_slice_without_mails_is_named():
    with pytest.raises(TemplateFault, match=r"features/get_me/mail/note\.txt is missing: add it"):
        render(folder_of("get_me"), "note", {})


@pytest.mark.parametrize(
    "text", ["", "Hello\n\nYou\n", "Subject: x\nHello\n", "Subject: x\n\n \n", "Subject: x"]
)
def test_a_text_without_subject_or_body_is_named(folder, text):
    with pytest.raises(TemplateFault, match=r"note\.txt must begin with a line `Subject: …`"):
        render(folder(**{"note.txt": text}), "note", {})


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"note.txt": "Subject: {{ x }}\n\nHello\n"}, r"note\.txt: 'x' is undefined"),
        ({"note.txt": "Subject: x\n\nHello\n{% if %}\n"}, r"note\.txt, line 4: "),
        (
            {"note.txt": "Subject: x\n\nHello\n", "note.html": '{% extends "none.html" %}'},
            r"note\.html: .*none\.html",
        ),
        (
            {"note.txt": "Subject: x\n\nHello\n", "note.html": "<p>{{ y }}</p>"},
            r"note\.html: 'y' is undefined",
        ),
    ],
)
def test_a_fault_names_its_file(folder, files, message):
    with pytest.raises(TemplateFault, match=message):
        render(folder(**files), "note", {})


def test_a_changed_template_is_seen(folder):
    render(folder(**{"note.txt": "Subject: x\n\nOne\n"}), "note", {})
    assert render(folder(**{"note.txt": "Subject: x\n\nTwo\n"}), "note", {}).text == "Two\n"


def test_what_no_server_takes_is_left_out(folder):
    place = folder(**{"note.txt": "Subject: x\n\n{{ body }}\n", "note.html": "<p>{{ body }}</p>"})
    mail = render(place, "note", {"body": "a\x00b\x1b\ud800\tc"})
    assert (mail.text, mail.html) == ("ab\tc\n", "<p>ab\tc</p>")
