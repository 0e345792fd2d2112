"""Names that are hashes of what they name, and seeds for each use of randomness."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np


def canonical(value: Any) -> str:
    """JSON values as text, always the same for the same values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def short_hash(text: str) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def digest(parts: dict[str, str]) -> str:
    """The hash of a mapping whose values are canonical JSON texts, which many cells share."""
    return short_hash("{" + ",".join(f'"{key}":{parts[key]}' for key in sorted(parts)) + "}")


def stream(seed: int, purpose: str, *parts: int) -> int:
    """A seed for one use of randomness, independent of the seeds of all other uses.

    Args:
        seed: the seed of the cell.
        purpose: what is drawn.
        parts: what else the draw depends on.

    Returns:
        A number from 0 to 2^63 - 1.
    """
    tag = int.from_bytes(purpose.encode(), "big")
    (state,) = np.random.SeedSequence([seed, tag, *parts]).generate_state(1, np.uint64)
    return int(state >> np.uint64(1))
