"""Observations on disk: one safetensors file with JSON metadata, in which nothing runs."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from gifd_bench.common.errors import AccessError, FileError, MissingError, one_line
from gifd_bench.common.files import read_tensors_and_metadata, write_tensors
from gifd_bench.tasks.batch_norm import Moments
from gifd_bench.tasks.client import ClientSettings, FedAvg
from gifd_bench.tasks.defenses.registry import DEFENSES
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.losses import LOSSES, Loss
from gifd_bench.tasks.models.registry import MODELS
from gifd_bench.tasks.models.spec import ModelSpec
from gifd_bench.tasks.observation import KnownDefense, Observation, check
from gifd_bench.tasks.outside import named_by_user, portable
from gifd_bench.tasks.stated import stated
from gifd_bench.tasks.threat_model import ThreatModel

FORMAT = "gifd-bench/observation/3"
METADATA = "observation"
# What reading facts of any kind and size may raise.
_DAMAGE = (
    KeyError,
    TypeError,
    ValueError,
    RuntimeError,
    AttributeError,
    RecursionError,
    OverflowError,
)


def tensors_of(observation: Observation) -> dict[str, Tensor]:
    """All tensors of an observation, by their names in its file."""
    tensors = {f"update/{name}": value for name, value in observation.update.items()}
    tensors |= {f"weights/{name}": value for name, value in observation.weights.items()}
    tensors |= {f"buffers/{name}": value for name, value in observation.buffers.items()}
    for layer, moments in (observation.batch_statistics or {}).items():
        tensors |= {f"statistics/{layer}/mean": moments.mean, f"statistics/{layer}/var": moments.var}
    if observation.labels is not None:
        tensors["labels"] = observation.labels
    return tensors


def facts_of(observation: Observation) -> dict[str, Any]:
    """Everything about an observation besides its tensors, as JSON takes it."""
    known = observation.defenses
    return {
        "format": FORMAT,
        "is_difference": observation.is_difference,
        "model": {
            "name": portable(observation.model.name),
            "num_classes": observation.model.num_classes,
            "image_size": observation.model.image_size,
            "options": dict(observation.model.options),
            **({} if observation.model.channels == 3 else {"channels": observation.model.channels}),
        },
        # safetensors sorts names; the model's order is kept here.
        "parameters": list(observation.update),
        "mean": observation.mean,
        "std": observation.std,
        "class_names": observation.class_names,
        "batch_size": observation.batch_size,
        "threat_model": asdict(observation.threat_model),
        "client": _client_facts(observation.client) if observation.client else None,
        "defenses": None
        if known is None
        else [{**asdict(defense), "name": portable(defense.name)} for defense in known],
    }


def save_observation(observation: Observation, path: Path) -> None:
    """Write the file of an observation; it appears complete or not at all.

    Raises:
        StorageError: it cannot be written; an older file of this name is still there.
        TaskError: nobody could rebuild its model.
    """
    _check_rebuilds(observation)
    tensors, facts = tensors_of(observation), facts_of(observation)
    # One text: of several, safetensors keeps no order, and the same observation is the same bytes.
    write_tensors(path, tensors, {METADATA: json.dumps(facts)})


def _check_rebuilds(observation: Observation) -> None:
    if observation._own_victim is None:
        return
    try:
        observation.rebuilt_victim()
    except (TaskError, RuntimeError) as error:
        raise TaskError(
            f"this observation's model cannot be rebuilt from a file: give from_gradients a spec, "
            f"ModelSpec('my_net.py:Net', ...), that says how ({one_line(error)})"
        ) from error


def load_observation(path: Path, imports: Collection[str] = ()) -> Observation:
    """Read a file that `save_observation` wrote.

    Args:
        path: the path of the file.
        imports: the models, losses and defenses from outside that the file may name, by file
            (`my_net.py:Net`) or import path. Somebody else's file must not choose which code runs here.
            What is imported is what is named here, if the file and the class have the same names as in the
            observation.

    Raises:
        TaskError: there is no such file, this user may not read it, it is damaged, has another format, does
            not fit its own model, or names a model or defense from outside that is not among `imports`.
    """
    try:
        tensors, metadata = read_tensors_and_metadata(path)
    except MissingError as error:
        raise TaskError(f"{path}: no such observation file") from error
    except AccessError as error:
        raise TaskError(str(error)) from error
    except FileError as error:
        raise TaskError(f"damaged observation file: {error}") from error
    try:
        facts = json.loads(metadata.get(METADATA, "{}"))
        # Older ones say it beside.
        found = facts.get("format", metadata.get("format", "none"))
        if found != FORMAT:
            raise TaskError(f"{path}: an observation of format '{FORMAT}' expected, found '{found}'")
        observation = _allowed(assembled(facts, tensors), imports)
        check(observation)
    except TaskError as error:
        raise TaskError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error
    except _DAMAGE as error:
        detail = one_line(error)
        raise TaskError(f"{path}: damaged observation file ({detail})") from error
    return observation


def assembled(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Observation:
    """The observation of `facts_of` and `tensors_of`, whose parts may not fit each other."""

    def below(prefix: str) -> dict[str, Tensor]:
        return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}

    model, client, known = facts["model"], facts["client"], facts["defenses"]
    update, statistics = below("update/"), below("statistics/")
    if sorted(update) != sorted(facts["parameters"]):
        raise ValueError("the update's parameters are not those listed")
    threat_model = ThreatModel(**facts["threat_model"])
    layers = sorted({name.rpartition("/")[0] for name in statistics})
    return Observation(
        update={name: update[name] for name in facts["parameters"]},
        is_difference=bool(facts["is_difference"]),
        model=ModelSpec(
            str(model["name"]),
            int(model["num_classes"]),
            _image_size(model["image_size"]),
            dict(model["options"]),
            int(model.get("channels", 3)),
        ),
        weights=below("weights/"),
        mean=_channels(facts["mean"]),
        std=_channels(facts["std"]),
        class_names=tuple(str(name) for name in facts["class_names"]),
        batch_size=int(facts["batch_size"]),
        threat_model=threat_model,
        client=_client(client) if client else None,
        labels=tensors.get("labels"),
        batch_statistics={
            layer: Moments(statistics[f"{layer}/mean"], statistics[f"{layer}/var"]) for layer in layers
        }
        if threat_model.bn_statistics == "batch"
        else None,
        buffers=below("buffers/"),
        defenses=None
        if known is None
        else tuple(KnownDefense(str(one["name"]), one["parameters"]) for one in known),
    )


def _allowed(observation: Observation, imports: Collection[str]) -> Observation:
    """The same observation, with the user's own names for the code that it would import."""
    spec, known, client = observation.model, observation.defenses, observation.client
    return replace(
        observation,
        model=replace(spec, name=named_by_user(MODELS, spec.name, imports)),
        client=client
        and replace(client, loss=replace(client.loss, use=named_by_user(LOSSES, client.loss.use, imports))),
        defenses=None
        if known is None
        else tuple(replace(one, name=named_by_user(DEFENSES, one.name, imports)) for one in known),
    )


def _client_facts(client: ClientSettings) -> dict[str, Any]:
    facts = stated(client)
    if "loss" in facts:
        facts["loss"] = {**facts["loss"], "use": portable(client.loss.use)}
    return facts


def _client(facts: dict[str, Any]) -> ClientSettings:
    local, loss = facts["local"], facts.get("loss")
    return ClientSettings(
        **{
            **facts,
            "local": FedAvg(**local) if local else None,
            "loss": Loss(**loss) if loss else Loss(),
        }
    )


def _image_size(value: Any) -> int | tuple[int, int]:
    if isinstance(value, list):
        height, width = (int(side) for side in value)
        return height, width
    return int(value)


def _channels(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
