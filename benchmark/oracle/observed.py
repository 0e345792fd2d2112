"""The observation as the oracle's first message: whoever attacks needs no file of it."""

from __future__ import annotations

import json

import torch

from gifd_bench.benchmark.oracle.channel import packed, unpacked
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.observation_file import assembled, facts_of, tensors_of

FACTS = "facts"


def packed_observation(observation: Observation) -> bytes:
    """The payload of a message with an observation."""
    text = json.dumps(facts_of(observation)).encode()
    facts = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    return packed({**tensors_of(observation), FACTS: facts})


def unpacked_observation(payload: bytes) -> Observation:
    """The observation of such a message, which comes from the verifier."""
    tensors = unpacked(payload)
    facts = json.loads(bytes(tensors.pop(FACTS).tolist()))
    return assembled(facts, tensors)
