"""What text from outside may look like, and models that accept nothing else."""

from __future__ import annotations

import unicodedata
from datetime import date
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

MOST_CHARACTERS = 2000
# More than any model has; each unknown key costs an error of its own, and there may be a million.
MOST_KEYS = 64
# Control, formatting (such as writing from right to left), surrogate, private and unassigned characters,
# and the separators of lines and paragraphs.
UNPRINTABLE = frozenset(["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"])


class Strict(BaseModel):
    """A model without unknown keys, without conversions between types and without NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _few_keys(cls, value: Any) -> Any:
        if isinstance(value, dict) and len(value) > MOST_KEYS:
            raise PydanticCustomError("keys", "more than {most} keys", {"most": MOST_KEYS})
        return value


def unprintable(text: str) -> str | None:
    """The first character that is not printable."""
    return next((character for character in text if unicodedata.category(character) in UNPRINTABLE), None)


def _printable(value: str) -> str:
    """Refuse control characters and those that reorder the text around them, which hide what is written."""
    found = unprintable(value)
    if found is not None:
        raise PydanticCustomError(
            "printable", "character {code} is not printable", {"code": f"U+{ord(found):04X}"}
        )
    if value.strip() != value:
        raise PydanticCustomError("spaces", "no spaces are allowed at its ends")
    return value


def _web_address(value: str) -> str:
    if any(character.isspace() or character in "\"'<>`\\{}" for character in value):
        raise PydanticCustomError("address", "not a web address")
    return value


Line = Annotated[str, Field(min_length=1, max_length=MOST_CHARACTERS), AfterValidator(_printable)]
Short = Annotated[str, Field(min_length=1, max_length=120), AfterValidator(_printable)]
# What becomes the name of a folder: no dots, so neither `..` nor a hidden one.
Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+(_[a-z0-9]+|-[a-z0-9]+)*$", max_length=40)]
VersionText = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+){0,3}$", max_length=20)]
Address = Annotated[
    str,
    Field(pattern=r"^https?://[^/\s]+", max_length=300),
    AfterValidator(_printable),
    AfterValidator(_web_address),
]


def _date(value: str) -> str:
    try:
        date.fromisoformat(value)
    except ValueError as error:
        raise PydanticCustomError("date", "not a date such as 2026-01-31") from error
    return value


Date = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"), AfterValidator(_date)]
# A public key of ed25519, and a checksum, in hexadecimal digits.
PublicKey = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def shown(text: object, most: int = 300) -> str:
    """A text that a stranger may have written, made safe to print.

    It is one short line, in which characters that are not printable are written out as escapes such as
    u001b with a backslash.
    """
    line = " ".join(str(text)[: 4 * most].split())
    return "".join(map(_escaped, line))[:most]


def _escaped(character: str) -> str:
    if unicodedata.category(character) not in UNPRINTABLE:
        return character
    return character.encode("unicode_escape").decode("ascii")


def first_error(error: ValidationError) -> str:
    """The first error, in one line: where and what."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return shown(f"{where}: {first['msg']}")
