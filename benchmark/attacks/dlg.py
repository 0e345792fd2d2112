"""Deep Leakage from Gradients (DLG)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import LBFGS, Optimizer

from gifd_bench.benchmark.attacks.options import Stage
from gifd_bench.benchmark.attacks.pixel_options import DLGOptions
from gifd_bench.benchmark.attacks.pixels import PixelSearch
from gifd_bench.benchmark.inversion.search import Lane, Search
from gifd_bench.tasks.observation import Observation


class DLG(PixelSearch):
    """Deep Leakage from Gradients: searches pixels and soft labels together, by L-BFGS.

    Zhu et al., "Deep leakage from gradients", NeurIPS 2019, algorithm 1: squared distance, no regularizer,
    and no box during the search. Each image has logits of its own, whose softmax is its label; one vector
    for a whole batch, as in a later release, would not be the label of any image. Labels that the threat
    model grants are not searched. Labels that it does not grant are not inferred either, so any model can
    be attacked.

    L-BFGS without a line search may diverge. A restart that diverges keeps what it has found before.

    An iteration is one call of L-BFGS. Its inner evaluations see the pixels as they are, in or out of [0,
    1]. Before each call, and after the last, the images are clamped to [0, 1] and evaluated once. These are
    the candidates, so the answer is images with exactly their own matching loss. This costs one evaluation
    in each iteration, and the curve shows these evaluations.
    """

    Options: ClassVar[type[DLGOptions]] = DLGOptions
    to_the_last_digit: ClassVar[bool] = True
    options: DLGOptions

    def fixed_labels(self, observation: Observation) -> Tensor:
        # Labels that are searched are not inferred first, which some models and updates do not allow.
        if self._searches_labels():
            return torch.empty(0, dtype=torch.int64, device=self.device)
        return super().fixed_labels(observation)

    def begin(self, stage: int, lane: Lane, ended: Search | None) -> Search:
        start = dict(super().begin(stage, lane, ended).searched)
        if self._searches_labels():
            shape = (self.observation.batch_size, self.observation.model.num_classes)
            start["logits"] = torch.randn(shape, generator=lane.draw("labels")).to(self.device)
        return Search(start)

    def targets(self, search: Search) -> Tensor:
        logits = search.searched.get("logits")
        return super().targets(search) if logits is None else logits.softmax(dim=2)

    def project(self, search: Search) -> None:
        """Do nothing: the search has no box."""

    def optimizer(self, stage: Stage) -> tuple[Optimizer, None]:
        lbfgs = LBFGS(
            self.parameters_searched(),
            lr=self.options.learning_rate,
            max_iter=self.options.evaluations,
            max_eval=self.options.evaluations + 1,  # At this many, PyTorch's would leave out the last step.
            history_size=self.options.history,
        )
        return lbfgs, None

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        super().on_train_batch_start(batch, batch_idx)
        with torch.no_grad():
            self.offered = self.offer()

    def offer(self) -> Tensor:
        return self.evaluate(self.render(self.search), self.targets(self.search))

    def objective(self) -> tuple[Tensor, Tensor]:
        images = self.client.denormalize(self.search.searched["inputs"])
        return self.offered, self.match(images, self.targets(self.search)).objective

    def _searches_labels(self) -> bool:
        return self.options.searches_labels and self.observation.labels is None
