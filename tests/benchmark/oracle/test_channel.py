"""Tensors on their way between an attack and its oracle."""

from __future__ import annotations

import torch

from gifd_bench.benchmark.oracle.channel import packed, unpacked


def test_tensors_that_are_one_and_the_same_arrive_under_each_name() -> None:
    whole = torch.arange(6.0)
    sent = {"objective": whole, "criterion": whole, "part": whole[:3], "turned": whole.view(2, 3).t()}
    found = unpacked(packed(sent))
    assert found.keys() == sent.keys()
    for name, tensor in sent.items():
        assert torch.equal(found[name], tensor)
    assert torch.equal(
        unpacked(packed({"none": torch.empty(0), "either": torch.empty(0)}))["none"], torch.empty(0)
    )
