"""Numbers, sizes and labels, in the many forms in which people give them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gifd_bench.common.errors import one_line
from gifd_bench.tasks.errors import TaskError


def whole(value: Any, what: str) -> int:
    """A whole number, from one of Python or NumPy, or from a tensor with one element.

    Raises:
        TaskError: it is not a whole number.
    """
    numbers = _numbers(value, what)
    if numbers.size != 1 or float(numbers.reshape(())) != int(numbers.reshape(())):
        raise TaskError(f"{what} must be a whole number, not {value}")
    return int(numbers.reshape(()))


def size(value: Any, what: str) -> int | tuple[int, int]:
    """A side in pixels, or height and width.

    Raises:
        TaskError: it is neither.
    """
    numbers = _numbers(value, what).reshape(-1)
    if numbers.size not in (1, 2) or not (numbers >= 1).all() or (numbers != numbers.astype(int)).any():
        raise TaskError(f"{what} must be a number of pixels, or (height, width), not {value}")
    sides = tuple(int(side) for side in numbers)
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])


def per_channel(value: Any, channels: int, default: float, what: str) -> tuple[float, ...]:
    """One number for each channel; a single number holds for all channels.

    Raises:
        TaskError: these are not numbers, or their number is not that of the channels.
    """
    if value is None:
        return (default,) * channels
    numbers = _numbers(value, what)
    if numbers.ndim == 0:
        return (float(numbers),) * channels
    found = tuple(float(number) for number in numbers.reshape(-1))
    if len(found) != channels:
        raise TaskError(
            f"{what} has {len(found)} value{'s' * (len(found) != 1)}, and the model's images have "
            f"{channels} channel{'s' * (channels != 1)}"
        )
    return found


def channels_of(value: Any) -> int | None:
    """The number of channels of a mean or a standard deviation; `None` if it does not determine one."""
    if value is None:
        return None
    numbers = _numbers(value, "mean")
    return None if numbers.ndim == 0 else int(numbers.size)


def label_tensor(value: Any, classes: int) -> Tensor | None:
    """Labels: (B,) int64, or (B, classes) float32 where an image may have several.

    Raises:
        TaskError: they are not whole numbers.
    """
    if value is None:
        return None
    numbers = _numbers(value, "labels")
    if numbers.ndim == 2 and numbers.shape[1] == classes and classes > 1:
        return torch.from_numpy(numbers.astype(np.float32))
    flat = numbers.reshape(-1)
    if (flat != flat.astype(np.int64)).any():
        raise TaskError(f"labels must be whole numbers, not {flat.tolist()[:4]}")
    return torch.from_numpy(flat.astype(np.int64))


def names(value: Any, classes: int) -> tuple[str, ...]:
    """Class names as texts."""
    if value is None:
        return tuple(map(str, range(classes)))
    return tuple(str(name) for name in value)


def _numbers(value: Any, what: str) -> np.ndarray[Any, Any]:
    try:
        if isinstance(value, Tensor):
            value = value.detach().cpu().numpy()
        elif isinstance(value, Sequence) and not isinstance(value, str):
            value = [v.detach().cpu().numpy() if isinstance(v, Tensor) else v for v in value]
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TaskError(f"{what} must be numbers, not {value!r} ({one_line(error)})") from error
    if not np.isfinite(numbers).all():
        raise TaskError(f"{what} must be finite, not {value}")
    return numbers
