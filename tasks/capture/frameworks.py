"""Observations of trainings with Lightning, Opacus and NVFlare, through hooks of these frameworks."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import pytorch_lightning as pl
from torch import nn

from gifd_bench.tasks.capture.step import Capture, capture
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.observation import KnownDefense, Observation


class CaptureCallback(pl.Callback):
    """A Lightning callback that captures some steps of the Trainer's own training loop.

        callback = gb.CaptureCallback()
        pl.Trainer(callbacks=[callback], ...).fit(module, data)
        observation = callback.captured.observation(mean=mean, std=std)

    Args:
        first: the batch at which the capture begins, counted from 0 over the whole training.
        batches: the number of batches that are captured.
    """

    def __init__(self, first: int = 0, batches: int = 1) -> None:
        if first < 0 or batches < 1:
            raise TaskError(f"first must be at least 0 and batches at least 1, not {first} and {batches}")
        self._first, self._batches, self._seen = first, batches, 0
        self._watching: AbstractContextManager[Capture] | None = None
        self._captured: Capture | None = None

    @property
    def captured(self) -> Capture:
        """What was captured.

        Raises:
            TaskError: the training ended before the first batch that was asked for.
        """
        if self._captured is None:
            raise TaskError(f"no batch number {self._first} was trained on, so that nothing was captured")
        return self._captured

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self._seen == self._first:
            self._watching = capture(_victim_of(pl_module))
            self._captured = self._watching.__enter__()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._seen += 1
        if self._watching is not None and self._seen == self._first + self._batches:
            self._watching.__exit__(None, None, None)
            self._watching = None

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._watching is not None:
            self._watching.__exit__(None, None, None)
            self._watching = None


def _victim_of(module: pl.LightningModule) -> nn.Module:
    """The network that a LightningModule trains: its only child with parameters, else itself."""
    children = [child for child in module.children() if next(child.parameters(), None) is not None]
    alone = next(module.parameters(recurse=False), None) is None
    return children[0] if len(children) == 1 and alone else module


def opacus_defense(optimizer: Any) -> KnownDefense:
    """Opacus's DP-SGD as a defense whose kind and parameters the attacker knows.

    Args:
        optimizer: the DPOptimizer that `PrivacyEngine.make_private` returns.

    Raises:
        TaskError: it is another optimizer.
    """
    bound, noise = getattr(optimizer, "max_grad_norm", None), getattr(optimizer, "noise_multiplier", None)
    if not isinstance(bound, int | float) or not isinstance(noise, int | float):
        raise TaskError(
            f"an optimizer of Opacus with one max_grad_norm is expected, not a {type(optimizer).__name__}"
        )
    return KnownDefense("dp_sgd", {"bound": float(bound), "noise_multiplier": float(noise)})


def from_nvflare(model: nn.Module, received: Any, result: Any, **described: Any) -> Observation:
    """The observation of one round of an NVFlare client, from the FLModels that it received and sent.

    Args:
        model: a model of the trained architecture; its weights are replaced by the received ones.
        received: the FLModel with the server's weights.
        result: the FLModel with the weights after local training or, for `ParamsType.DIFF`, their
            difference.
        described: the other arguments of `Observation.from_round`.

    Returns:
        The observation, which an attack can be given.

    Raises:
        TaskError: the parameters do not belong to this model.
    """
    before, sent = received.params, result.params
    if not isinstance(before, Mapping) or not isinstance(sent, Mapping):
        raise TaskError("both FLModels must hold params by name")
    kind = getattr(result.params_type, "value", result.params_type)
    after = {name: before[name] + change for name, change in sent.items()} if kind == "DIFF" else sent
    return Observation.from_round(before, after, model=model, **described)
