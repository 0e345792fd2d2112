"""Trained victims on disk: each is trained once.

torch and Lightning are imported only when a victim is trained or read, because planning only asks for names
of files.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gifd_bench.common.cache import cache_folder
from gifd_bench.common.errors import FileError, StorageError, one_line
from gifd_bench.common.files import make_folder, read_tensors_and_metadata, write_tensors
from gifd_bench.common.hashing import canonical, short_hash
from gifd_bench.tasks.datasets.base import Dataset
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.models.spec import ModelSpec
from gifd_bench.tasks.training.settings import VictimTraining

if TYPE_CHECKING:
    from pytorch_lightning.callbacks import Callback
    from torch import Tensor, nn

FORMAT = "gifd-bench/victim/2"
LOG = logging.getLogger(__name__)


def victim_file(
    spec: ModelSpec,
    dataset_facts: Mapping[str, Any],
    training: VictimTraining,
    seed: int,
    cache: Path | None = None,
    threads: int = 1,
) -> Path:
    """The file of a trained victim, whose name is a hash of everything on which the victim depends.

    For a model from outside, this includes the source of the model. The arguments are those of
    `trained_victim`.

    Raises:
        TaskError: there is no such model.
    """
    identity = _identity(spec, dataset_facts, training, seed, threads)
    return cache_folder(cache) / "victims" / f"{short_hash(identity)}.safetensors"


def trained_victim(
    spec: ModelSpec,
    dataset: Dataset,
    dataset_facts: Mapping[str, Any],
    training: VictimTraining,
    seed: int,
    cache: Path | None = None,
    progress: bool = True,
    callbacks: Sequence[Callback] = (),
    threads: int = 1,
) -> nn.Module:
    """A victim from the cache. If it is not there yet, it is trained and stored first.

    If the cache cannot be written, a warning says so, and the victim is used from memory.

    Args:
        spec: the spec of the model.
        dataset: the dataset on which it is trained.
        dataset_facts: what identifies the dataset, as JSON values, whatever anybody calls it.
        training: how it is trained.
        seed: the seed of the random weights with which training begins.
        cache: the folder of the cache; by default, that of `cache_folder`.
        progress: whether to show a bar while training.
        callbacks: callbacks for the Trainer; if one of them raises an exception, training ends, and nothing
            is stored.
        threads: threads on the CPU within one operation. Another number rounds sums in another way, and so
            gives another victim.

    Returns:
        The model in evaluation mode.

    Raises:
        TaskError: its file is damaged, the dataset does not fit the model, or training diverged.
    """
    from gifd_bench.common.threads import operation_threads
    from gifd_bench.tasks.training.images import load_images
    from gifd_bench.tasks.training.train import accuracy, train_victim

    path = victim_file(spec, dataset_facts, training, seed, cache, threads)
    identity = _identity(spec, dataset_facts, training, seed, threads)
    if path.exists():
        return _load(path, spec, identity)
    wanted, given = (spec.num_classes, spec.image_size), (len(dataset.class_names), dataset.image_size)
    if wanted != given:
        raise TaskError(
            f"the model is of {wanted[0]} classes at {wanted[1]} pixels, the training images of {given[0]} "
            f"at {given[1]}"
        )
    images = load_images(dataset, training.limit, training.seed, progress)
    with operation_threads(threads):
        model = train_victim(spec, images, training, seed, None, progress, callbacks)
    if not all(bool(value.isfinite().all()) for value in model.state_dict().values()):
        raise TaskError(f"training of model '{spec.name}' diverged; try a smaller learning_rate")
    right = accuracy(model, images)
    constant = int(images.labels.bincount().max()) / len(images)
    if right <= constant:
        LOG.warning(
            "the victim has learned nothing: it classifies %.0f%% of its training images, and the same "
            "answer for all would be right for %.0f%%; try a smaller learning_rate",
            100 * right,
            100 * constant,
        )
    results = {"images": len(images), "train_accuracy": right}
    try:
        _save(path, model, identity, results)
    except StorageError as error:
        LOG.warning(
            "the trained victim is used from memory and trained again in the next process: %s", error
        )
    return model


def victim_facts(path: Path) -> dict[str, Any]:
    """What the file of a trained victim says about it: `images` and `train_accuracy`.

    Raises:
        TaskError: it is no such file, or damaged.
    """
    return _read(path)[2]


def _identity(
    spec: ModelSpec, dataset_facts: Mapping[str, Any], training: VictimTraining, seed: int, threads: int
) -> str:
    """Everything on which a trained victim depends, as canonical JSON."""
    facts = {
        "format": FORMAT,
        "model": spec.identity(),
        "dataset": dict(dataset_facts),
        "training": asdict(training),
        "seed": seed,
        "threads": threads,
    }
    return canonical(facts)


def _save(path: Path, model: nn.Module, identity: str, results: Mapping[str, Any]) -> None:
    """Write one safetensors file, which appears complete or not at all."""
    make_folder(path.parent)
    facts = {"format": FORMAT, "identity": identity, "results": json.dumps(results)}
    write_tensors(path, model.state_dict(), facts)


def _load(path: Path, spec: ModelSpec, identity: str) -> nn.Module:
    state, found, _ = _read(path)
    if found != identity:
        raise TaskError(f"{path}: is another victim's file; remove it")
    model = spec.build()
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        detail = one_line(error)
        raise TaskError(f"{path}: does not fit its model; remove it ({detail})") from error
    return model


def _read(path: Path) -> tuple[dict[str, Tensor], str, dict[str, Any]]:
    """State dict, identity and results of a file."""
    try:
        state, metadata = read_tensors_and_metadata(path)
        if metadata.get("format") != FORMAT:
            raise ValueError(f"its format is not '{FORMAT}'")
        return state, metadata["identity"], json.loads(metadata["results"])
    except (FileError, KeyError, ValueError) as error:
        detail = one_line(error)
        raise TaskError(f"{path}: damaged file of a trained victim; remove it ({detail})") from error
