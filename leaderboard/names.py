"""Names of attacks that a reader could confuse."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache

from confusable_homoglyphs import confusables  # type: ignore[import-untyped]

from gifd_bench.leaderboard.errors import LeaderboardError

# What a font may not tell apart and Unicode's list does not connect, for it has no capital letters here.
ALIKE = str.maketrans({"i": "l", "0": "o", "5": "s", "-": None, "_": None})


def check_name(name: str, others: Iterable[str]) -> None:
    """Refuse a name that looks like another of the board.

    Raises:
        LeaderboardError: it does.
    """
    own = skeleton(name)
    for other in sorted(others):
        if other != name and skeleton(other) == own:
            raise LeaderboardError(
                f"{name}: can be taken for {other}, which is on the board; choose another"
            )


@cache
def skeleton(name: str) -> str:
    """A name in which all characters that look alike are replaced by one (after Unicode's UTS 39)."""
    text = unicodedata.normalize("NFKD", name).casefold()
    return "".join(map(_prototype, text)).translate(ALIKE)


@cache
def _prototype(character: str) -> str:
    """The first Latin letter that a character looks like, or the character itself."""
    if character.isascii() and character.isalpha():
        return character
    found = confusables.is_confusable(character, greedy=True)
    alike = [other["c"] for entry in found or () for other in entry["homoglyphs"]]
    letters = sorted(one.casefold() for one in alike if one.isascii() and one.isalpha())
    return letters[0] if letters else character
