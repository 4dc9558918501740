"""The templates of a slice's mails: found in its folder, and rendered."""

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import (
    Environment,
    FileSystemLoader,
    StrictUndefined,
    TemplateError,
    TemplateSyntaxError,
    select_autoescape,
)

from kernel.core.languages import fallbacks
from kernel.mail.errors import TemplateFault

ENGLISH: Final = "en"
_SHARED: Final = Path(__file__).parent  # layout.html
_SUBJECT: Final = "Subject:"
# NUL cannot be sent (RFC 5321, 4.5.2), lone surrogates cannot be encoded, and no reader shows the
# others.
_UNSENDABLE = re.compile(r"[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class RenderedMail:
    """A rendered mail; `subject` is one line, `html` None for a mail with text only."""

    subject: str
    text: str
    html: str | None


def folder_of(feature: str) -> Path:
    """Return the folder of a slice's templates: `features/<feature>/mail`."""
    places = [Path(place) for place in importlib.import_module("features").__path__]
    folders = [place / feature / "mail" for place in places]
    return next((folder for folder in folders if folder.is_dir()), folders[0])


def render(
    folder: Path, template: str, values: Mapping[str, object], *, language: str | None = None
) -> RenderedMail:
    """Render `<template>.txt` and, if it exists, `<template>.html`.

    Both are in the folder of `language` if it has the text (`de`; for `de-at` also `de`), otherwise
    in `folder` itself, which is English. The text starts with `Subject: …` and an empty line. The
    templates get the `language` that was found; HTML gets the rendered `subject`, too. Raises
    TemplateFault.
    """
    found, place = _in_language(folder, template, language)
    values = {"language": found, **values}
    text_file, html_file = place / f"{template}.txt", place / f"{template}.html"
    environment = _environment(place, folder)
    subject_source, text_source = _parts(text_file)
    subject = _one_line(_render(environment, text_file, subject_source, values))
    text = _render(environment, text_file, text_source, values)
    html = None
    if html_file.is_file():
        html = _render(environment, html_file, None, {**values, "subject": subject})
    return RenderedMail(subject=subject, text=text, html=html)


def _in_language(folder: Path, template: str, language: str | None) -> tuple[str, Path]:
    for tag in fallbacks(language):
        if tag == ENGLISH:
            break
        if (folder / tag / f"{template}.txt").is_file():
            return tag, folder / tag
    return ENGLISH, folder


@cache
def _environment(place: Path, folder: Path) -> Environment:
    return Environment(
        loader=FileSystemLoader([place, folder, _SHARED]),
        undefined=StrictUndefined,
        autoescape=select_autoescape(("html",), default_for_string=False),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _parts(file: Path) -> tuple[str, str]:
    # Split before rendering: a line break in a value cannot move the split.
    try:
        source = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise TemplateFault(
            f"{file} is missing: add it, with `Subject: …` as its first line and an empty second."
        ) from None
    first, _, rest = source.partition("\n")
    second, _, body = rest.partition("\n")
    if not first.startswith(_SUBJECT) or second.strip() or not body.strip():
        raise TemplateFault(
            f"{file} must begin with a line `Subject: …` and an empty line, and then have text."
        )
    # Empty lines replace the removed ones, so that errors name the file's line numbers.
    return first.removeprefix(_SUBJECT), f"\n\n{body}"


def _render(
    environment: Environment, file: Path, source: str | None, values: Mapping[str, object]
) -> str:
    try:
        template = (
            environment.get_template(file.name)
            if source is None
            else environment.from_string(source)
        )
        rendered = template.render(values)
    except TemplateSyntaxError as error:
        raise TemplateFault(f"{file}, line {error.lineno}: {error.message}") from error
    except TemplateError as error:
        raise TemplateFault(f"{file}: {error}") from error
    return _UNSENDABLE.sub("", rendered).lstrip("\n")


def _one_line(subject: str) -> str:
    # `=?` would start an encoded word (RFC 2047). Readers decode it, and so does the standard
    # library when it sets a header: a line break in it became a new header (CVE-2024-6923).
    return " ".join(subject.replace("=?", "= ?").split())
