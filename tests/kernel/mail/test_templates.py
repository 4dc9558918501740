"""A slice's mail templates, and the errors of invalid ones."""

import pytest

import features
import kit.slices
from kernel.mail import TemplateFault
from kernel.mail.templates import folder_of, render
from kit.mails import GreetingMail


@pytest.fixture(autouse=True)
def _of_the_kit(monkeypatch):
    monkeypatch.setattr(features, "__path__", list(kit.slices.__path__))


@pytest.fixture
def folder(tmp_path):
    """Writes templates, and returns their folder: `folder(**{"note.txt": "…"})`."""

    def write(**files):
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        return tmp_path

    return write


class TestOfASlice(GreetingMail):
    slice, template = "notify_author", "welcome"


def test_a_slice_is_found_in_every_place_of_features(tmp_path, monkeypatch):
    (tmp_path / "a_copy" / "mail").mkdir(parents=True)
    monkeypatch.setattr(features, "__path__", [*features.__path__, str(tmp_path)])
    assert folder_of("a_copy") == tmp_path / "a_copy" / "mail"
    assert folder_of("notify_author").parts[-3:] == ("slices", "notify_author", "mail")


def test_a_missing_text_is_named(folder):
    with pytest.raises(TemplateFault, match=r"note\.txt is missing: add it"):
        render(folder(**{"note.html": "<p>x</p>"}), "note", {})


def test_a_slice_without_mails_is_named():
    with pytest.raises(TemplateFault, match=r"slices/read_thing/mail/note\.txt is missing: add it"):
        render(folder_of("read_thing"), "note", {})


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


def test_characters_that_mail_servers_refuse_are_left_out(folder):
    place = folder(**{"note.txt": "Subject: x\n\n{{ body }}\n", "note.html": "<p>{{ body }}</p>"})
    mail = render(place, "note", {"body": "a\x00b\x1b\ud800\tc"})
    assert (mail.text, mail.html) == ("ab\tc\n", "<p>ab\tc</p>")
