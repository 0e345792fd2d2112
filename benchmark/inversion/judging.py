"""Judging candidates: on which path their updates are compared with the observed one."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gifd_bench.benchmark.inversion.choices import Path, Stop
from gifd_bench.benchmark.inversion.factored_matching import FactoredMatching
from gifd_bench.benchmark.inversion.matching import MatchingLoss
from gifd_bench.benchmark.inversion.simulation import Client, SimulatedClient
from gifd_bench.benchmark.inversion.stopping import STOP_RULES, Judgment


class Judge:
    """Judges many candidates at once: independent lanes, with the same number for each target.

    If the loss needs only inner products and norms of gradients, it is computed without the gradients of
    most weights (see `factored_matching`). Otherwise the update of each lane is computed, one after
    another. Only kinds and sizes decide between the two, so the decision is always the same.

    Attributes:
        floor: the criterion at which candidates are good enough, as in `StopRule`; (targets,) if several
            targets differ.
        path: `factored`, `general`, or `mixed` if it differs among the parameters.
        victim: the model that sees each forward pass of candidates, one for all lanes or one for each lane;
            `None` if the clients' updates are computed by another process.

    Args:
        clients: clients with one victim, one for each target, which compute updates.
        loss: a matching loss that no other judge shares.
        stop: the name of the rule that chooses the answer.
        lanes: the number of lanes that will run at the same time.
        to_the_last_digit: whether the search continues where differences of updates are below the rounding
            of their norms.
    """

    def __init__(
        self,
        clients: Sequence[Client],
        loss: MatchingLoss,
        stop: Stop,
        lanes: int,
        to_the_last_digit: bool,
    ) -> None:
        self._clients = clients
        # A loss is prepared for one observed update.
        losses = [loss, *(copy.deepcopy(loss) for _ in clients[1:])]
        self._rules = [
            STOP_RULES[stop](its_loss, client.observed, client.imitation.noise_std)
            for its_loss, client in zip(losses, clients, strict=True)
        ]
        self.floor = _together([rule.floor for rule in self._rules])
        self.path: Path = "general"
        client = clients[0]
        simulated = [each for each in clients if isinstance(each, SimulatedClient)]
        self.victim: nn.Module | None = simulated[0].victim if simulated else None
        self._factored: FactoredMatching | None = None
        if (
            simulated
            and self._rules[0].sees_whole_updates
            and not to_the_last_digit
            and FactoredMatching.serves(simulated, loss)
        ):
            factored = FactoredMatching(simulated, loss, client.observation.model.image_shape, lanes)
            if factored.path != "general":
                self._factored, self.path, self.victim = factored, factored.path, factored.victim

    def __call__(self, images: Tensor, targets: Tensor) -> Judgment:
        """Judge the candidates of L lanes.

        Args:
            images: (L, B, 3, H, W) in [0, 1], ordered by target.
            targets: (L, B) int64, or (L, B, classes) probabilities.
        """
        if self._factored is not None:
            matching = self._factored(images, targets)
            return Judgment(matching, matching.detach(), matching.detach())
        of_each = len(images) // len(self._clients)
        each = [
            self._rules[i // of_each].judge(self._clients[i // of_each].update(*lane))
            for i, lane in enumerate(zip(images, targets, strict=True))
        ]
        return Judgment(
            torch.stack([judgment.objective for judgment in each]),
            torch.stack([judgment.criterion for judgment in each]),
            torch.stack([judgment.matching_loss for judgment in each]),
        )


def _together(floors: Sequence[float | Tensor]) -> float | Tensor:
    """The floors of all targets, (targets,); one number if they are equal, or there is only one."""
    tensors = [floor for floor in floors if isinstance(floor, Tensor)]
    return torch.stack(tensors) if len(tensors) > 1 else floors[0]
