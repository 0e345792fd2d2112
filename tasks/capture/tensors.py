"""The tensors of a model, from whatever holds them, under the model's own names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gifd_bench.common.errors import one_line
from gifd_bench.tasks.capture.update_files import read_file
from gifd_bench.tasks.errors import TaskError

# What Opacus, DataParallel, torch.compile, FSDP, activation checkpoints and DeepSpeed put before names.
WRAPPERS = frozenset(
    {
        "_module",
        "module",
        "_orig_mod",
        "_fsdp_wrapped_module",
        "_checkpoint_wrapped_module",
        "_forward_module",
    }
)


@dataclass(frozen=True)
class Form:
    """The names and shapes of a model's tensors.

    Attributes:
        shapes: the shapes of all parameters and buffers by name, in the order of the state dict.
        parameters: the names of the parameters, in the model's order; each tensor once.
        trainable: the names of the parameters that are not frozen.
        same: names under which the state dict repeats a parameter, with the parameter's first name.
        floating: names of the state dict whose values are floating-point numbers.
    """

    shapes: Mapping[str, torch.Size]
    parameters: tuple[str, ...]
    trainable: tuple[str, ...]
    same: Mapping[str, str]
    floating: frozenset[str]

    @classmethod
    def of(cls, model: nn.Module) -> Form:
        """The form of a model that is not wrapped."""
        first = {id(parameter): name for name, parameter in model.named_parameters()}
        every = model.named_parameters(remove_duplicate=False)
        state = model.state_dict()
        return cls(
            shapes={name: value.shape for name, value in state.items()},
            parameters=tuple(first.values()),
            trainable=tuple(name for name, value in model.named_parameters() if value.requires_grad),
            same={n: first[id(value)] for n, value in every if first[id(value)] != n},
            floating=frozenset(name for name, value in state.items() if value.is_floating_point()),
        )

    def orders(self) -> dict[str, list[str]]:
        """The orders in which frameworks list tensors, by a description of what is listed."""
        state = list(self.shapes)
        return {
            "parameters": list(self.parameters),
            "entries of the state dict": state,
            "parameters that are not frozen": list(self.trainable),
            "floating-point entries of the state dict": [name for name in state if name in self.floating],
            "entries of the state dict but shared ones": [name for name in state if name not in self.same],
        }


def named_tensors(given: Any, form: Form, what: str) -> dict[str, Tensor]:
    """Floating-point tensors under the model's names, in single precision and memory of their own.

    Args:
        given: a model, tensors or arrays by name or in order, one flat vector, or a file. `None` entries
            are left out.
        form: the form of the model to which these tensors belong.
        what: the name of the tensors in error messages.

    Raises:
        TaskError: they are not this model's; the message says what was expected and what was found.
    """
    content = _content(given, what)
    by_name = (
        _by_name(content, form, what) if isinstance(content, Mapping) else _in_order(content, form, what)
    )
    found: dict[str, Tensor] = {}
    for name, value in by_name.items():
        tensor = _tensor(value, f"{what}: '{name}'")
        if tensor is None or (name not in form.floating and not tensor.is_floating_point()):
            continue
        expected = form.shapes[name]
        if tensor.shape != expected and tensor.numel() == expected.numel() == 1:
            tensor = tensor.reshape(expected)
        if tensor.shape != expected:
            raise TaskError(
                f"{what}: '{name}' has shape {tuple(tensor.shape)}, and that of the model {tuple(expected)}"
            )
        if not tensor.is_floating_point():
            raise TaskError(
                f"{what}: '{name}' holds {_type(tensor)}, and floating-point numbers are expected"
            )
        own = form.same.get(name, name)
        single = tensor.detach().to("cpu", torch.float32).contiguous().clone()
        if own in found and not torch.equal(found[own], single):
            raise TaskError(f"{what}: '{name}' and '{own}' are one parameter, and have different values")
        found[own] = single
    if not found:
        raise TaskError(f"{what}: no tensor is there; is every gradient None, or was nothing trained?")
    order = {name: place for place, name in enumerate(form.shapes)}
    return dict(sorted(found.items(), key=lambda item: order[item[0]]))


def _content(given: Any, what: str) -> Mapping[str, Any] | list[Any]:
    """The given tensors, by name or in order."""
    if isinstance(given, str | Path):
        given = read_file(Path(given))
    if isinstance(given, nn.Module):
        given = given.state_dict()
    if isinstance(given, Mapping):
        return given
    if isinstance(given, Tensor) or (isinstance(given, np.ndarray) and given.dtype != object):
        return [given]
    if isinstance(given, Iterable) and not isinstance(given, bytes):
        return list(given)
    raise TaskError(
        f"{what}: tensors by name or in order, or a file of them, are expected, not {_type(given)}"
    )


def _by_name(content: Mapping[Any, Any], form: Form, what: str) -> dict[str, Any]:
    known = dict.fromkeys(form.shapes) | dict.fromkeys(form.same)
    places: dict[str, list[str]] = {}
    for name in known:
        places.setdefault(_bare(name), []).append(name)
    found: dict[str, Any] = {}
    unknown: dict[str, Any] = {}
    for key, value in content.items():
        name = str(key)
        if name not in known:
            candidates = places.get(_bare(name), [])
            if len(candidates) != 1:
                unknown[name] = value
                continue
            name = candidates[0]
        found[name] = value
    if unknown and not found:
        # Lightning's `model.`, or whatever else the model is an attribute of.
        prefix = _prefix(unknown, known)
        if prefix is not None:
            inner = {k.removeprefix(prefix): v for k, v in unknown.items() if k.startswith(prefix)}
            return _by_name(inner, form, what)
    if unknown:
        odd = min(unknown)
        names = list(known)
        shown = ", ".join(f"'{name}'" for name in names[:3]) + (", ..." if len(names) > 3 else "")
        raise TaskError(f"{what} and model disagree on parameter '{odd}': the model has {shown}")
    return found


def _prefix(given: Mapping[str, Any], known: Mapping[str, Any]) -> str | None:
    """The prefix of each of the model's names in what was given; `None` if there is none."""
    for name in known:
        for key in given:
            prefix = key.removesuffix(f".{name}")
            if prefix != key and any(f"{prefix}.{other}" in given for other in known):
                return f"{prefix}."
    return None


def _bare(name: str) -> str:
    """A name without the parts that wrappers insert."""
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def _in_order(content: Sequence[Any], form: Form, what: str) -> dict[str, Any]:
    vector = _tensor(content[0], what) if len(content) == 1 and len(form.parameters) > 1 else None
    if vector is not None and vector.ndim == 1:
        return _split(vector, form, what)
    orders = [(title, names) for title, names in form.orders().items() if len(names) == len(content)]
    for _, names in orders:
        if all(_fits(value, form.shapes[name]) for name, value in zip(names, content, strict=True)):
            return dict(zip(names, content, strict=True))
    if orders:
        # Of the first, the mismatch is told.
        return dict(zip(orders[0][1], content, strict=True))
    counts = {len(names): title for title, names in reversed(form.orders().items())}
    raise TaskError(
        f"{what}: {len(content)} tensors given, and "
        + " or ".join(f"{count} expected ({title})" for count, title in sorted(counts.items()))
    )


def _split(vector: Tensor, form: Form, what: str) -> dict[str, Any]:
    sizes: dict[int, str] = {}
    for title, names in form.orders().items():
        parts = [form.shapes[name].numel() for name in names]
        if sum(parts) == vector.numel():
            pieces = torch.split(vector, parts)
            return {n: p.view(form.shapes[n]) for n, p in zip(names, pieces, strict=True)}
        sizes.setdefault(sum(parts), title)
    raise TaskError(
        f"{what}: a flat vector of {vector.numel():,} numbers given, and "
        + " or ".join(f"{size:,} expected ({title})" for size, title in sizes.items())
    )


def _fits(value: Any, shape: torch.Size) -> bool:
    found = getattr(value, "shape", None)
    return value is None or (found is not None and tuple(found) == tuple(shape))


def _tensor(value: Any, what: str) -> Tensor | None:
    """A tensor, from any object that holds numbers; `None` stays `None`."""
    if value is None:
        return None
    if isinstance(value, Tensor):
        tensor = value.detach()
        tensor = tensor.to_dense() if tensor.layout != torch.strided else tensor
        return tensor.dequantize() if tensor.is_quantized else tensor
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            # NumPy itself knows no bfloat16; of the packages that add it, numbers can be converted.
            array = array.astype(np.float32)
        # The machine's own byte order, and memory that may be written to.
        return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))
    except (TypeError, ValueError, RuntimeError) as error:
        raise TaskError(
            f"{what} is {_type(value)}, and a tensor or an array of numbers is expected "
            f"({one_line(error)[:100]})"
        ) from error


def _type(value: Any) -> str:
    if isinstance(value, Tensor):
        return str(value.dtype)
    return f"a {type(value).__name__}"
