"""Optimizers of searches in which some lanes end early."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer


class LaneOptimizer(Optimizer):
    """An optimizer that does not work entry by entry, and defines how to continue with fewer lanes."""

    @abstractmethod
    def keep_lanes(self, now: Mapping[Tensor, Tensor], lanes: Sequence[int]) -> None:
        """Continue with some of the lanes; the arguments are those of the function `keep_lanes`."""


def keep_lanes(optimizer: Optimizer, now: Mapping[Tensor, Tensor], lanes: Sequence[int]) -> None:
    """Let an optimizer continue with some of its lanes, as if there had never been others.

    What it keeps about a parameter, such as the moments of Adam, is kept for these lanes if it has the
    parameter's first dimension, that of the lanes.

    Args:
        optimizer: an optimizer that works entry by entry, or a `LaneOptimizer`.
        now: the parameter that is searched from now on, by the one that was searched until now.
        lanes: the places of the lanes that continue.
    """
    if isinstance(optimizer, LaneOptimizer):
        optimizer.keep_lanes(now, lanes)
        return
    for group in optimizer.param_groups:
        before, group["params"] = group["params"], [now[parameter] for parameter in group["params"]]
        for old, new in zip(before, group["params"], strict=True):
            places = torch.tensor(lanes, device=old.device)
            state = optimizer.state.pop(old, {})
            for name, value in state.items():
                if isinstance(value, Tensor) and value.shape[:1] == old.shape[:1]:
                    state[name] = value[places]
            optimizer.state[new] = state
