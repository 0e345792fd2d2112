"""Messages between an attack and its oracle: a letter, a length, and tensors as safetensors."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.common.errors import one_line
from gifd_bench.common.files import own_copies

# What is asked for, and how it is answered.
HELLO, LOSS, JUDGE, UPDATE, PULL_BACK, REFUSED = b"H", b"L", b"J", b"U", b"B", b"R"
MOMENTS, OUTPUT_LAYER = b"M", b"O"
# The names of the tensor with the facts of a message, and of the list of BatchNorm layers among them.
FACTS, BATCH_NORM_LAYERS = "facts", "batch_norm_layers"
HEAD = struct.Struct("<cQ")
MOST_BYTES = 1 << 31


class ChannelClosed(BenchmarkError):
    """The other side has ended."""


@dataclass(frozen=True)
class Channel:
    """One end of a pair of pipes.

    Attributes:
        reading, writing: their descriptors.
        most: the largest number of bytes of a message that is accepted from the other side.
    """

    reading: int
    writing: int
    most: int = MOST_BYTES

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        """Send a message.

        Raises:
            ChannelClosed: nobody reads it.
        """
        left = memoryview(HEAD.pack(kind, len(payload)) + payload)
        try:
            while left:
                left = left[os.write(self.writing, left) :]
        except OSError as error:
            raise ChannelClosed(f"the gradient oracle's pipe is closed ({one_line(error)})") from error

    def receive(self) -> tuple[bytes, bytes]:
        """Receive the next message: its kind and its payload.

        Raises:
            ChannelClosed: there are no more messages.
            BenchmarkError: it is too long.
        """
        kind, length = HEAD.unpack(self._read(HEAD.size))
        if length > self.most:
            raise BenchmarkError(f"a message of {length:,} bytes, of at most {self.most:,}")
        return kind, self._read(length)

    def _read(self, count: int) -> bytes:
        found = bytearray()
        while len(found) < count:
            chunk = os.read(self.reading, min(count - len(found), 1 << 20))
            if not chunk:
                raise ChannelClosed("the gradient oracle's pipe is closed")
            found += chunk
        return bytes(found)


def packed(tensors: Mapping[str, Tensor]) -> bytes:
    """Tensors as the payload of a message; some of them may share their memory, or be one and the same."""
    return save(own_copies(tensors))


def unpacked(payload: bytes) -> dict[str, Tensor]:
    """The tensors of a payload.

    Raises:
        BenchmarkError: it holds anything else.
    """
    try:
        # Copies: a message's tensors lie at odd addresses, where sums may round differently.
        return {name: tensor.clone() for name, tensor in load(payload).items()}
    # Besides its own error, the reader lets through what types and shapes that it does not know raise.
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError, OverflowError) as error:
        raise BenchmarkError(f"a message without tensors ({one_line(error)[:100]})") from error


def packed_with(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bytes:
    """Tensors as the payload of a message, with facts beside them."""
    text = torch.frombuffer(bytearray(json.dumps(facts).encode()), dtype=torch.uint8)
    return packed({**tensors, FACTS: text})


def unpacked_with(payload: bytes) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The facts and tensors of such a message, which comes from the verifier."""
    tensors = unpacked(payload)
    return json.loads(bytes(tensors.pop(FACTS).tolist())), tensors
