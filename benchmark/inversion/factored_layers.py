"""Layers whose contribution to a matching loss needs no gradient of their weights.

The gradient of the weights of a linear or convolution layer is the sum of outer products d_p u_p^T over
positions (images, pixels, tokens). Here u_p is the layer's input at a position (for a convolution, all
pixels under the kernel), and d_p is the gradient of the loss in the output at that position. The inner
product with an observed gradient O is sum_p d_p^T O u_p. The squared norm is sum_pq (d_p . d_q)(u_p . u_q),
the "ghost norm" of per-example clipping (Li et al., "Large language models can be strong differentially
private learners", ICLR 2022, section 4).

If the client is known to have set some entries to zero, as M says with zeros and ones, the observed
gradient is zero there too, so the inner product is the same. The squared norm is then
sum_pq (d_p * d_q)^T M (u_p * u_q).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.hooks import RemovableHandle

# About what it costs to form an entry of a gradient and to differentiate through it, in the multiplications
# of a matrix product.
ENTRY_COST = 50


@dataclass(frozen=True)
class Lanes:
    """Independent candidates, side by side in the first dimension of a batch.

    Attributes:
        count: the number of lanes, which are ordered by observation, with the same number for each.
        first: the observation of the first lane.
        observations: the number of observations, from the first on.
    """

    count: int
    first: int
    observations: int

    def of(self, observed: Tensor) -> Tensor:
        """The part of an (observations, ...) tensor with which these lanes are compared."""
        return observed[self.first : self.first + self.observations]


@dataclass(frozen=True)
class Shares:
    """What a layer contributes to the products of its lanes.

    Attributes:
        vectors: the gradients of parameters so small that they are formed, each (lanes, entries), in the
            order of the layer's `vectors`.
        weight: for the weight matrix, (2, lanes): inner products with the observed gradient, above squared
            norms; `None` if the layer has no weight matrix.
    """

    vectors: list[Tensor]
    weight: Tensor | None = None


class FactoredLayer(ABC):
    """One module of the engine's own copy of a victim.

    For each forward pass it keeps the input of the module, and the edge of the autograd graph at the
    module's output. The edge stays the same even if a later operation overwrites the output in place.

    Attributes:
        module: a module of the types that the subclass names; its parameters need no gradient here.
        vectors: the names in the module of the parameters whose gradients are formed.
    """

    def __init__(self, module: nn.Module, vectors: tuple[str, ...]) -> None:
        self.module = module
        self.vectors = vectors
        self._entered: Tensor | None = None
        self._edge: GradientEdge | None = None
        self._calls = 0
        self._hook: RemovableHandle | None = None

    def attach(self) -> None:
        """Watch the module from now on."""
        self._hook = self.module.register_forward_hook(self._after)

    def detach(self) -> None:
        """Stop watching the module."""
        if self._hook is not None:
            self._hook.remove()
        self.forget()

    def forget(self) -> None:
        """Release the latest forward pass."""
        self._entered = self._edge = None
        self._calls = 0

    @property
    def edge(self) -> GradientEdge | None:
        """The edge of the output in the latest forward pass; `None` if it does not depend on the inputs.

        Raises:
            RuntimeError: the module was not called exactly once, as when the engine was made.
        """
        if self._calls != 1:
            raise RuntimeError(
                f"a {type(self.module).__name__} of the victim was called {self._calls} times in a forward "
                "pass, but once on other inputs"
            )
        return self._edge

    @abstractmethod
    def shares(self, delta: Tensor, lanes: Lanes) -> Shares:
        """What the layer contributes to the products.

        Args:
            delta: the gradient of the sum of the lanes' losses at the edge.
            lanes: the lanes of the latest forward pass.
        """

    def _after(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self._keep(inputs[0], output)

    def _keep(self, entered: Tensor, output: Tensor) -> None:
        self._entered = entered
        self._edge = get_gradient_edge(output) if output.requires_grad else None
        self._calls += 1

    def _input(self) -> Tensor:
        assert self._entered is not None, "the module was not called"
        return self._entered


class Norm(FactoredLayer):
    """The gain and shift of a normalization whose statistics do not depend on parameters.

    These are BatchNorm in evaluation mode, LayerNorm and GroupNorm.
    """

    def shares(self, delta: Tensor, lanes: Lanes) -> Shares:
        normalized, scale = self._normalized(self._input())
        gradients = {}
        if "weight" in self.vectors:
            gain = self._summed(delta * normalized, lanes)
            gradients["weight"] = gain if scale is None else gain * scale
        if "bias" in self.vectors:
            gradients["bias"] = self._summed(delta, lanes)
        return Shares([gradients[name] for name in self.vectors])

    def _normalized(self, entered: Tensor) -> tuple[Tensor, Tensor | None]:
        """The input before gain and shift, up to a factor for each entry of the gain; and that factor."""
        layer = self.module
        if isinstance(layer, _BatchNorm):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            channels = (-1, *[1] * (entered.ndim - 2))
            return entered - layer.running_mean.view(channels), (layer.running_var + layer.eps).rsqrt()
        if isinstance(layer, nn.GroupNorm):
            return F.group_norm(entered, layer.num_groups, None, None, layer.eps), None
        assert isinstance(layer, nn.LayerNorm)
        if self._channels_first(entered):
            moved = F.layer_norm(entered.movedim(1, -1), layer.normalized_shape, None, None, layer.eps)
            return moved.movedim(-1, 1), None
        return F.layer_norm(entered, layer.normalized_shape, None, None, layer.eps), None

    def _summed(self, values: Tensor, lanes: Lanes) -> Tensor:
        """The sum of a lane's values over all dimensions without entries of a gain: (lanes, entries)."""
        if isinstance(self.module, nn.LayerNorm) and not self._channels_first(values):
            entries = 1
            for size in self.module.normalized_shape:
                entries *= size
            return values.reshape(lanes.count, -1, entries).sum(dim=1)
        others = [d + 1 for d in range(values.ndim) if d != 1]
        return values.view(lanes.count, -1, *values.shape[1:]).sum(dim=others)

    def _channels_first(self, values: Tensor) -> bool:
        """Whether a LayerNorm normalizes over the first axis of images, as some libraries' subclasses do.

        If that axis and the last have the same size, a subclass is assumed to do so; if it does not, the
        check finds that its products are wrong.
        """
        if type(self.module) is nn.LayerNorm or values.ndim != 4:
            return False
        assert isinstance(self.module, nn.LayerNorm)
        return tuple(self.module.normalized_shape) == (values.shape[1],)


@dataclass(frozen=True)
class Weights:
    """What the weight of a linear or convolution layer is compared with.

    Attributes:
        observed: (observations, outputs, inputs), with the last axis in the order of the layer's rows.
        positions: the number of positions of a lane.
        columns: (observations, inputs), False where the client set a column to zero; `None` if it set none.
        entries: like `observed`, 0 where the client set an entry to zero, and 1 elsewhere; `None` if it set
            none.
    """

    observed: Tensor
    positions: int
    columns: Tensor | None = None
    entries: Tensor | None = None

    @property
    def work(self) -> int:
        """Multiplications of one application of the layer to a lane."""
        return self.positions * self.observed[0].numel()

    @property
    def forms(self) -> bool:
        """Whether the gradient is formed for each lane, because that is cheaper.

        Not forming it takes products of all pairs of positions. If single entries are known to be zero, it
        takes as many products with a matrix of the weight's size. Forming it takes a few passes over its
        entries. The sizes decide, and not the clock, so that the same inversion gives the same bytes.
        """
        if self.entries is not None:
            return self.positions * (self.positions + 1) // 2 > ENTRY_COST
        return self.on_large_maps

    @property
    def on_large_maps(self) -> bool:
        """Whether positions are so many that forming the gradient is cheaper where no zeros are known."""
        outputs, inputs = self.observed.shape[1:]
        return self.positions**2 * (inputs + outputs) > ENTRY_COST * inputs * outputs


class WeightLayer(FactoredLayer):
    """A layer as one matrix that is applied at every position; a linear layer on vectors or tokens.

    Args:
        module: the module, as in `FactoredLayer`.
        vectors: the bias, or nothing.
        weights: what the weight is compared with; `None` if only the bias is factored.
    """

    def __init__(self, module: nn.Module, vectors: tuple[str, ...], weights: Weights | None) -> None:
        super().__init__(module, vectors)
        self.weights = weights

    def shares(self, delta: Tensor, lanes: Lanes) -> Shares:
        d = self._deltas(delta, lanes)
        vectors = [d.sum(dim=1) for _ in self.vectors]
        return Shares(vectors, None if self.weights is None else self._products(d, lanes))

    def _products(self, d: Tensor, lanes: Lanes) -> Tensor:
        """The products of the weight, as in `Shares`."""
        assert self.weights is not None
        u = self._input().reshape(lanes.count, d.shape[1], -1)
        if self.weights.columns is not None:
            kept = lanes.of(self.weights.columns)[:, None]
            u = (u.view(lanes.observations, -1, u.shape[2]) * kept).view(u.shape)
        entries = None if self.weights.entries is None else lanes.of(self.weights.entries)
        return matrix_products(u, d, lanes.of(self.weights.observed), self.weights.forms, entries)

    def _deltas(self, delta: Tensor, lanes: Lanes) -> Tensor:
        """The gradient at the output: (lanes, positions, outputs)."""
        return delta.reshape(lanes.count, -1, delta.shape[-1])


@dataclass(frozen=True)
class ConvolutionAxis:
    """One axis of a convolution, without the taps of the kernel that only ever see padding.

    The weights of such taps have no gradient. On a map of one pixel, a 3x3 kernel has one tap that counts.

    Attributes:
        first: the first tap that counts.
        taps: the number of taps that count.
        before: the padding; negative if pixels are left out.
        after: the padding at the other end.
        stride: in pixels.
        dilation: in pixels.
        outputs: the number of positions.
    """

    first: int
    taps: int
    before: int
    after: int
    stride: int
    dilation: int
    outputs: int

    @classmethod
    def of(cls, layer: nn.Conv2d, axis: int, size: int) -> ConvolutionAxis:
        """The axis (0 or 1) of a layer for images with a given size along it."""
        taps, stride, dilation = layer.kernel_size[axis], layer.stride[axis], layer.dilation[axis]
        reach = dilation * (taps - 1)
        if layer.padding == "same":
            before, after = reach // 2, reach - reach // 2
        elif isinstance(layer.padding, str):
            before = after = 0
        else:
            before = after = layer.padding[axis]
        outputs = (size + before + after - reach - 1) // stride + 1
        alive = [
            tap
            for tap in range(taps)
            if any(0 <= position * stride - before + tap * dilation < size for position in range(outputs))
        ]
        first, last = (alive[0], alive[-1]) if alive else (0, taps - 1)
        before -= first * dilation
        after = (outputs - 1) * stride + (last - first) * dilation + 1 - size - before
        return cls(first, last - first + 1, before, after, stride, dilation, outputs)


@dataclass(frozen=True)
class Window:
    """A convolution's kernel on images of one size: the pixels under it at each position.

    Attributes:
        rows: the vertical axis.
        columns: the horizontal axis.
    """

    rows: ConvolutionAxis
    columns: ConvolutionAxis

    @classmethod
    def of(cls, layer: nn.Conv2d, images: torch.Size) -> Window:
        """The window of a layer for (N, C, H, W) images."""
        return cls(ConvolutionAxis.of(layer, 0, images[2]), ConvolutionAxis.of(layer, 1, images[3]))

    @property
    def is_pixel(self) -> bool:
        """Whether each position is one pixel, and the kernel covers nothing else."""
        return all(a.taps == a.stride == 1 and a.before == a.after == 0 for a in (self.rows, self.columns))

    @property
    def positions(self) -> int:
        """The number of positions."""
        return self.rows.outputs * self.columns.outputs

    @property
    def taps(self) -> int:
        """The number of taps of the kernel that count."""
        return self.rows.taps * self.columns.taps

    def kernel(self, weight: Tensor) -> Tensor:
        """The weights that count, of (..., inputs, height, width), as (..., taps * inputs) matrices."""
        r, c = self.rows, self.columns
        alive = weight[..., r.first : r.first + r.taps, c.first : c.first + c.taps]
        return alive.movedim(-3, -1).flatten(-3).contiguous()

    def gather(self, images: Tensor) -> Tensor:
        """The pixels under the kernel, differentiable any number of times.

        Args:
            images: (N, height, width, channels).

        Returns:
            (N * positions, taps * channels).
        """
        if self.is_pixel:
            return images.reshape(-1, images.shape[3])
        gathered: Tensor = _Gather.apply(images, self)
        return gathered

    @property
    def padding(self) -> tuple[int, int, int, int, int, int]:
        """The padding in the form of `F.pad`, for images with their channels last."""
        return (0, 0, self.columns.before, self.columns.after, self.rows.before, self.rows.after)


class _Gather(torch.autograd.Function):
    """Copies the pixels under the kernel at each position: a linear map, whose adjoint is `_Scatter`."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, window: Window) -> Tensor:
        ctx.window, ctx.shape = window, images.shape
        r, c = window.rows, window.columns
        padded = F.pad(images, window.padding).contiguous()
        image, row, column, channel = padded.stride()
        under = padded.as_strided(
            (len(images), r.outputs, c.outputs, r.taps, c.taps, images.shape[3]),
            (image, row * r.stride, column * c.stride, row * r.dilation, column * c.dilation, channel),
        )
        return under.reshape(len(images) * window.positions, -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _Scatter.apply(gradients[0], ctx.window, ctx.shape), None


class _Scatter(torch.autograd.Function):
    """Adds up, at each pixel, the values of all positions that cover it."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, window: Window, shape: torch.Size) -> Tensor:
        ctx.window = window
        r, c = window.rows, window.columns
        count, height, width, channels = shape
        under = rows.view(count, r.outputs, c.outputs, r.taps, c.taps, channels)
        padded = rows.new_zeros(count, height + r.before + r.after, width + c.before + c.after, channels)
        for i in range(r.taps):
            for j in range(c.taps):
                top, left = i * r.dilation, j * c.dilation
                padded[
                    :,
                    top : top + (r.outputs - 1) * r.stride + 1 : r.stride,
                    left : left + (c.outputs - 1) * c.stride + 1 : c.stride,
                ] += under[:, :, :, i, j]
        return F.pad(padded, [-amount for amount in window.padding])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _Gather.apply(gradients[0], ctx.window), None, None


class ConvLayer(WeightLayer):
    """A convolution.

    On a CPU, it is computed as a matrix product from the rows that the products need anyway. That is faster
    than the convolution in double backward, and on small maps, because the weights need not be rearranged.

    Args:
        module: the module, as in `FactoredLayer`.
        vectors: the bias, or nothing.
        weights: what the weight is compared with; `None` if only the bias is factored.
        window: the kernel on the images that enter.
    """

    module: nn.Conv2d

    def __init__(
        self, module: nn.Conv2d, vectors: tuple[str, ...], weights: Weights | None, window: Window
    ) -> None:
        super().__init__(module, vectors, weights)
        self.window = window
        self._kernel: Tensor | None = None

    def attach(self) -> None:
        if self.weights is not None and self.module.weight.device.type == "cpu":
            self._kernel = self.window.kernel(self.module.weight.detach())
            self.module.forward = self._forward  # type: ignore[method-assign, assignment]
        else:
            super().attach()

    def detach(self) -> None:
        if self._kernel is not None:
            del self.module.forward
            self._kernel = None
        super().detach()

    def _forward(self, images: Tensor) -> Tensor:
        assert self._kernel is not None
        rows = self.window.gather(images.permute(0, 2, 3, 1))
        output = self._applied(rows, self._kernel)
        self._keep(rows, output)
        shape = (len(images), self.window.rows.outputs, self.window.columns.outputs, output.shape[1])
        return output.view(shape).permute(0, 3, 1, 2)

    def _applied(self, rows: Tensor, kernel: Tensor) -> Tensor:
        """The layer's output, from its rows: (positions, outputs)."""
        return F.linear(rows, kernel, self.module.bias)

    def _after(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        entered = inputs[0]
        if self.weights is not None:
            entered = self.window.gather(entered.permute(0, 2, 3, 1))
        self._keep(entered, output)

    def _deltas(self, delta: Tensor, lanes: Lanes) -> Tensor:
        return super()._deltas(delta.permute(0, 2, 3, 1) if delta.ndim == 4 else delta, lanes)


class DepthwiseLayer(ConvLayer):
    """A convolution of each channel separately, whose gradient is small and is formed for each lane."""

    def _applied(self, rows: Tensor, kernel: Tensor) -> Tensor:
        output = (rows.view(-1, kernel.shape[1], kernel.shape[0]) * kernel.t()).sum(dim=1)
        return output if self.module.bias is None else output + self.module.bias

    def _products(self, d: Tensor, lanes: Lanes) -> Tensor:
        assert self.weights is not None
        u = self._input().view(*d.shape[:2], self.window.taps, -1)
        gradients = (u * d[:, :, None]).sum(dim=1).transpose(1, 2)
        observed = lanes.of(self.weights.observed).flatten(1)
        entries = None if self.weights.entries is None else lanes.of(self.weights.entries)
        return vector_products(
            gradients.reshape(lanes.observations, -1, observed.shape[1]), observed, entries
        )


def matrix_products(
    u: Tensor, d: Tensor, observed: Tensor, forms: bool, entries: Tensor | None = None
) -> Tensor:
    """The inner products of D^T U with an observed gradient, above its squared norms: (2, lanes).

    Args:
        u: (lanes, positions, inputs).
        d: (lanes, positions, outputs).
        observed: (observations, outputs, inputs); each belongs to the same number of lanes, one after
            another.
        forms: whether to form D^T U.
        entries: like `observed`, 0 where D^T U is set to zero, as the observed gradient was, or else 1.
    """
    observations, outputs, inputs = observed.shape
    if forms:
        gradients = torch.bmm(d.transpose(1, 2), u).view(observations, -1, outputs * inputs)
        return vector_products(gradients, observed.flatten(1), entries)
    inner = _bilinear(d, observed, u)
    if entries is not None:
        return torch.stack((inner, _squared_with_zeros(u, d, entries)))
    if u.shape[1] == 1:
        return torch.stack((inner, u.square().sum(dim=(1, 2)) * d.square().sum(dim=(1, 2))))
    grams = torch.bmm(u, u.transpose(1, 2)) * torch.bmm(d, d.transpose(1, 2))
    return torch.stack((inner, grams.sum(dim=(1, 2))))


def _bilinear(d: Tensor, matrices: Tensor, u: Tensor) -> Tensor:
    """The sum of d_r^T M u_r over the rows r of each lane: (lanes,).

    Args:
        d: (lanes, rows, outputs).
        matrices: (observations, outputs, inputs).
        u: (lanes, rows, inputs).
    """
    rows = u.reshape(len(matrices), -1, u.shape[2])
    if len(matrices) == 1:
        applied = F.linear(rows[0], matrices[0])
    else:
        applied = torch.bmm(rows, matrices.transpose(1, 2))
    return (d * applied.view(d.shape)).sum(dim=(1, 2))


def _squared_with_zeros(u: Tensor, d: Tensor, entries: Tensor) -> Tensor:
    """The squared norms of D^T U with some entries set to zero; arguments as in `matrix_products`."""
    if u.shape[1] == 1:
        return _bilinear(d.square(), entries, u.square())
    first, second = torch.triu_indices(u.shape[1], u.shape[1], device=u.device)
    # Each pair of two positions counts twice.
    both = d[:, first] * d[:, second] * (1 + (first != second).to(d.dtype))[:, None]
    return _bilinear(both, entries, u[:, first] * u[:, second])


def vector_products(gradients: Tensor, observed: Tensor, entries: Tensor | None = None) -> Tensor:
    """Inner products with the observed gradients, above squared norms, for gradients that were formed.

    Args:
        gradients: (observations, lanes of each, entries).
        observed: (observations, entries).
        entries: (observations, ...), 0 where the gradients are set to zero, and 1 elsewhere.

    Returns:
        (2, lanes).
    """
    if entries is not None:
        gradients = gradients * entries.flatten(1)[:, None]
    inner = torch.bmm(gradients, observed[:, :, None]).flatten()
    flat = gradients.flatten(0, 1)
    return torch.stack((inner, torch.bmm(flat[:, None], flat[:, :, None]).flatten()))
