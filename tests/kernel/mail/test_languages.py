"""A mail is in its reader's language if the slice has it, otherwise in English."""

import pytest

from kernel.mail import TemplateFault
from kernel.mail.templates import render

PAGE = '{% extends "layout.html" %}{% block content %}<p>{{ word }}</p>{% endblock %}'


@pytest.fixture
def folder(tmp_path):
    """Templates in English, German and Brazilian Portuguese; German alone has no HTML."""
    for name, word in {"": "Hello", "de": "Hallo", "pt-br": "Olá"}.items():
        place = tmp_path / name
        place.mkdir(exist_ok=True)
        (place / "note.txt").write_text(f"Subject: {word}\n\n{word} ({{{{ language }}}}).\n")
        if name != "de":
            (place / "note.html").write_text(PAGE)
    (tmp_path / "late.txt").write_text("Subject: Late\n\nLate.\n")
    return tmp_path


def rendered(folder, language, template="note"):
    return render(folder, template, {"word": "x"}, language=language)


@pytest.mark.parametrize(
    ("language", "subject"),
    [
        ("de", "Hallo"),
        ("de-at", "Hallo"),
        ("DE_ch", "Hallo"),
        ("pt-BR", "Olá"),
        ("pt", "Hello"),
        ("fr", "Hello"),
        ("en", "Hello"),
        ("en-gb", "Hello"),
        (None, "Hello"),
        ("../pt-br", "Hello"),
        ("de/../de", "Hello"),
    ],
)
def test_the_readers_language_comes_first_and_english_last(folder, language, subject):
    assert rendered(folder, language).subject == subject


def test_a_template_that_is_not_translated_is_in_english(folder):
    assert rendered(folder, "de", "late").subject == "Late"


def test_text_and_page_are_in_the_same_language(folder):
    assert rendered(folder, "de").html is None  # no English page beside a German text
    portuguese = rendered(folder, "pt-br")
    assert "Olá (pt-br)." in portuguese.text
    assert '<html lang="pt-br">' in str(portuguese.html)
    assert '<html lang="en">' in str(rendered(folder, "fr").html)


def test_a_translation_may_have_a_layout_of_its_own(folder):
    (folder / "pt-br" / "layout.html").write_text("<b>{% block content %}{% endblock %}</b>")
    assert rendered(folder, "pt-br").html == "<b><p>x</p></b>"
    assert "<b>" not in str(rendered(folder, None).html)


def test_a_fault_of_a_translation_names_its_file(folder):
    (folder / "de" / "note.txt").write_text("Hallo\n")
    with pytest.raises(TemplateFault, match=r"de/note\.txt must begin with a line `Subject: …`"):
        rendered(folder, "de")
