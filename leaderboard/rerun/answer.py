"""The answer of a rerun, read as bytes that a stranger's code may have written."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from gifd_bench.common.errors import one_line
from gifd_bench.leaderboard.rerun import child, earlier
from gifd_bench.leaderboard.rerun.earlier import Earlier
from gifd_bench.leaderboard.rerun.errors import RerunFailed
from gifd_bench.tasks.observation import Observation

# The most that the names, types and shapes of the two tensors take.
HEADER_BYTES = 4096


@dataclass(frozen=True)
class RerunAnswer:
    """The answer of an attack that was run again.

    The process of the attack made the images and labels, and these are scored; the rest was counted and
    measured outside of it.

    Attributes:
        images: (B, 3, H, W) float32 in [0, 1].
        labels: (B,) int64, in the order of the images.
        gradient_evaluations: the evaluations over all restarts, as the oracle counted them.
        seconds: wall-clock time, measured outside, from the import of the submitted class to its end.
        earlier: the answers that there would have been earlier, if the attack kept them.
    """

    images: Tensor
    labels: Tensor
    gradient_evaluations: int
    seconds: float
    earlier: tuple[Earlier, ...] = ()


def most_bytes(observation: Observation) -> int:
    """More bytes than a valid answer to an observation needs."""
    answer = 4 * observation.batch_size * (math.prod(observation.model.image_shape) + 2)
    return answer * (1 + child.MOST_EARLIER) + HEADER_BYTES


def read_answer(
    data: bytes, observation: Observation, gradient_evaluations: int, seconds: float
) -> RerunAnswer:
    """Read the answer to an observation.

    Args:
        data: a safetensors file of two tensors, no longer than `most_bytes`.
        observation: what was attacked.
        gradient_evaluations: the evaluations, as the oracle counted them.
        seconds: wall-clock time.

    Raises:
        RerunFailed: it is anything else.
    """
    batch = observation.batch_size
    expected = {
        "images": (torch.float32, (batch, *observation.model.image_shape)),
        "labels": (torch.int64, (batch,)),
    }
    if not data:
        raise _invalid("there is none")
    try:
        tensors = load(data)
    # Besides its own error, the reader lets through what types and shapes that it does not know raise.
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError, OverflowError) as error:
        raise _invalid(f"it is no safetensors file ({one_line(error)[:100]})") from error
    before = earlier.taken_from(tensors, (batch, *observation.model.image_shape))
    if tensors.keys() != expected.keys():
        raise _invalid(f"it holds other tensors than {', '.join(expected)}")
    for name, (dtype, shape) in expected.items():
        found = tensors[name]
        if found.dtype != dtype or found.shape != shape:
            raise _invalid(f"{name} is {found.dtype} of shape {tuple(found.shape)}, not {dtype} of {shape}")
    images, labels = tensors["images"], tensors["labels"]
    if not bool(((images >= 0) & (images <= 1)).all()):
        raise _invalid("images are not numbers in [0, 1]")
    if not bool(((labels >= 0) & (labels < observation.model.num_classes)).all()):
        raise _invalid(f"labels are not numbers below {observation.model.num_classes}")
    before = earlier.within(before, gradient_evaluations)
    return RerunAnswer(images, labels, gradient_evaluations, seconds, before)


def _invalid(what: str) -> RerunFailed:
    return RerunFailed(f"the attack wrote no valid answer: {what}")
