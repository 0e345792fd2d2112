"""The task of a cell, by its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser

from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.common.hashing import canonical
from gifd_bench.tasks.models.spec import ModelSpec
from gifd_bench.tasks.settings import TaskSettings
from gifd_bench.tasks.stated import stated

if TYPE_CHECKING:
    from pytorch_lightning.callbacks import Callback
    from torch import nn

    from gifd_bench.tasks.task import Task


@dataclass(frozen=True)
class TaskConfig:
    """A task by its parts.

    Attributes:
        label: the name of the task in tables.
        dataset, model: its components.
        settings: batch, client, threat model, and where the victim's weights come from.
    """

    label: str
    dataset: Component
    model: Component
    settings: TaskSettings

    def config(self) -> dict[str, Any]:
        """The task as plain JSON values."""
        return {
            "label": self.label,
            "dataset": self.dataset.config(),
            "model": self.model.config(),
            "settings": stated(self.settings),
        }

    @cached_property
    def canonical(self) -> str:
        """What the task is, as text, without labels."""
        return canonical(
            {
                "dataset": self.dataset.identity(),
                "model": self.model.identity(),
                "settings": stated(self.settings),
            }
        )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> TaskConfig:
        """The inverse of `config`."""
        return cls(
            config["label"],
            Component.from_config("dataset", config["dataset"]),
            Component.from_config("model", config["model"]),
            settings_from(config["settings"]),
        )

    def build(self, callbacks: Sequence[Callback] = (), threads: int = 1) -> Task:
        """Make the task.

        Args:
            callbacks: callbacks for the Trainer, if the victim is trained here.
            threads: threads with which a victim is trained.
        """
        # Imported here, because `plan` and `status` read matrices without torch.
        from gifd_bench.tasks.task import Task
        from gifd_bench.tasks.training.cache import trained_victim

        def trained(spec: ModelSpec, seed: int) -> nn.Module:
            data = training_split(self.dataset)
            return trained_victim(
                spec,
                data.build(),
                data.identity(),
                self.settings.training,
                seed,
                progress=False,
                callbacks=callbacks,
                threads=threads,
            )

        return Task(self.dataset.build(), self.model.name, self.model.options, self.settings, trained)


def training_split(dataset: Component) -> Component:
    """The training images of the same dataset, if it has a training split; otherwise all of its images."""
    if "split" not in dataset.options:
        return dataset
    return replace(dataset, options={**dataset.options, "split": "train"})


def settings_from(config: Mapping[str, Any]) -> TaskSettings:
    """Settings from JSON values."""
    parser = _settings_parser()
    settings: TaskSettings = parser.instantiate(parser.parse_object({"it": dict(config)})).it
    return settings


@cache
def _settings_parser() -> ArgumentParser:
    """The parser of settings, which takes longer to make than to use."""
    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    parser.add_class_arguments(TaskSettings, "it")
    return parser
