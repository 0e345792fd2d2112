"""The task of a cell, by its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from jsonargparse import ArgumentParser
from pytorch_lightning.callbacks import Callback
from torch import nn

from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.common.hashing import canonical
from gifd_bench.tasks.models.spec import ModelSpec
from gifd_bench.tasks.settings import TaskSettings
from gifd_bench.tasks.task import Task
from gifd_bench.tasks.training.cache import trained_victim


@dataclass(frozen=True)
class TaskConfig:
    """A task by its parts.

    Attributes:
        label: what the task is called in tables.
        dataset, model: its components.
        settings: see there.
    """

    label: str
    dataset: Component
    model: Component
    settings: TaskSettings

    def config(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "label": self.label,
            "dataset": self.dataset.config(),
            "model": self.model.config(),
            "settings": asdict(self.settings),
        }

    @cached_property
    def canonical(self) -> str:
        """The same as text."""
        return canonical(self.config())

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> TaskConfig:
        """The inverse of `config`."""
        return cls(
            config["label"],
            Component.from_config("dataset", config["dataset"]),
            Component.from_config("model", config["model"]),
            settings_from(config["settings"]),
        )

    def build(self, callbacks: Sequence[Callback] = ()) -> Task:
        """The task itself.

        Args:
            callbacks: for the Trainer, where the victim is trained here.
        """

        def trained(spec: ModelSpec, seed: int) -> nn.Module:
            data, settings = training_split(self.dataset), self.settings.training
            images, facts = data.build(), data.config()
            return trained_victim(spec, images, facts, settings, seed, progress=False, callbacks=callbacks)

        return Task(self.dataset.build(), self.model.name, self.model.options, self.settings, trained)

    @cached_property
    def imports(self) -> frozenset[str]:
        """Import paths of models that this task's owner has named, and observations of it may name too."""
        path = ModelSpec(self.model.name, 1, 1, self.model.options).imports
        return frozenset() if path is None else frozenset([path])


def training_split(dataset: Component) -> Component:
    """The same dataset's images for training, where it has a split of them; all of its images else."""
    if "split" not in dataset.options:
        return dataset
    return replace(dataset, options={**dataset.options, "split": "train"})


def settings_from(config: Mapping[str, Any]) -> TaskSettings:
    """Settings from JSON values."""
    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    parser.add_class_arguments(TaskSettings, "it")
    settings: TaskSettings = parser.instantiate(parser.parse_object({"it": dict(config)})).it
    return settings
