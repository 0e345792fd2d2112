"""A victim that is prepared so that the products of its gradients need few of the gradients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from gifd_bench.benchmark.inversion.factored_layers import (
    ConvLayer,
    DepthwiseLayer,
    FactoredLayer,
    Lanes,
    Norm,
    WeightLayer,
    Weights,
    Window,
)
from gifd_bench.benchmark.inversion.matching import dots
from gifd_bench.tasks.models.second_derivatives import twice_differentiable

# The most entries that the rows of one layer may have, all lanes together: 256 MiB in single precision.
ROWS_LIMIT = 2**26


@dataclass(frozen=True)
class Observed:
    """Observed gradients of one victim.

    Attributes:
        gradients: (O, ...) by parameter, in the model's order.
        zeros: by parameter: False where the client is known to have set an entry to zero, of the gradients'
            shape; or, of a weight matrix, a whole column: (O, inputs).
    """

    gradients: dict[str, Tensor]
    zeros: dict[str, Tensor]

    @classmethod
    def of(
        cls,
        names: Iterable[str],
        gradients: Sequence[Mapping[str, Tensor]],
        zeros: Sequence[Mapping[str, Tensor]] = (),
    ) -> Observed:
        """Gather the gradients of single observations."""
        changed = zeros[0] if zeros else ()
        return cls(
            {name: torch.stack([each[name].detach() for each in gradients]) for name in names},
            {name: torch.stack([each[name] for each in zeros]) for name in changed},
        )

    def without_entries(self) -> Observed:
        """The same, but without known zeros other than columns."""
        columns = {name: value for name, value in self.zeros.items() if self.columns(name) is not None}
        return Observed(self.gradients, columns)

    def columns(self, name: str) -> Tensor | None:
        """Of a weight matrix: (O, inputs), False for columns of zeros; `None` if none are known."""
        found = self.zeros.get(name)
        return found if found is not None and found.ndim < self.gradients[name].ndim else None

    def entries(self, name: str) -> Tensor | None:
        """Like the gradients of a parameter: 0 for known zeros, 1 elsewhere; `None` if none are known."""
        found, gradients = self.zeros.get(name), self.gradients[name]
        return found.to(gradients) if found is not None and found.shape == gradients.shape else None

    @property
    def count(self) -> int:
        """The number of observations."""
        return len(next(iter(self.gradients.values())))

    def ends(self) -> Observed:
        """The first and the last observation, or the only one."""
        chosen = [0, -1] if self.count > 1 else [0]
        return Observed(
            {name: value[chosen] for name, value in self.gradients.items()},
            {name: value[chosen] for name, value in self.zeros.items()},
        )

    def to(self, dtype: torch.dtype) -> Observed:
        """The same gradients in another precision."""
        return Observed({name: value.to(dtype) for name, value in self.gradients.items()}, self.zeros)


@dataclass(frozen=True)
class Call:
    """A module that is called exactly once in a forward pass, with one tensor.

    Attributes:
        entered: the shape of the input of one lane.
        left: the shape of the output.
    """

    entered: torch.Size
    left: torch.Size


def calls(victim: nn.Module, inputs: Tensor) -> dict[str, Call]:
    """The modules that hold parameters of their own and are called exactly once, by name.

    Args:
        victim: the model, which runs a forward pass.
        inputs: the inputs of one lane: (B, C, H, W).
    """
    seen: dict[str, list[tuple[object, ...]]] = {}
    hooks = []
    for name, module in victim.named_modules():
        if next(module.parameters(recurse=False), None) is not None:
            seen[name] = []
            hooks.append(
                module.register_forward_hook(
                    lambda _, entered, left, calls=seen[name]: calls.append((*entered, left))
                )
            )
    # With a graph, because without one attention modules take a shortcut past the modules in them.
    with torch.enable_grad():
        victim(inputs.clone().requires_grad_())
    for hook in hooks:
        hook.remove()
    found = {}
    for name, its_calls in seen.items():
        match its_calls:
            case [(Tensor() as entered, Tensor() as left)]:
                found[name] = Call(entered.shape, left.shape)
    return found


class FactoredVictim:
    """Computes products, with ordinary gradients where nothing better is known.

    Attributes:
        model: the victim.
        general: the parameters that get an ordinary gradient; if there are any, one lane is computed at a
            time.

    Args:
        victim: the model, which is changed.
        observed: gradients that were observed of it.
        calls: its calls; see `calls`.
        general: parameters that must get an ordinary gradient.
        lanes: the number of lanes that will run at the same time.
    """

    def __init__(
        self,
        victim: nn.Module,
        observed: Observed,
        calls: Mapping[str, Call],
        general: frozenset[str],
        lanes: int,
    ) -> None:
        self.model = victim
        self.observed = observed
        every = dict(victim.named_parameters())
        parameters = {name: every[name] for name in observed.gradients}
        modules = dict(victim.named_modules())
        factored = (_sole(victim) & parameters.keys()) - general
        self._layers: list[FactoredLayer] = []
        self._vectors: list[str] = []
        weights: list[str] = []
        for name, call in calls.items():
            prefix = f"{name}." if name else ""
            own = tuple(
                k for k, _ in modules[name].named_parameters(recurse=False) if prefix + k in factored
            )
            layer = _layer(modules[name], prefix, own, call, observed, lanes)
            if layer is not None:
                layer.attach()
                self._layers.append(layer)
                self._vectors += [prefix + kind for kind in layer.vectors]
                if isinstance(layer, WeightLayer) and layer.weights is not None:
                    weights.append(f"{prefix}weight")
        found = [*self._vectors, *weights]
        self.general = tuple(name for name in parameters if name not in found)
        for name, parameter in every.items():
            parameter.requires_grad_(name in self.general)
        self._general = [parameters[name] for name in self.general]
        gradients = observed.gradients
        # Where each parameter's products are among those of vectors, weights and ordinary gradients.
        places = {name: i for i, name in enumerate([*found, *self.general])}
        order = [places[name] for name in parameters]
        device = next(iter(parameters.values())).device
        self._order = None if order == sorted(order) else torch.tensor(order, device=device)
        self._sizes = [gradients[name][0].numel() for name in self._vectors]
        self._observed_vectors = (
            torch.cat([gradients[name].flatten(1) for name in self._vectors], dim=1)
            if self._vectors
            else None
        )
        kept = [observed.entries(name) for name in self._vectors]
        self._kept_vectors = None
        if any(each is not None for each in kept):
            parts = [
                torch.ones_like(gradients[name]) if each is None else each
                for name, each in zip(self._vectors, kept, strict=True)
            ]
            self._kept_vectors = torch.cat([part.flatten(1) for part in parts], dim=1)
        # Sums are pairwise: a norm of 1e8 entries added up one by one is off by a percent.
        self.observed_squared = torch.stack(
            [value.flatten(1).square().sum(dim=1) for value in gradients.values()], dim=1
        )

    def __call__(self, inputs: Tensor, targets: Tensor, together: bool) -> tuple[Tensor, Tensor]:
        """Inner products and squared norms of the lanes: two tensors (lanes, parameters).

        Args:
            inputs: (lanes, B, C, H, W), ordered by observation, with the same number of lanes for each.
            targets: (lanes, B), or (lanes, B, classes) probabilities.
            together: whether lanes share one forward pass, which is allowed only if `general` is empty.
        """
        count = len(inputs)
        if together:
            return self._products(inputs, targets, Lanes(count, 0, self.observed.count))
        each = count // self.observed.count
        parts = [
            self._products(inputs[i : i + 1], targets[i : i + 1], Lanes(1, i // each, 1))
            for i in range(count)
        ]
        inner, squared = (torch.cat(part) for part in zip(*parts, strict=True))
        return inner, squared

    @property
    def mostly_forms(self) -> bool:
        """Whether most of the work is in layers on large maps, whose gradients might as well be formed.

        None of them may be depthwise, because the double backward of such layers is far slower.
        """
        if any(isinstance(layer, DepthwiseLayer) for layer in self._layers):
            return False
        weights = [layer.weights for layer in self._layers if isinstance(layer, WeightLayer)]
        work = [(each.work, each.on_large_maps) for each in weights if each is not None]
        return 2 * sum(amount for amount, large in work if large) > sum(amount for amount, _ in work)

    def close(self) -> None:
        """Leave the model as it was, except for which parameters need gradients."""
        for layer in self._layers:
            layer.detach()

    def _products(self, inputs: Tensor, targets: Tensor, lanes: Lanes) -> tuple[Tensor, Tensor]:
        """The products of lanes that share a forward pass."""
        differentiable = torch.is_grad_enabled() and (inputs.requires_grad or targets.requires_grad)
        with torch.enable_grad():
            images = inputs.flatten(0, 1)
            if not images.requires_grad:
                # Without this, the outputs of the first layers would not be part of a graph.
                images = images.detach().requires_grad_()
            for layer in self._layers:
                layer.forget()
            # Summed over lanes, which do not touch each other, and the mean over the images of each.
            # Fused attention has no double backward.
            with twice_differentiable():
                logits = self.model(images)
            loss = F.cross_entropy(logits, targets.flatten(0, 1), reduction="sum")
            edges = [layer.edge for layer in self._layers]
            reached = [edge for edge in edges if edge is not None]
            gradients = torch.autograd.grad(
                loss / inputs.shape[1],
                [*reached, *self._general],  # type: ignore[arg-type]  # Edges and tensors may be mixed.
                create_graph=differentiable,
                allow_unused=True,
            )
        deltas, ordinary = gradients[: len(reached)], gradients[len(reached) :]
        with torch.set_grad_enabled(differentiable):
            by_edge = iter(deltas)
            parts = self._factored([None if edge is None else next(by_edge) for edge in edges], lanes)
            if self.general:
                parts.append(self._ordinary(ordinary, lanes))
            products = torch.cat(parts, dim=2)
            inner, squared = products if self._order is None else products.index_select(2, self._order)
        for layer in self._layers:
            layer.forget()
        return inner, squared

    def _factored(self, deltas: Sequence[Tensor | None], lanes: Lanes) -> list[Tensor]:
        """Products of the vectors and of the weights, (2, lanes, parameters)."""
        vectors: list[Tensor] = []
        weights: list[Tensor] = []
        for layer, delta in zip(self._layers, deltas, strict=True):
            if delta is None:
                sizes = self._sizes[len(vectors) : len(vectors) + len(layer.vectors)]
                vectors += [self.observed_squared.new_zeros(lanes.count, size) for size in sizes]
                if isinstance(layer, WeightLayer) and layer.weights is not None:
                    weights.append(self.observed_squared.new_zeros(2, lanes.count))
                continue
            shares = layer.shares(delta, lanes)
            vectors += shares.vectors
            if shares.weight is not None:
                weights.append(shares.weight)
        parts = []
        if self._observed_vectors is not None:
            joined = torch.cat(vectors, dim=1)
            by_observation = (lanes.observations, -1, joined.shape[1])
            if self._kept_vectors is not None:
                kept = lanes.of(self._kept_vectors)[:, None]
                joined = (joined.view(by_observation) * kept).view(joined.shape)
            observed = lanes.of(self._observed_vectors)[:, None]
            inner = (joined.view(by_observation) * observed).view(joined.shape)
            both = torch.stack((inner, joined.square()))
            by_vector = torch.split(both, self._sizes, dim=2)
            parts.append(torch.stack([part.sum(dim=2) for part in by_vector], dim=2))
        if weights:
            parts.append(torch.stack(weights, dim=2))
        return parts

    def _ordinary(self, gradients: Sequence[Tensor | None], lanes: Lanes) -> Tensor:
        """Products from gradients that were formed, for one lane: (2, 1, parameters)."""
        found = []
        for name, parameter, gradient in zip(self.general, self._general, gradients, strict=True):
            flat = torch.zeros_like(parameter) if gradient is None else gradient
            kept = self.observed.zeros.get(name)
            found.append((flat if kept is None else flat * kept[lanes.first]).flatten())
        observed = [self.observed.gradients[name][lanes.first].flatten() for name in self.general]
        return torch.stack((dots(found, observed), dots(found, found)))[:, None]


def _sole(victim: nn.Module) -> frozenset[str]:
    """The parameters that belong to only one module."""
    every = list(victim.named_parameters(remove_duplicate=False))
    holders = Counter(id(parameter) for _, parameter in every)
    return frozenset(name for name, parameter in every if holders[id(parameter)] == 1)


def _layer(
    module: nn.Module, prefix: str, own: tuple[str, ...], call: Call, observed: Observed, lanes: int
) -> FactoredLayer | None:
    """How the products of a module's own parameters are factored; `None` if they are not."""
    if not own or not set(own) <= {"weight", "bias"}:
        return None
    if isinstance(module, _BatchNorm):
        return None if module.training or module.running_mean is None else Norm(module, own)
    if isinstance(module, nn.LayerNorm | nn.GroupNorm):
        return Norm(module, own)
    vectors = tuple(kind for kind in own if kind == "bias")
    if isinstance(module, nn.Linear) and type(module).forward is nn.Linear.forward:
        weights = _linear_weights(module, f"{prefix}weight", call, observed) if "weight" in own else None
        return WeightLayer(module, vectors, weights)
    if isinstance(module, nn.Conv2d) and _is_plain(module):
        window = Window.of(module, call.entered)
        positions, inputs = window.positions * call.entered[0], window.taps * module.in_channels
        if lanes * positions * inputs > ROWS_LIMIT:
            return None
        weights = None
        if "weight" in own:
            name = f"{prefix}weight"
            if observed.columns(name) is not None:
                return None
            entries = observed.entries(name)
            weights = Weights(
                window.kernel(observed.gradients[name]),
                positions,
                entries=None if entries is None else window.kernel(entries),
            )
        return (DepthwiseLayer if module.groups > 1 else ConvLayer)(module, vectors, weights, window)
    return None


def _linear_weights(module: nn.Linear, name: str, call: Call, observed: Observed) -> Weights:
    positions = call.entered.numel() // module.in_features
    return Weights(observed.gradients[name], positions, observed.columns(name), observed.entries(name))


def _is_plain(layer: nn.Conv2d) -> bool:
    """Whether a convolution is PyTorch's own, and every output sees all channels or exactly one."""
    return (
        type(layer).forward is nn.Conv2d.forward
        and type(layer)._conv_forward is nn.Conv2d._conv_forward
        and "forward" not in vars(layer)
        and layer.padding_mode == "zeros"
        and (layer.groups == 1 or layer.groups == layer.in_channels == layer.out_channels)
    )
