"""The answer of a rerun, read as what it is: bytes that a stranger's code may have written."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from gifd_bench.common.errors import one_line
from gifd_bench.leaderboard.rerun import earlier
from gifd_bench.leaderboard.rerun.earlier import Earlier
from gifd_bench.leaderboard.rerun.errors import RerunFailed
from gifd_bench.tasks.observation import Observation

# The most that the names, types and shapes of the four tensors take.
HEADER_BYTES = 4096


@dataclass(frozen=True)
class Answer:
    """What the attack answered when it was run again.

    The images, labels and seconds are facts. The other two are what the harness counted inside of the
    sandbox, in the process of the submitted class, which could have changed them there.

    Attributes:
        images: (B, 3, H, W) float32 in [0, 1].
        labels: (B,) int64, in the order of the images.
        matching_loss: of these images, as the attack computed it.
        gradient_evaluations: over all restarts.
        seconds: of wall time, measured outside, from the import of the submitted class to its end.
        earlier: what the answer would have been before, where the attack kept that.
    """

    images: Tensor
    labels: Tensor
    matching_loss: float
    gradient_evaluations: int
    seconds: float
    earlier: tuple[Earlier, ...] = ()


def most_bytes(observation: Observation) -> int:
    """More than a valid answer to an observation takes."""
    answer = 4 * observation.batch_size * (math.prod(observation.model.image_shape) + 2)
    return answer * (1 + earlier.MOST) + HEADER_BYTES


def read_answer(data: bytes, observation: Observation, seconds: float) -> Answer:
    """Read the answer to an observation.

    Args:
        data: a safetensors file of four tensors, no longer than `most_bytes`.
        observation: what was attacked.
        seconds: of wall time.

    Raises:
        RerunFailed: it is anything else.
    """
    batch = observation.batch_size
    expected = {
        "images": (torch.float32, (batch, *observation.model.image_shape)),
        "labels": (torch.int64, (batch,)),
        "matching_loss": (torch.float64, ()),
        "gradient_evaluations": (torch.int64, ()),
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
    loss, evaluations = float(tensors["matching_loss"]), int(tensors["gradient_evaluations"])
    if not math.isfinite(loss):
        raise _invalid("matching_loss is not finite")
    if evaluations < 1:
        raise _invalid("gradient_evaluations is not positive")
    return Answer(images, labels, loss, evaluations, seconds, earlier.within(before, evaluations))


def _invalid(what: str) -> RerunFailed:
    return RerunFailed(f"the attack wrote no valid answer: {what}")
