"""Text from outside: what is taken, and how it is shown."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.submission.yaml_file import MOST_NODES, parse_yaml
from gifd_bench.leaderboard.text import Address, Line, Short, Slug, Strict, VersionText, first_error, shown
from tests.leaderboard.helpers import assert_one_line


def taken(kind: Any, value: object) -> bool:
    try:
        assert TypeAdapter(kind).validate_python(value, strict=True) == value
    except ValidationError:
        return False
    return True


@given(st.text())
def test_a_line_is_taken_just_where_every_character_shows(text: str) -> None:
    # Not `str.isprintable`, which refuses all spaces but one.
    invisible = any(
        unicodedata.category(c)[0] == "C" or unicodedata.category(c) in ("Zl", "Zp") for c in text
    )
    assert taken(Line, text) == (0 < len(text) <= 2000 and not invisible and text == text.strip())
    if taken(Line, text):
        assert len(text.splitlines()) == 1


@given(st.from_regex(r"[a-z0-9_.\-/\\A٣ \n]{0,6}", fullmatch=True) | st.text())
def test_what_becomes_a_folder_is_one_plain_name(text: str) -> None:
    for kind in (Slug, VersionText):
        if taken(kind, text):
            assert text.isascii()
            assert set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-.")
            assert not text.startswith((".", "-", "_"))
            assert ".." not in text


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Slug, ["a", "a_b-c", "9", "x" * 40], ["", "a__b", "-a", "a-", "A", "a.b", "ä", "x" * 41, "a\n"]),
        (
            VersionText,
            ["1", "1.0", "10.20.30.4"],
            ["", "1.", ".1", "v1", "1.0.0.0.0", "1.0\n", "１.０", "1" * 21],
        ),
        (
            Address,
            ["https://example.org", "http://example.org/a?b=c#d", "https://example.org/ä"],
            [
                "",
                "example.org",
                "javascript:alert(1)",
                "HTTPS://example.org",
                "https://",
                "https:///path",
                "https://a b",
                'https://a"onload=x',
                "https://a<b>",
                "https://a\u202e",
                "https://a\n",
                "https://" + "a" * 300,
            ],
        ),
        (Short, ["x" * 120], ["x" * 121, "", " a", "a\t"]),
    ],
)
def test_texts_of_each_kind(kind: Any, good: list[str], bad: list[str]) -> None:
    assert [text for text in good if not taken(kind, text)] == []
    assert [text for text in bad if taken(kind, text)] == []


@given(st.text(), st.integers(1, 50))
def test_what_is_shown_is_one_short_line_without_tricks(text: str, most: int) -> None:
    line = shown(text, most)
    assert len(line) <= most
    assert "\n" not in line
    assert not any(unicodedata.category(c)[0] == "C" for c in line)


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S"]), max_size=100))
def test_what_is_printable_is_shown_as_it_is(text: str) -> None:
    assert shown(text) == text


class Some(Strict):
    """Two keys."""

    number: int
    text: Line = "text"


@given(st.dictionaries(st.text(), st.text() | st.integers()))
def test_an_error_is_one_line_whatever_the_keys_are(content: dict[str, Any]) -> None:
    try:
        Some.model_validate(content)
    except ValidationError as error:
        assert_one_line(first_error(error))


@pytest.mark.parametrize("value", ["1", 1.0, True, None, float("nan")])
def test_nothing_is_taken_for_a_number_that_is_none(value: object) -> None:
    with pytest.raises(ValidationError):
        Some.model_validate({"number": value})


@pytest.mark.slow
def test_a_million_keys_are_one_error() -> None:
    with pytest.raises(ValidationError) as failed:
        Some.model_validate({str(number): 0 for number in range(1_000_000)})
    assert failed.value.error_count() == 1


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs", "Co", "Cn"]), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=4)
    ),
    max_leaves=20,
)


@pytest.mark.slow
@given(PLAIN)
def test_plain_yaml_is_read_as_it_was_written(value: Any) -> None:
    assert parse_yaml(yaml.safe_dump(value), "it") == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("!!python/object/apply:os.system ['true']", "tags are not allowed"),
        ("a: !!str b", "tags are not allowed"),
        ("a: &x b", "anchors are not allowed"),
        ("a: *x", "aliases are not allowed"),
        ("a: 1\na: 2", "the key 'a' is there twice"),
        ("a: 1\n--- b", "expected a single document"),
        ("[" * 5000, "nested more than 40 deep"),
        ("[" + "a," * MOST_NODES + "]", "more than 5000 values"),
        ("a: \x1b[31m", "special characters"),
        ("a: '", "while scanning"),
        ("9" * 5000, "limit"),
        ("? [a]\n: b", "unhashable"),
    ],
)
def test_yaml_that_is_not_plain_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(LeaderboardError, match=said) as refused:
        parse_yaml(text, "it.yaml")
    assert str(refused.value).startswith("it.yaml: ")
    assert_one_line(str(refused.value))


def test_dates_are_text() -> None:
    assert parse_yaml("date: 2026-01-31", "it") == {"date": "2026-01-31"}
