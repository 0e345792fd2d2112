"""The attack as a LightningModule: one optimizer step is one inversion iteration."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gifd_bench.benchmark.attacks.options import AttackOptions, Stage
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.candidates import BestIterate, Candidate, first_best
from gifd_bench.benchmark.inversion.draws import Draws
from gifd_bench.benchmark.inversion.judging import Judge
from gifd_bench.benchmark.inversion.labels.rules import infer_labels
from gifd_bench.benchmark.inversion.matching import MatchingLoss, matching_loss
from gifd_bench.benchmark.inversion.reconstruction import Reconstruction, StageResult
from gifd_bench.benchmark.inversion.simulation import SimulatedClient
from gifd_bench.benchmark.inversion.stopping import Judgement
from gifd_bench.common.registry import unknown
from gifd_bench.priors.base import Prior
from gifd_bench.tasks.observation import Observation


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

    An attack is built from its options alone. `observe` then gives it an Observation and perhaps a
    Prior, a Trainer runs it, and `reconstruction` has the answer. A restart is its stages in turn; all of
    its iterates are candidates, and the one with the lowest matching loss over all restarts is returned.
    Whatever is drawn at random comes from `draw`, which each restart has anew.

    A checkpoint of the Trainer holds everything: an inversion resumed from one ends with the same bytes.

    Attributes:
        Options: the class of the options.
        options: what it is set to.

    Args:
        options: of its class `Options`; None to have them made from keywords.
        changes: options that differ from their defaults, by name.

    Raises:
        BenchmarkError: there is no such option, or a value is out of its range.
    """

    Options: ClassVar[type[AttackOptions]]
    # Whether the search goes on where a squared distance is below the rounding of the squared norms.
    to_the_last_digit: ClassVar[bool] = False
    options: AttackOptions

    def __init__(self, options: AttackOptions | None = None, **changes: Any) -> None:
        super().__init__()
        self.options = self._made_from(changes) if options is None else options
        if not isinstance(self.options, self.Options) or (options is not None and changes):
            raise BenchmarkError(
                f"{type(self).__name__} is built from {self.Options.__name__} alone, or from keywords alone"
            )
        self.loss = self.make_loss()

    @classmethod
    def _made_from(cls, changes: Mapping[str, Any]) -> AttackOptions:
        known = sorted(field.name for field in fields(cls.Options))
        for name in changes:
            if name not in known:
                raise BenchmarkError(f"{cls.__name__}: {unknown('option', name, known)}")
        return cls.Options(**changes)

    # What a subclass says.

    @abstractmethod
    def begin(self, stage: int) -> Mapping[str, Tensor]:
        """Where the search of a stage starts, by name, drawing only from `self.draw`.

        Tensors that stay fixed during the stage belong in `self.held`.
        """

    @abstractmethod
    def render(self) -> Tensor:
        """The images of `self.searched`: (B, 3, H, W) in [0, 1], differentiable."""

    @abstractmethod
    def optimizer(self, stage: Stage) -> tuple[Optimizer, LRScheduler | None]:
        """An optimizer of `self.searched`, and its learning rate by iteration; None keeps it constant."""

    def make_loss(self) -> MatchingLoss:
        """The matching loss, which no other attack shares."""
        return matching_loss(self.options.loss_in_full)

    def fixed_labels(self) -> Tensor:
        """The labels that the whole search goes by: (B,) int64, granted or else inferred."""
        return infer_labels(self.observation, self.options.label_rule_for(self.observation.batch_size))

    def targets(self) -> Tensor:
        """The labels that go with the rendered images: (B,) int64, or (B, classes) probabilities where they
        are searched too."""
        return self.labels

    def objective(self) -> tuple[Tensor, Tensor]:
        """The matching loss of the current iterate, and what is minimised: scalars."""
        images = self.render()
        matching = self.evaluate(images, self.targets())
        return matching, matching + self.penalty(images)

    def penalty(self, images: Tensor) -> Tensor | float:
        """What is added to the matching loss of (B, 3, H, W) images in [0, 1]."""
        return 0.0

    def offer(self) -> Tensor:
        """Make the current iterate a candidate where no step is to follow; its matching loss."""
        return self.objective()[0]

    def prepare(self) -> None:
        """Compute what a search needs once: `self.client` has just been made, on its device."""

    def project(self) -> None:
        """Bring `self.searched` back, in place, into the set that it is held in."""

    # What a subclass calls.

    def draw(self, purpose: str, index: int = 0) -> torch.Generator:
        """The generator of what is drawn for a purpose, such as `start` or `langevin`, in this restart.

        It depends on the attack's seed, the restart, the purpose and the index alone, and goes on where it
        was left. Attacks that draw for the same purpose share their numbers: `start` is where the search,
        or its k-th member, begins.

        Args:
            purpose: what the numbers are for.
            index: of several draws for the same purpose.
        """
        return self.draws.generator(purpose, index)

    def match(self, images: Tensor, targets: Tensor) -> Judgement:
        """How well (B, 3, H, W) images with their targets match: one gradient evaluation."""
        self.progress.gradient_evaluations += 1
        judged = self.judge(images[None], targets[None])
        return Judgement(judged.objective[0], judged.criterion[0], judged.matching_loss[0])

    def evaluate(self, images: Tensor, targets: Tensor) -> Tensor:
        """The matching loss of images in [0, 1], as the search sees it; they become one more candidate for
        the answer."""
        judgement = self.match(images, targets)
        self.best.offer(judgement.criterion, judgement.matching_loss, images, targets)
        self.criterion = judgement.criterion
        return judgement.objective

    # What it is given.

    def observe(self, observation: Observation, prior: Prior | None, seed: int) -> None:
        """Hand over the observation; nothing else reaches an attack.

        Args:
            observation: all that the attacker sees.
            prior: for attacks whose options say `needs_prior`.
            seed: of all randomness.

        Raises:
            BenchmarkError: a prior is needed and there is none, or the options do not fit it.
        """
        if self.options.needs_prior and prior is None:
            raise BenchmarkError(f"attack {type(self).__name__} needs a prior")
        # In a tuple, so that the prior is no submodule: it is not searched and not checkpointed.
        self._prior = (prior,)
        self._stages = self.options.stages(() if prior is None else prior.stages)
        self.observation, self.seed = observation, seed
        self.labels = self.fixed_labels()
        self.progress = Progress()
        self.searched = nn.ParameterDict()
        self.held: dict[str, Tensor] = {}
        self.draws = Draws(seed, restart=0)
        self.best = BestIterate()
        self.candidates: list[list[Candidate]] = [[]]
        self.curve = torch.full((self.iterations,), torch.nan)

    @property
    def iterations(self) -> int:
        """Inversion iterations over all stages and restarts."""
        return self.options.restarts * sum(stage.iterations for stage in self.stages())

    def stages(self) -> tuple[Stage, ...]:
        """The stages of one restart, in order."""
        return self._stages

    @property
    def prior(self) -> Prior:
        """The prior, for attacks that need one."""
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
        if scheduler is None:
            return optimizer
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
        matching, objective = self.objective()
        self.curve[self.progress.iteration] = matching.detach()
        return objective

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
        bests = [first_best(stages, self.best.floor) for stages in restarts]
        chosen = min(range(len(bests)), key=lambda r: _finite(bests[r].criterion))
        best, stages = bests[chosen], restarts[chosen]
        if not torch.isfinite(best.criterion):
            raise BenchmarkError("the matching loss was never finite")
        answer = _stage_result(best)
        return Reconstruction(
            images=answer.images,
            labels=answer.labels,
            matching_loss=answer.matching_loss,
            gradient_evaluations=self.progress.gradient_evaluations,
            stages=tuple(_stage_result(candidate) for candidate in stages),
            curve=self.curve.cpu(),
            label_probabilities=answer.label_probabilities,
            path=self.judge.path,
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
                self.offer()
        name, spent = stages[self.progress.stage].name, self.progress.gradient_evaluations
        self.candidates[-1].append(self.best.candidate(name, spent))
        self.best = BestIterate(self.best.floor)
        self.progress.step = 0
        self.progress.stage = 0 if last else self.progress.stage + 1
        if last:
            self.progress.restart += 1
            self.candidates.append([])
            self.draws = Draws(self.seed, self.progress.restart)

    def _move_to_device(self) -> None:
        self.client = SimulatedClient(self.observation, self.device)
        self.judge = Judge(self.client, self.loss, self.options.stop, 1, self.to_the_last_digit)
        self.best.floor = self.judge.floor
        self.labels = self.labels.to(self.device)
        self.curve = self.curve.to(self.device)
        (prior,) = self._prior
        if prior is not None:
            prior.to(self.device)
        self.prepare()

    # Checkpoints: tensors, numbers and strings alone, so that they load with weights_only.

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["inversion"] = {
            "progress": asdict(self.progress),
            "searched": dict(self.searched),
            "held": self.held,
            "draws": self.draws.state(),
            "best": self.best.state(),
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
        self.draws = Draws(self.seed, self.progress.restart)
        self.draws.load_state(saved["draws"])
        self.best.load_state(saved["best"])
        self.candidates = [[Candidate(**c) for c in stages] for stages in saved["candidates"]]
        self.curve = saved["curve"].to(self.device)


def _finite(loss: Tensor) -> float:
    value = float(loss)
    return value if np.isfinite(value) else float("inf")


def _stage_result(candidate: Candidate) -> StageResult:
    targets = candidate.targets.cpu()
    soft = targets.is_floating_point()
    return StageResult(
        name=candidate.stage,
        images=candidate.images.cpu(),
        labels=targets.argmax(dim=1) if soft else targets,
        matching_loss=float(candidate.matching_loss),
        gradient_evaluations=candidate.gradient_evaluations,
        label_probabilities=targets if soft else None,
    )
