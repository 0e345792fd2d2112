"""The loop of an inversion, as Lightning calls it: stages one after another, restarts side by side."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gifd_bench.benchmark.attacks.options import Stage
from gifd_bench.benchmark.inversion.course import Course, Progress
from gifd_bench.benchmark.inversion.lane_optimizers import keep_lanes
from gifd_bench.benchmark.inversion.search import Lane, Search


class InversionLoop(pl.LightningModule, ABC):
    """Runs the stages of an attack: one optimizer step is one inversion iteration, of all lanes together.

    A checkpoint of the Trainer holds everything: an inversion that continues from one ends with the same
    bytes.

    Attributes:
        search: the current state of the lanes; empty before a Trainer runs the attack.
        course: which stage runs, what was spent, and what was found.
    """

    search: Search
    course: Course

    @abstractmethod
    def set_up(self) -> None:
        """Prepare the attack on the device that the Trainer has chosen."""

    @abstractmethod
    def begin(self, stage: int, lane: Lane, ended: Search | None) -> Search:
        """The starting point of one lane at a stage.

        Args:
            stage: the number of the stage, from 0.
            lane: the lane; everything random is drawn from `lane.draw(purpose)`.
            ended: the search of the lane's restart at the end of the stage before or, if that stage had
                several members, their best iterate; `None` at the first stage.

        Returns:
            A search whose tensors have no dimension for lanes.
        """

    @abstractmethod
    def optimizer(self, stage: Stage) -> tuple[Optimizer, LRScheduler | None]:
        """The optimizer of a stage.

        Args:
            stage: the stage that begins.

        Returns:
            An optimizer of `self.parameters_searched()`, and the schedule of its learning rate by
            iteration; `None` keeps the learning rate constant.
        """

    @abstractmethod
    def objective(self) -> tuple[Tensor, Tensor]:
        """The matching losses of the current iterates, and what is minimized: (L,) each."""

    def offer(self) -> Tensor:
        """Make the current iterates candidates without a step, and return their matching losses (L,)."""
        return self.objective()[0]

    def project(self, search: Search) -> None:
        """Move what is searched, in place, back into the set that holds it."""

    def parameters_searched(self) -> list[Tensor]:
        """The tensors that an optimizer changes, each for all lanes."""
        return list(self.search.searched.values())

    @property
    def progress(self) -> Progress:
        """How far the inversion is."""
        return self.course.progress

    @property
    def iterations(self) -> int:
        """The inversion iterations of all stages and restarts; those of restarts at once count once."""
        return self.course.iterations

    def configure_optimizers(self) -> Any:
        if not self.search.searched:
            self.set_up()
            self._begin_stage([None] * len(self.course.searches))
        optimizer, scheduler = self.optimizer(self.course.stage)
        if scheduler is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        if self.course.stage_is_over:
            self._begin_stage(self._end_stage())
            self.trainer.strategy.setup_optimizers(self.trainer)
        going_on = self.course.drop_worst()
        if going_on is not None:
            members = range(self.course.stage.members)
            self._go_on([place * len(members) + member for place in going_on for member in members])

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        matching, objective = self.objective()
        self.course.note(matching)
        return objective

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        # Only what is searched: the victim's own weights are leaves of this graph too, and their
        # gradient would be as much work again.
        torch.autograd.backward(loss.sum(), inputs=self.parameters_searched())

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Any,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        optimizer.step(closure=optimizer_closure)
        with torch.no_grad():
            self.project(self.search)
        self.course.step()

    def finish(self) -> None:
        """Close the last stage after the Trainer has ended, even if it was stopped early."""
        if self.course.stage_is_over:
            self._end_stage()
        elif self.progress.step > 0:
            self.course.end_stage()

    def _begin_stage(self, ended: Sequence[Search | None]) -> None:
        """Start the current stage, from the result of each restart in the stage before."""
        members = self.course.stage.members
        with torch.no_grad():
            lanes = [
                self.begin(self.progress.stage, lane, ended[i // members])
                for i, lane in enumerate(self.course.lanes())
            ]
            self.search = Search.side_by_side(lanes)
            self.project(self.search)

    def _go_on(self, lanes: Sequence[int]) -> None:
        """Continue with some of the lanes, in the middle of a stage."""
        before = self.parameters_searched()
        self.search = self.search.only(torch.tensor(lanes, device=self.device))
        now = dict(zip(before, self.parameters_searched(), strict=True))
        for optimizer in self.trainer.optimizers:
            keep_lanes(optimizer, now, lanes)

    def _end_stage(self) -> Sequence[Search | None]:
        """Close the stage, and return the result of each restart that runs next."""
        if self.course.is_last_stage:
            # The iterate after the last step has not been evaluated; that of any other stage is the
            # first one of the next, which renders the same images.
            with torch.no_grad():
                self.offer()
            self.course.end_stage()
            return [None] * len(self.course.searches)
        ends = {**self.search.held, **self.search.searched}
        if self.course.stage.members > 1 and self.course.best.kept is not None:
            ends = dict(self.course.best.kept.tensors)
        self.course.end_stage()
        return [
            Search(
                {name: ends[name][r].detach() for name in self.search.searched},
                {name: ends[name][r].detach() for name in self.search.held},
            )
            for r in range(len(self.course.searches))
        ]

    # Checkpoints: tensors, numbers and strings alone, so that they load with weights_only.

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["inversion"] = {"course": self.course.state(), "search": self.search.state()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.set_up()
        saved = checkpoint["inversion"]
        self.course.load_state(saved["course"])
        self.search = Search.of_state(saved["search"], self.device)
