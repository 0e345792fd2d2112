"""CMA-ES as a torch optimizer."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gifd_bench.benchmark.inversion.lane_optimizers import LaneOptimizer

with warnings.catch_warnings():
    # It says so where matplotlib is absent, which it draws with and we do not.
    warnings.filterwarnings("ignore", message=".*matplotlib.*")
    import cma

# Above so many entries the covariance is diagonal (Ros and Hansen, "A simple modification in CMA-ES
# achieving linear time and space complexity", PPSN 2008): a full one takes their square in memory, their
# cube in time.
FULL_COVARIANCE = 1024
# The loss of a member that has none: only ranks count, and this is the last.
WORST = 1e30


class CMAES(LaneOptimizer):
    """The covariance matrix adaptation evolution strategy, by the package `cma`.

    Hansen and Ostermeier, "Completely derandomized self-adaptation in evolution strategies", Evolutionary
    Computation 2001.

    Several searches run side by side, each with a population of its own. All parameters of a search are
    treated as one vector. A step is a generation: it writes the members of all populations into the
    parameters and calls the closure, which needs no gradient and returns the loss of each member. Then it
    leaves the means of the new distributions in the parameters. The losses are moved from the device once
    in each generation.

    The state consists of the starting point and all losses so far. When it is loaded, the losses are
    replayed, and the search continues bit for bit.

    Args:
        parameters: (searches * population, ...); the first member of each search holds the mean of its
            first generation.
        population: members of a generation.
        deviation: standard deviation of every entry in the first generation.
        seeds: the seed of all randomness, for each search.
    """

    def __init__(
        self, parameters: Iterable[Tensor], population: int, deviation: float, seeds: Sequence[int]
    ) -> None:
        super().__init__(
            parameters, {"population": population, "deviation": deviation, "seeds": list(seeds)}
        )
        self._parameters: list[Tensor] = self.param_groups[0]["params"]
        self._state = self.state[self._parameters[0]]
        firsts = [p.detach()[::population].flatten(1) for p in self._parameters]
        self._state["start"] = torch.cat(firsts, dim=1).clone()
        self._state["told"] = []
        self._strategies = self._begin()

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> None:  # type: ignore[override]
        """Run one generation of each search. One call of `closure` returns every member's loss."""
        if closure is None:
            raise ValueError("CMAES needs a closure that evaluates the present parameters")
        generations = [strategy.ask() for strategy in self._strategies]
        self._write([member for members in generations for member in members])
        found = [loss if math.isfinite(loss) else WORST for loss in closure().tolist()]
        population = self.param_groups[0]["population"]
        told = [found[i : i + population] for i in range(0, len(found), population)]
        for strategy, members, losses in zip(self._strategies, generations, told, strict=True):
            strategy.tell(members, losses)
        self._state["told"].append(told)
        self._write([strategy.mean for strategy in self._strategies for _ in range(population)])

    def keep_lanes(self, now: Mapping[Tensor, Tensor], lanes: Sequence[int]) -> None:
        population = self.param_groups[0]["population"]
        searches = [lane // population for lane in lanes[::population]]
        first, *_ = self._parameters
        self._parameters[:] = [now[parameter] for parameter in self._parameters]
        self.state[self._parameters[0]] = self._state = self.state.pop(first)
        self._state["start"] = self._state["start"][searches]
        self._state["told"] = [[told[i] for i in searches] for told in self._state["told"]]
        self.param_groups[0]["seeds"] = [self.param_groups[0]["seeds"][i] for i in searches]
        self._strategies = [self._strategies[i] for i in searches]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._parameters = self.param_groups[0]["params"]
        self._state = self.state[self._parameters[0]]
        self._strategies = self._begin()
        for told in self._state["told"]:
            for strategy, losses in zip(self._strategies, told, strict=True):
                strategy.tell(strategy.ask(), losses)

    def _begin(self) -> list[Any]:
        starts = self._state["start"].double().cpu().numpy()
        return [
            self._strategy(start, seed)
            for start, seed in zip(starts, self.param_groups[0]["seeds"], strict=True)
        ]

    def _strategy(self, start: NDArray[np.float64], seed: int) -> Any:
        settings = self.param_groups[0]
        generator = torch.Generator().manual_seed(seed)

        def randn(*shape: int) -> NDArray[np.float64]:
            drawn: NDArray[np.float64] = torch.randn(
                shape, generator=generator, dtype=torch.float64
            ).numpy()
            return drawn

        options = {
            "popsize": settings["population"],
            "randn": randn,
            "seed": math.nan,  # which leaves numpy's global generator alone
            "CMA_diagonal": len(start) > FULL_COVARIANCE,
            "verbose": -9,
            "verb_log": 0,
        }
        return cma.CMAEvolutionStrategy(start, settings["deviation"], options)

    def _write(self, members: Sequence[NDArray[np.float64]]) -> None:
        sizes = [p[0].numel() for p in self._parameters]
        parts = torch.split(torch.from_numpy(np.stack(members)), sizes, dim=1)
        for parameter, part in zip(self._parameters, parts, strict=True):
            parameter.copy_(part.view_as(parameter))
