"""A task: who is attacked, and with which data and model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gifd_bench.common.errors import one_line
from gifd_bench.tasks.batch_norm import batch_moments
from gifd_bench.tasks.datasets.base import Dataset
from gifd_bench.tasks.defenses.base import Defense
from gifd_bench.tasks.defenses.knowledge import describe
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.models.check import check_model
from gifd_bench.tasks.models.pretrained import load_pretrained
from gifd_bench.tasks.models.spec import ModelSpec
from gifd_bench.tasks.models.state import load_state
from gifd_bench.tasks.observation import KnownDefense, Observation
from gifd_bench.tasks.observation_checks import check_differentiable, check_images, check_numbers
from gifd_bench.tasks.round import run_round
from gifd_bench.tasks.selection import Batches
from gifd_bench.tasks.settings import TaskSettings
from gifd_bench.tasks.truth import Truth

Training = Callable[[ModelSpec, int], nn.Module]


@dataclass(frozen=True)
class Task:
    """Honest clients of federated learning, and their curious server.

    Attributes:
        dataset: the private images.
        model: name of the victim: a bundled model, or one from outside (see `ModelSpec`).
        model_options: options of the model.
        settings: batch, clients, threat model, targets and the victim's weights.
        training: a function that returns the trained victim for a spec and a seed, for `settings.weights`
            of `trained`.
    """

    dataset: Dataset
    model: str
    model_options: Mapping[str, Any]
    settings: TaskSettings
    training: Training | None = None
    _victims: dict[int, nn.Module] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def batches(self) -> Batches:
        """The targets: batches of the dataset without common images."""
        return self.settings.selection.batches(self.dataset.labels, self.settings.images)

    @property
    def spec(self) -> ModelSpec:
        """The victim's architecture."""
        dataset = self.dataset
        return ModelSpec(
            self.model,
            len(dataset.class_names),
            dataset.image_size,
            self.model_options,
            channels=len(dataset.mean),
        )

    def truth(self, target: int) -> Truth:
        """The private batch number `target`, the first client's images first."""
        pairs = [self.dataset[index] for index in self.batches[target]]
        images = torch.stack([image for image, _ in pairs])
        return Truth(images, torch.tensor([label for _, label in pairs]))

    def victim(self, seed: int) -> nn.Module:
        """The victim as it is sent out, in evaluation mode; one object for each seed, not to be changed.

        Raises:
            TaskError: it cannot be made, or an attack could not differentiate this client's gradient of it.
        """
        if seed not in self._victims:
            victim = self._make_victim(seed)
            if self.settings.client.batch_norm == "train" or not self.settings.client.loss.is_plain:
                # `check_model` has tried the usual client.
                check_differentiable(victim, self.settings.client, self.spec.image_shape)
            self._victims[seed] = victim
        return self._victims[seed]

    def observe(self, truth: Truth, defense: Defense, model_seed: int, defense_seed: int) -> Observation:
        """Run one round: the clients compute their updates, apply the defense, and send them.

        Args:
            truth: the clients' batch.
            defense: what every client does to its update.
            model_seed: the seed of the victim's weights.
            defense_seed: the seed of the defense's randomness.

        Returns:
            What the server sees.

        Raises:
            TaskError: the images do not have the victim's shape, or are not finite; the client cannot
                compute its update; or the update is zero or not finite.
        """
        dataset, settings = self.dataset, self.settings
        client, granted = settings.client, settings.threat_model
        victim = self.victim(model_seed)
        check_images(truth.images, self.spec.image_shape)
        mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (dataset.mean, dataset.std))
        inputs = (truth.images - mean) / std
        try:
            sent = run_round(victim, inputs, truth.labels, client, defense, defense_seed)
        except TaskError:
            raise
        except ValueError as error:
            # BatchNorm of one value a channel, say.
            raise TaskError(f"the client cannot compute its update: {one_line(error)}") from error
        observation = Observation(
            update=sent.update,
            is_difference=client.local is not None,
            model=self.spec,
            weights={name: value.detach() for name, value in victim.state_dict().items()},
            mean=dataset.mean,
            std=dataset.std,
            class_names=dataset.class_names,
            batch_size=len(truth.labels),
            threat_model=granted,
            client=client if granted.local_settings == "known" else None,
            labels=truth.labels if granted.labels == "known" else None,
            batch_statistics=batch_moments(victim, inputs, client.clients, client.batch_norm == "train")
            if granted.bn_statistics == "batch"
            else None,
            buffers=sent.buffers if client.send_buffers else {},
            defenses=self._known(defense),
        )
        check_numbers(observation)
        return observation

    def _known(self, defense: Defense) -> tuple[KnownDefense, ...] | None:
        level = self.settings.threat_model.defense
        if level == "unknown":
            return None
        return tuple(
            KnownDefense(name, parameters if level == "parameters" else None)
            for name, parameters in describe(defense)
        )

    def _make_victim(self, seed: int) -> nn.Module:
        spec, source = self.spec, self.settings.weights
        check_model(spec)
        if source == "trained":
            if self.training is None:
                raise TaskError("task.weights: this task has no training images to train its victim on")
            return self.training(spec, seed)
        victim = spec.build(seed)
        if source == "pretrained":
            load_pretrained(victim, spec)
        if self.settings.weights_file is not None:
            load_state(victim, Path(self.settings.weights_file))
        return victim
