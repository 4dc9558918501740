"""Language tags, from clients and in users' metadata."""

import pytest

from kernel.core.languages import fallbacks, language_tag, preferred


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("de", "de"),
        ("de-AT, de;q=0.9, en;q=0.8", "de-at"),
        ("en;q=0.8, de;q=0.9", "de"),
        ("en;q=0.5,fr;q=0.5", "en"),
        ("*, de;q=0.1", "de"),
        ("zh-Hant-TW", "zh-hant-tw"),
        ("de;q=0", None),
        ("de;q=high", None),
        ("de;level=1", None),
        ("", None),
        ("*", None),
        ("../../etc, de;q=0.2", "de"),
        ("x" * 10_000 + ",de", None),
        (" , ,;q=1", None),
    ],
)
def test_the_language_that_a_client_prefers_most(header, language):
    assert preferred(header) == language


@pytest.mark.parametrize("text", [None, "", "d", "german", "../de", "de/..", "d e", "dé", "aa-b"])
def test_what_is_no_language_is_none(text):
    assert language_tag(text) is None


def test_a_language_falls_back_to_its_shorter_forms():
    assert fallbacks("zh_Hant_TW") == ["zh-hant-tw", "zh-hant", "zh"]
    assert fallbacks("de") == ["de"]
    assert fallbacks(None) == fallbacks("no language") == []
