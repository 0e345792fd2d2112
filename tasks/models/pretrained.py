"""Published weights of victim models.

They are downloaded if they are not on this machine: asking for them is asking for the download. The
libraries that provide them are imported only when weights of one of their models are needed.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gifd_bench.common.errors import one_line
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.models.names import no_architecture
from gifd_bench.tasks.models.spec import ModelSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

# torchvision's oldest DenseNet files call `norm1` of a layer `norm.1`.
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")


@dataclass(frozen=True)
class Published:
    """A published state dict of a trained model.

    Attributes:
        tensors: the tensors by name.
        classes: the number of classes of its head.
    """

    tensors: Mapping[str, Tensor]
    classes: int


def load_pretrained(model: nn.Module, spec: ModelSpec) -> None:
    """Put published weights into a model. If the numbers of classes differ, the head keeps its own weights.

    Args:
        model: a model that was built from `spec`; it is changed in place.
        spec: the spec of a torchvision model, which gets its DEFAULT weights, or of a timm model.

    Raises:
        TaskError: there are no weights for this model, they cannot be downloaded, or they do not fit.
    """
    if spec.name not in _SOURCES:
        raise _none_for(spec)
    published = _SOURCES[spec.name](spec)
    state = {name: _chosen(name, own, published, spec) for name, own in model.state_dict().items()}
    model.load_state_dict(state)


def is_at_hand(spec: ModelSpec) -> bool:
    """Whether a model's published weights are on this machine; nothing is downloaded.

    Raises:
        TaskError: there are none for this model.
    """
    if spec.name not in _AT_HAND:
        raise _none_for(spec)
    return _AT_HAND[spec.name](spec)


def _chosen(name: str, own: Tensor, published: Published, spec: ModelSpec) -> Tensor:
    """The published tensor, or the model's own if it belongs to a head with other classes."""
    found = published.tensors.get(name)
    if found is not None and found.shape == own.shape:
        return found
    # A counter that files of old lack.
    if found is None and name.endswith("num_batches_tracked"):
        return own
    heads = (published.classes, spec.num_classes)
    if (
        found is not None
        and heads[0] != heads[1]
        and (found.shape[:1], own.shape[:1]) == ((heads[0],), (heads[1],))
        and found.shape[1:] == own.shape[1:]
    ):
        return own
    theirs = "is not there" if found is None else f"{tuple(found.shape)} there"
    raise TaskError(
        f"published weights of {_title(spec)} do not fit: '{name}' is {tuple(own.shape)}, {theirs}"
    )


def _torchvision(spec: ModelSpec) -> Published:
    import torchvision
    from torchvision.models.vision_transformer import interpolate_embeddings

    weights = torchvision.models.get_model_weights(_architecture(spec)).DEFAULT
    file = _hub_file(weights.url)
    try:
        state = weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise _unavailable(spec, f"{weights.url} is looked for at {file}", error) from error
    tensors = {_OLD_DENSENET.sub(r"\1\2.", name): tensor for name, tensor in state.items()}
    if "encoder.pos_embedding" in tensors:  # A transformer, made for images of another size.
        patch = tensors["conv_proj.weight"].shape[-1]
        tensors = interpolate_embeddings(spec.image_shape[1], patch, tensors)
    return Published(tensors, len(weights.meta["categories"]))


def _timm(spec: ModelSpec) -> Published:
    import torch
    from huggingface_hub import constants

    from gifd_bench.tasks.models.timm_models import create

    config = _timm_config(spec)
    where = f"{config.hf_hub_id or config.url} is looked for in {constants.HF_HUB_CACHE}"
    try:
        with torch.random.fork_rng(devices=[]):
            # timm knows how its checkpoints fit another image size.
            trained = create(
                _architecture(spec),
                config.num_classes,
                spec.image_size,
                pretrained=True,
                channels=spec.channels,
            )
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise _unavailable(spec, where, error) from error
    return Published(trained.state_dict(), config.num_classes)


def _torchvision_at_hand(spec: ModelSpec) -> bool:
    import torchvision

    known = torchvision.models.list_models(module=torchvision.models)
    if _architecture(spec) not in known:
        raise no_architecture("torchvision", _architecture(spec), known)
    weights = torchvision.models.get_model_weights(_architecture(spec)).DEFAULT
    return _hub_file(weights.url).is_file()


def _timm_at_hand(spec: ModelSpec) -> bool:
    from huggingface_hub import constants, try_to_load_from_cache

    config = _timm_config(spec)
    if config.hf_hub_id:
        names = (constants.SAFETENSORS_SINGLE_FILE, constants.PYTORCH_WEIGHTS_NAME)
        return any(isinstance(try_to_load_from_cache(config.hf_hub_id, name), str) for name in names)
    return _hub_file(config.url).is_file()


def _timm_config(spec: ModelSpec) -> Any:
    import timm

    config = timm.get_pretrained_cfg(_architecture(spec))
    if config is None or not (config.hf_hub_id or config.url):
        raise TaskError(f"{_title(spec)} has no published weights")
    return config


def _hub_file(url: str) -> Path:
    """The file in which torch keeps a download from a URL."""
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]


_AT_HAND: dict[str, Callable[[ModelSpec], bool]] = {
    "timm": _timm_at_hand,
    "torchvision": _torchvision_at_hand,
}

_SOURCES: dict[str, Callable[[ModelSpec], Published]] = {
    "timm": _timm,
    "torchvision": _torchvision,
}


def _none_for(spec: ModelSpec) -> TaskError:
    have = " and ".join(sorted(_SOURCES))
    return TaskError(f"model '{spec.name}' has no published weights; those of {have} have")


def _architecture(spec: ModelSpec) -> str:
    return str(spec.options.get("architecture", "resnet18"))


def _title(spec: ModelSpec) -> str:
    return f"{spec.name} '{_architecture(spec)}'"


def _unavailable(spec: ModelSpec, where: str, error: Exception) -> TaskError:
    detail = one_line(error)[:200]
    return TaskError(f"published weights of {_title(spec)} cannot be had: {where} ({detail})")
