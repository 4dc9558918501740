"""Rules for every mail that greets its reader: a slice that has one subclasses this in tests."""

import re
from typing import ClassVar

import pytest

from kernel.mail import TemplateFault
from kernel.mail.templates import RenderedMail, folder_of, render

SCRIPT = "<script>alert('x')</script>"


class GreetingMail:
    """The tests; `slice` and `template` name the mail, `values` holds all but the reader's name."""

    slice: ClassVar[str]
    template: ClassVar[str]
    values: ClassVar[dict[str, str]] = {"app_url": "https://app.example"}

    def rendered(self, name: str | None) -> RenderedMail:
        """Return the mail to a reader of this name."""
        values = {**self.values, "display_name": name}
        return render(folder_of(self.slice), self.template, values)

    @pytest.mark.parametrize(
        ("name", "greeting"), [("Ada", "Hello Ada,"), (None, "Hello,"), ("", "Hello,")]
    )
    def test_it_greets_with_or_without_a_name(self, name: str | None, greeting: str) -> None:
        """The same in text and in HTML."""
        mail = self.rendered(name)
        assert mail.text.startswith(f"{greeting}\n")
        assert mail.html is not None
        assert f"<p>{greeting}</p>" in mail.html

    def test_html_escapes_what_users_wrote_and_text_does_not(self) -> None:
        """A name is no markup."""
        mail = self.rendered(SCRIPT)
        assert f"Hello {SCRIPT}," in mail.text
        assert mail.html is not None
        assert "<script" not in mail.html
        assert "Hello &lt;script&gt;" in mail.html

    def test_the_page_has_a_language_a_title_and_nothing_to_load(self) -> None:
        """And it says why it was sent."""
        mail = self.rendered(None)
        assert mail.html is not None
        assert '<html lang="en">' in mail.html
        assert f"<title>{mail.subject.replace('&', '&amp;')}</title>" in mail.html
        assert not re.search(r"<(img|link|script|style)|url\(", mail.html)
        assert "You get this mail because" in mail.html
        assert "You get this mail because" in mail.text

    def test_a_missing_value_is_an_error(self) -> None:
        """A template is never rendered with a value missing."""
        with pytest.raises(TemplateFault, match=r"'display_name' is undefined"):
            render(folder_of(self.slice), self.template, self.values)
