"""The mode and the parameters that a client's settings put a model into."""

from __future__ import annotations

from torch import nn

from gifd_bench.tasks.batch_norm import set_batch_norm_training
from gifd_bench.tasks.client import ClientSettings
from gifd_bench.tasks.gradient import trainable


def prepare(model: nn.Module, settings: ClientSettings) -> None:
    """Put a model into the mode in which a client trains it, and freeze what the client does not train.

    Args:
        model: the model, changed in place.
        settings: the client's settings.

    Raises:
        TaskError: the settings name a parameter that the model does not have, or leave none to train.
    """
    if settings.dropout == "train":
        model.train()
    set_batch_norm_training(model, settings.batch_norm == "train")
    trained = frozenset(settings.trains(name for name, _ in trainable(model)))
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trained)
