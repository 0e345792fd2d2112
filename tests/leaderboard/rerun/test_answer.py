"""What is taken for an answer, and what is not."""

from __future__ import annotations

import json
import pickle
import struct
from contextlib import suppress
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save
from torch import Tensor

from gifd_bench.leaderboard.rerun.answer import most_bytes, read_answer
from gifd_bench.leaderboard.rerun.errors import RerunFailed
from gifd_bench.tasks.observation import Observation
from tests.rounds import make_round


def tensors(**changes: Tensor) -> dict[str, Tensor]:
    return {
        "images": torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)),
        "labels": torch.tensor([0, 9]),
        **changes,
    }


@pytest.fixture(scope="module")
def pair() -> Observation:
    """An observation of two images."""
    return make_round(2)[0]


def test_a_valid_answer_is_read_and_fits_into_the_most_that_is_listened_to(pair: Observation) -> None:
    written = tensors()
    data = save(written)
    answer = read_answer(data, pair, 7, 1.5)
    assert torch.equal(answer.images, written["images"])
    assert answer.labels.tolist() == [0, 9]
    assert (answer.gradient_evaluations, answer.seconds) == (7, 1.5)
    assert len(data) <= most_bytes(pair)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"images": torch.full((2, 3, 32, 32), torch.nan)}, "images are not numbers in"),
        ({"images": torch.full((2, 3, 32, 32), 1.01)}, "images are not numbers in"),
        ({"images": torch.zeros(2, 3, 16, 16)}, r"images is torch.float32 of shape \(2, 3, 16, 16\)"),
        ({"images": torch.zeros(2, 3, 32, 32, dtype=torch.float64)}, "images is torch.float64"),
        ({"images": torch.zeros(0)}, "images is"),
        ({"labels": torch.tensor([0, 10])}, "labels are not numbers below 10"),
        ({"labels": torch.tensor([0, -1])}, "labels are not numbers below 10"),
        ({"labels": torch.zeros(2)}, "labels is torch.float32"),
        # What is counted outside is not said inside.
        ({"gradient_evaluations": torch.tensor(1)}, "other tensors"),
        ({"more": torch.zeros(1)}, "other tensors"),
    ],
)
def test_an_answer_with_anything_else_in_it_is_none(
    pair: Observation, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(RerunFailed, match=f"no valid answer: .*{reason}"):
        read_answer(save(tensors(**changes)), pair, 7, 1.0)


def _header(content: object) -> bytes:
    text = json.dumps(content).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    "data",
    [
        b"",
        pickle.dumps({"images": [0.0]}),
        save(tensors())[:-1],
        save(tensors()) + b"x",
        struct.pack("<Q", 1 << 62) + b"{}",
        _header({"images": {"dtype": "F32", "shape": [1 << 40, 1 << 40], "data_offsets": [0, 4]}})
        + b"1234",
        _header({"images": {"dtype": "F8_E8M0", "shape": [4], "data_offsets": [0, 4]}}) + b"1234",
    ],
)
def test_bytes_that_are_no_answer_are_one_error(pair: Observation, data: bytes) -> None:
    with pytest.raises(RerunFailed, match="no valid answer"):
        read_answer(data, pair, 7, 1.0)


PAIR = make_round(2)[0]


@given(place=st.integers(0, 400), byte=st.integers(0, 255), header=st.binary(max_size=64))
def test_no_damage_raises_anything_else(place: int, byte: int, header: bytes) -> None:
    damaged = bytearray(save(tensors()))
    damaged[place] = byte
    for data in (bytes(damaged), struct.pack("<Q", len(header)) + header):
        with suppress(RerunFailed):
            read_answer(data, PAIR, 7, 1.0)
