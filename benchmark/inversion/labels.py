"""Label inference: what the last layer's update says of the private labels."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.errors import BenchmarkError
from tasks.observation import Observation


def infer_labels(observation: Observation) -> Tensor:
    """The batch's labels as the attacker believes them: (B,) int64.

    Those that the threat model grants, or else the classes in ascending order of the row sums of the
    last linear layer's gradient, as in the releases of GGL and GIFD. For a single image and a
    non-negative input of that layer this is the rule of Zhao et al., "iDLG" (2020), equation 8: only
    the true class's row is negative. Classes are assumed to differ within the batch.

    Raises:
        BenchmarkError: the model has no linear layer with a row a class, or the batch holds more
            images than there are classes.
    """
    if observation.labels is not None:
        return observation.labels
    sums = _last_layer(observation).sum(dim=1)
    if observation.batch_size > len(sums):
        raise BenchmarkError(
            f"labels of {observation.batch_size} images cannot be inferred from {len(sums)} classes"
        )
    return torch.argsort(sums, stable=True)[: observation.batch_size]


def _last_layer(observation: Observation) -> Tensor:
    names = [name for name, _ in observation.victim().named_parameters()]
    classes = observation.model.num_classes
    for name in reversed(names):
        update = observation.update[name]
        if update.ndim == 2 and update.shape[0] == classes:
            return update
    raise BenchmarkError(f"model '{observation.model.name}' has no linear layer of {classes} classes")
