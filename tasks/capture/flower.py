"""Observations of Flower clients (package `flwr`): of NumPyClient's arrays and of the Message API.

This module does not import `flwr`: it recognizes Flower's objects by their attributes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from torch import nn

from gifd_bench.common.errors import one_line
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.observation import Observation


def arrays_of(given: Any) -> Any:
    """The arrays in an object of Flower, by name or in order; any other object is returned unchanged.

    Args:
        given: a `Message`, a `RecordDict`, an `ArrayRecord`, `Parameters`, a `FitRes` or `FitIns`, or the
            list of arrays of a NumPyClient.

    Raises:
        TaskError: a message has an error in place of content, or holds no arrays.
    """
    if hasattr(given, "has_content"):
        if not given.has_content():
            raise TaskError(f"this Flower message holds an error and no arrays ({given.error})")
        given = given.content
    records = getattr(given, "array_records", None)
    if records is not None:
        if not records:
            raise TaskError("this Flower message holds no ArrayRecord")
        given = next(iter(records.values()))
    if hasattr(given, "parameters") and hasattr(given.parameters, "tensors"):
        given = given.parameters
    if hasattr(given, "tensors") and hasattr(given, "tensor_type"):
        try:
            return [np.load(io.BytesIO(value), allow_pickle=False) for value in given.tensors]
        except (ValueError, EOFError) as error:
            raise TaskError(f"Flower's parameters are not arrays of numbers ({one_line(error)})") from error
    if isinstance(given, Mapping) and given and all(hasattr(v, "numpy") for v in given.values()):
        arrays = {str(name): value.numpy() for name, value in given.items()}
        # An ArrayRecord of arrays without names calls them 0, 1, 2, ...
        return list(arrays.values()) if all(name.isdigit() for name in arrays) else arrays
    return given


def images_of(reply: Any) -> int | None:
    """The number of images on which a client says that it trained; `None` if it does not say."""
    if isinstance(reply, tuple) and len(reply) == 3:
        return int(reply[1])
    if hasattr(reply, "num_examples"):
        return int(reply.num_examples)
    content = reply.content if hasattr(reply, "has_content") and reply.has_content() else reply
    for record in getattr(content, "metric_records", {}).values():
        for name in ("num-examples", "num_examples"):
            if name in record:
                return int(record[name])
    for name, record in getattr(content, "metric_records", {}).items():
        if "num_examples" in name and len(record) == 1:
            return int(next(iter(record.values())))
    return None


def from_flower(model: nn.Module, sent: Any, reply: Any, **described: Any) -> Observation:
    """The observation of one client's round, from what the server sent and what the client replied.

    Args:
        model: a model of the trained architecture; its weights are replaced by those that were sent.
        sent: the weights that the server sent, in any form that `arrays_of` accepts.
        reply: the client's reply, in any form that `arrays_of` accepts, or the arrays, number of examples
            and metrics that `fit` of a NumPyClient returns.
        described: the other arguments of `Observation.from_round`. `batch_size` is by default the number of
            examples that the client reports.

    Returns:
        The observation, which an attack can be given.

    Raises:
        TaskError: the arrays do not belong to this model, or the number of images is not known.
    """
    if "batch_size" not in described:
        described["batch_size"] = images_of(reply)
        if described["batch_size"] is None:
            raise TaskError("give batch_size: this reply does not say how many examples it is of")
    after = reply[0] if isinstance(reply, tuple) and len(reply) == 3 else reply
    return Observation.from_round(arrays_of(sent), arrays_of(after), model=model, **described)


def flower_mod(tell: Callable[[Any, Any], None]) -> Callable[[Any, Any, Any], Any]:
    """A mod for a Flower ClientApp that shows training rounds: `ClientApp(..., mods=[flower_mod(tell)])`.

    Args:
        tell: a function that is called with the message that the server sent and the client's reply.
            `from_flower` makes an observation of these two. It is not called for messages of other kinds,
            nor for replies without content.
    """

    def mod(message: Any, context: Any, call_next: Any) -> Any:
        reply = call_next(message, context)
        if str(message.metadata.message_type).startswith("train") and reply.has_content():
            tell(message, reply)
        return reply

    return mod
