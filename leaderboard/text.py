"""What text from outside may look like, and models that take nothing else."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

MOST_CHARACTERS = 2000


class Strict(BaseModel):
    """A model without unknown keys, without conversions between types and without NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def _printable(value: str) -> str:
    """Refuse control characters and those that reorder the text around them, which hide what is written."""
    for character in value:
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn"):
            raise PydanticCustomError(
                "printable", "character {code} is not printable", {"code": f"U+{ord(character):04X}"}
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
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def first_error(error: ValidationError) -> str:
    """The first thing that is wrong, in one line: where and what."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return " ".join(f"{where}: {first['msg']}".split())[:300]
