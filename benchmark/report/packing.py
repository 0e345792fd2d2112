"""Compressed content of a page, which a browser unpacks when somebody looks at it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from typing import Any


def packed(value: Any) -> str:
    """JSON values, compressed, as text."""
    return packed_text(json.dumps(value, separators=(",", ":"), allow_nan=False))


def packed_text(text: str) -> str:
    """A text, compressed: base64 of gzip."""
    # Without the time of day, so that the same results give the same page.
    return base64.b64encode(gzip.compress(text.encode("utf-8"), 9, mtime=0)).decode("ascii")


def content_hash(script: str) -> str:
    """The name by which a content security policy identifies a script within the page."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode() + "'"
