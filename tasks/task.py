"""A task: who is attacked, and what the attacker is granted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch

from tasks.datasets.base import Dataset
from tasks.defenses.base import Defense
from tasks.errors import TaskError
from tasks.gradient import loss_gradient
from tasks.models.spec import ModelSpec
from tasks.observation import Observation
from tasks.truth import Truth


@dataclass(frozen=True)
class TaskSettings:
    """What is sent, and what the threat model grants.

    Attributes:
        batch_size: images that one update is computed on.
        labels: `known` to the attacker, or to be `inferred` from the update.
    """

    batch_size: int = 1
    labels: Literal["known", "inferred"] = "inferred"

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise TaskError(f"batch_size must be at least 1, not {self.batch_size}")


@dataclass(frozen=True)
class Task:
    """One honest client of federated learning and its server, which is curious.

    Attributes:
        dataset: the private images.
        model: registered name of the victim.
        model_options: its options.
        settings: see there.
    """

    dataset: Dataset
    model: str
    model_options: Mapping[str, Any]
    settings: TaskSettings

    @property
    def targets(self) -> int:
        """How many disjoint batches the dataset gives."""
        return len(self.dataset) // self.settings.batch_size

    def truth(self, target: int) -> Truth:
        """The private batch number `target`: consecutive images of the dataset."""
        if not 0 <= target < self.targets:
            raise TaskError(
                f"target {target} does not exist: {len(self.dataset)} images in batches of "
                f"{self.settings.batch_size} make targets 0 to {self.targets - 1}"
            )
        first = target * self.settings.batch_size
        pairs = [self.dataset[first + i] for i in range(self.settings.batch_size)]
        images = torch.stack([image for image, _ in pairs])
        return Truth(images, torch.tensor([label for _, label in pairs]))

    def observe(self, truth: Truth, defense: Defense, model_seed: int, defense_seed: int) -> Observation:
        """One round: the client computes its gradient, defends it and sends it.

        Args:
            truth: the client's batch.
            defense: what the client does to its update.
            model_seed: of the victim's random weights.
            defense_seed: of the defense's randomness.
        """
        dataset = self.dataset
        spec = ModelSpec(self.model, len(dataset.class_names), dataset.image_size, self.model_options)
        victim = spec.build(model_seed)
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (dataset.mean, dataset.std))
        gradient = loss_gradient(victim, (truth.images - mean) / std, truth.labels)
        names = [name for name, _ in victim.named_parameters()]
        generator = torch.Generator().manual_seed(defense_seed)
        return Observation(
            update=defense.apply(dict(zip(names, gradient, strict=True)), generator),
            model=spec,
            weights={name: value.detach() for name, value in victim.state_dict().items()},
            mean=dataset.mean,
            std=dataset.std,
            class_names=dataset.class_names,
            batch_size=len(truth.labels),
            labels=truth.labels if self.settings.labels == "known" else None,
        )
