"""The templates of a slice's mails: found in its folder, and rendered."""

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Final

from jinja2 import (
    Environment,
    FileSystemLoader,
    StrictUndefined,
    Template,
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
    subject_template, text_template = _parts(environment, text_file)
    subject = _one_line(_render(text_file, subject_template, values))
    text = _render(text_file, text_template, values)
    html = None
    if html_file.is_file():
        compiled = _compiled(html_file, partial(environment.get_template, html_file.name))
        html = _render(html_file, compiled, {**values, "subject": subject})
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


def _parts(environment: Environment, file: Path) -> tuple[Template, Template]:
    """Return the templates of the subject and the text, compiled once for each change."""
    try:
        changed = file.stat().st_mtime_ns
    except FileNotFoundError:
        raise TemplateFault(
            f"{file} is missing: add it, with `Subject: …` as its first line and an empty second."
        ) from None
    return _parts_of(environment, file, changed)


@lru_cache(maxsize=256)
def _parts_of(environment: Environment, file: Path, _changed: int) -> tuple[Template, Template]:
    # Split before rendering: a line break in a value cannot move the split.
    first, _, rest = file.read_text(encoding="utf-8").partition("\n")
    second, _, body = rest.partition("\n")
    if not first.startswith(_SUBJECT) or second.strip() or not body.strip():
        raise TemplateFault(
            f"{file} must begin with a line `Subject: …` and an empty line, and then have text."
        )
    # Empty lines replace the removed ones, so that errors name the file's line numbers.
    subject, text = (
        _compiled(file, partial(environment.from_string, source))
        for source in (first.removeprefix(_SUBJECT), f"\n\n{body}")
    )
    return subject, text


def _compiled(file: Path, compile_it: Callable[[], Template]) -> Template:
    try:
        return compile_it()
    except TemplateError as error:
        raise _fault(file, error) from error


def _render(file: Path, template: Template, values: Mapping[str, object]) -> str:
    try:
        rendered = template.render(values)
    except TemplateError as error:
        raise _fault(file, error) from error
    return _UNSENDABLE.sub("", rendered).lstrip("\n")


def _fault(file: Path, error: TemplateError) -> TemplateFault:
    if isinstance(error, TemplateSyntaxError):
        return TemplateFault(f"{file}, line {error.lineno}: {error.message}")
    return TemplateFault(f"{file}: {error}")


def _one_line(subject: str) -> str:
    # `=?` would start an encoded word (RFC 2047). Readers decode it, and so does the standard
    # library when it sets a header: a line break in it became a new header (CVE-2024-6923).
    return " ".join(subject.replace("=?", "= ?").split())
