"""The attack as a LightningModule: one optimizer step is one inversion iteration."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from benchmark.errors import BenchmarkError
from benchmark.inversion.candidates import Candidate, LowestMatchingLoss
from benchmark.inversion.labels import infer_labels
from benchmark.inversion.matching import MatchingLoss
from benchmark.inversion.reconstruction import Reconstruction, StageResult
from benchmark.inversion.simulation import SimulatedClient
from priors.base import Prior
from tasks.observation import Observation


@dataclass(frozen=True)
class Stage:
    """A part of a restart with one set of searched tensors and one optimizer."""

    name: str
    iterations: int


@dataclass
class Progress:
    """Where an inversion stands; `step` counts within the stage."""

    restart: int = 0
    stage: int = 0
    step: int = 0
    iteration: int = 0
    gradient_evaluations: int = 0


class Attack(pl.LightningModule, ABC):
    """Base of all attacks. A subclass says where a stage starts, how to render and how to step; this
    class matches updates, runs stages and restarts, and keeps the best iterate.

    An attack is built from hyperparameters alone. `observe` then gives it an Observation and perhaps a
    Prior, a Trainer runs it, and `reconstruction` has the answer. A restart is `stages()` in turn, with
    a random generator of its own; all of its iterates are candidates, and the one with the lowest
    matching loss over all restarts is returned.

    A checkpoint of the Trainer holds everything: an inversion resumed from one ends with the same bytes.

    Args:
        loss: the matching loss.
        restarts: how many times to search from a new start.
    """

    needs_prior: ClassVar[bool] = False

    def __init__(self, loss: MatchingLoss, restarts: int = 1) -> None:
        super().__init__()
        if restarts < 1:
            raise BenchmarkError(f"restarts must be at least 1, not {restarts}")
        self.loss = loss
        self.restarts = restarts

    # What a subclass says.

    @abstractmethod
    def stages(self) -> tuple[Stage, ...]:
        """The stages of one restart, in order."""

    @abstractmethod
    def begin(self, stage: int) -> Mapping[str, Tensor]:
        """Where the search of a stage starts, by name, drawing only from `self.generator`.

        Tensors that stay fixed during the stage belong in `self.held`.
        """

    @abstractmethod
    def render(self) -> Tensor:
        """The images of `self.searched`: (B, 3, H, W) in [0, 1], differentiable."""

    @abstractmethod
    def optimizer(self, stage: Stage) -> tuple[Optimizer, LRScheduler]:
        """An optimizer of `self.searched`, and its learning rate by iteration."""

    def penalty(self, images: Tensor) -> Tensor | float:
        """What is added to the matching loss of (B, 3, H, W) images in [0, 1]."""
        return 0.0

    def project(self) -> None:
        """Bring `self.searched` back, in place, into the set that it is held in."""

    # What it is given.

    def observe(self, observation: Observation, prior: Prior | None, seed: int) -> None:
        """Hand over the observation; nothing else reaches an attack.

        Args:
            observation: see there.
            prior: for attacks with `needs_prior`.
            seed: of all randomness.

        Raises:
            BenchmarkError: a prior is needed and there is none.
        """
        if self.needs_prior and prior is None:
            raise BenchmarkError(f"attack {type(self).__name__} needs a prior")
        self.observation, self.seed = observation, seed
        self.labels = infer_labels(observation)
        # In a tuple, so that the prior is no submodule: it is not searched and not checkpointed.
        self._prior = (prior,)
        self.progress = Progress()
        self.searched = nn.ParameterDict()
        self.held: dict[str, Tensor] = {}
        self.generator = self._restart_generator(0)
        self.best = LowestMatchingLoss()
        self.candidates: list[list[Candidate]] = [[]]
        self.curve = torch.full((self.iterations,), torch.nan)

    @property
    def iterations(self) -> int:
        """Inversion iterations over all stages and restarts."""
        return self.restarts * sum(stage.iterations for stage in self.stages())

    @property
    def prior(self) -> Prior:
        """The prior, for attacks with `needs_prior`."""
        (prior,) = self._prior
        assert prior is not None
        return prior

    @property
    def image_size(self) -> int:
        """Side of the images under attack, in pixels."""
        return self.observation.model.image_size

    # The loop, as Lightning calls it.

    def configure_optimizers(self) -> Any:
        if not self.searched:
            self._move_to_device()
            self._begin_stage()
        optimizer, scheduler = self.optimizer(self.stages()[self.progress.stage])
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        if self._stage_is_over():
            self._end_stage()
            self._begin_stage()
            self.trainer.strategy.setup_optimizers(self.trainer)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        images = self.render()
        matching = self._evaluate(images)
        self.curve[self.progress.iteration] = matching.detach()
        return matching + self.penalty(images)

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        # Only what is searched: the victim's own weights are leaves of this graph too, and their
        # gradient would be as much work again.
        torch.autograd.backward(loss, inputs=list(self.searched.values()))

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Any,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        optimizer.step(closure=optimizer_closure)
        with torch.no_grad():
            self.project()
        self.progress.step += 1
        self.progress.iteration += 1

    def reconstruction(self) -> Reconstruction:
        """The answer, once the Trainer is done.

        Raises:
            BenchmarkError: no iterate had a finite matching loss.
        """
        if self._stage_is_over():
            self._end_stage()
        restarts = [stages for stages in self.candidates if stages]
        stages = min(restarts, key=lambda s: min(_finite(c.matching_loss) for c in s))
        chosen = min(stages, key=lambda c: _finite(c.matching_loss))
        if not torch.isfinite(chosen.matching_loss):
            raise BenchmarkError("the matching loss was never finite")
        return Reconstruction(
            images=chosen.images.cpu(),
            labels=self.labels.cpu(),
            matching_loss=float(chosen.matching_loss),
            gradient_evaluations=self.progress.gradient_evaluations,
            stages=tuple(StageResult(c.stage, c.images.cpu(), float(c.matching_loss)) for c in stages),
            curve=self.curve.cpu(),
        )

    # Stages and restarts.

    def _stage_is_over(self) -> bool:
        return self.progress.step == self.stages()[self.progress.stage].iterations

    def _begin_stage(self) -> None:
        with torch.no_grad():
            start = self.begin(self.progress.stage)
        self.searched = nn.ParameterDict(
            {name: nn.Parameter(value.detach().clone()) for name, value in start.items()}
        )
        with torch.no_grad():
            self.project()

    def _end_stage(self) -> None:
        """Close the stage, and the restart after its last stage."""
        stages = self.stages()
        last = self.progress.stage == len(stages) - 1
        if last:
            # The iterate after the last step has not been evaluated; that of any other stage is the
            # first one of the next, which renders the same images.
            with torch.no_grad():
                self._evaluate(self.render())
        self.candidates[-1].append(self.best.candidate(stages[self.progress.stage].name))
        self.best = LowestMatchingLoss()
        self.progress.step = 0
        self.progress.stage = 0 if last else self.progress.stage + 1
        if last:
            self.progress.restart += 1
            self.candidates.append([])
            self.generator = self._restart_generator(self.progress.restart)

    def _evaluate(self, images: Tensor) -> Tensor:
        """Matching loss of (B, 3, H, W) images in [0, 1]: one gradient evaluation."""
        matching = self.loss(self.client.update(images, self.labels))
        self.progress.gradient_evaluations += 1
        self.best.offer(matching, images)
        return matching

    def _restart_generator(self, restart: int) -> torch.Generator:
        (seed,) = np.random.SeedSequence([self.seed, restart]).generate_state(1, np.uint64)
        return torch.Generator().manual_seed(int(seed >> np.uint64(1)))

    def _move_to_device(self) -> None:
        self.client = SimulatedClient(self.observation, self.device)
        self.loss.prepare(self.client.observed)
        self.labels = self.labels.to(self.device)
        self.curve = self.curve.to(self.device)
        (prior,) = self._prior
        if prior is not None:
            prior.to(self.device)

    # Checkpoints: tensors, numbers and strings alone, so that they load with weights_only.

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        best: dict[str, Tensor | None] = {"loss": self.best.loss, "images": self.best.images}
        checkpoint["inversion"] = {
            "progress": asdict(self.progress),
            "searched": dict(self.searched),
            "held": self.held,
            "generator": self.generator.get_state(),
            "best": best,
            "candidates": [[asdict(c) for c in stages] for stages in self.candidates],
            "curve": self.curve,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._move_to_device()
        saved = checkpoint["inversion"]
        self.progress = Progress(**saved["progress"])
        self.searched = nn.ParameterDict(
            {name: nn.Parameter(value.to(self.device)) for name, value in saved["searched"].items()}
        )
        self.held = {name: value.to(self.device) for name, value in saved["held"].items()}
        self.generator.set_state(saved["generator"].cpu())
        self.best.loss, self.best.images = saved["best"]["loss"], saved["best"]["images"]
        self.candidates = [[Candidate(**c) for c in stages] for stages in saved["candidates"]]
        self.curve = saved["curve"].to(self.device)


def _finite(loss: Tensor) -> float:
    value = float(loss)
    return value if np.isfinite(value) else float("inf")
