"""Whether an observation describes what really happened, checked by the owner of the private batch.

An update that is described wrongly looks safe, because no attack can explain it. The owner of the images
can tell the two cases apart: the described client is run on the images, and what it would have sent is
compared with what was sent.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.simulation import SimulatedClient
from gifd_bench.tasks.capture import values
from gifd_bench.tasks.client import ClientSettings, FedAvg
from gifd_bench.tasks.defenses.base import NoDefense
from gifd_bench.tasks.losses import Loss
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.round import run_round

Cause = Literal[
    "zero gradient",
    "opposite sign",
    "difference sent as a gradient",
    "constant factor",
    "train mode",
    "weights after the step",
    "another optimizer",
    "other local training",
    "another loss",
    "preprocessing",
    "undeclared defense",
    "layers that differ",
    "unknown",
]

# Two directions with at least this cosine are the same; those of updates in half precision reach it.
SAME = 0.9995
# Two scales are the same if they differ by at most this share.
CLOSE = 0.01
_NORMALIZATIONS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "none": ((0.0,), (1.0,)),
    "mean 0.5 and std 0.5": ((0.5,), (0.5,)),
    "mean 0.5 and std 0.25": ((0.5,), (0.25,)),
    "that of ImageNet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "that of CIFAR-10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "the stds 0.2023, 0.1994, 0.2010 of CIFAR-10": (
        (0.4914, 0.4822, 0.4465),
        (0.2023, 0.1994, 0.2010),
    ),
    "that of CIFAR-100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "that of MNIST": ((0.1307,), (0.3081,)),
    "none, on pixels from 0 to 255": ((0.0,), (1 / 255,)),
}


@dataclass(frozen=True)
class LayerCheck:
    """One parameter's part of a comparison.

    Attributes:
        name: the name of the parameter.
        cosine: cosine similarity of what was sent and what was expected, in [-1, 1]; 0 if one of them is
            zero.
        scale: the norm of what was sent, over that of what was expected; infinite if that is zero.
    """

    name: str
    cosine: float
    scale: float


@dataclass(frozen=True)
class ObservationCheck:
    """A comparison of what was sent with what the described client would have sent.

    Attributes:
        agrees: whether the description explains what was sent.
        cosine: cosine similarity of the two updates, in [-1, 1].
        scale: the factor of what was expected that comes nearest to what was sent.
        cause: the most likely cause if they do not agree.
        explanation: one sentence for a person; if they do not agree, it says what to change.
        layers: the comparison for each parameter.
    """

    agrees: bool
    cosine: float
    scale: float
    cause: Cause | None
    explanation: str
    layers: tuple[LayerCheck, ...]


def check_observation(observation: Observation, images: Any, labels: Any) -> ObservationCheck:
    """Compare an observation with its private batch, which only its owner has.

    Args:
        observation: the observation, which is left as it is.
        images: (B, C, H, W) in [0, 1], the first client's first, before any normalization.
        labels: (B,) whole numbers, or (B, classes) if images have several labels.

    Returns:
        Whether the description explains the update and, if not, the most likely cause.

    Raises:
        UserError: images or labels are not those of such a batch.
    """
    batch = _batch(observation, images, labels)
    return _Check(observation, *batch).result()


def _batch(observation: Observation, images: Any, labels: Any) -> tuple[Tensor, Tensor]:
    pixels = torch.as_tensor(images).detach().to("cpu", torch.float32)
    expected = (observation.batch_size, *observation.model.image_shape)
    if tuple(pixels.shape) != expected:
        raise BenchmarkError(f"images of shape {tuple(pixels.shape)} given, and {expected} expected")
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= -1e-3 and high <= 1 + 1e-3):
        raise BenchmarkError(
            f"images are in [{low:.3g}, {high:.3g}], and images in [0, 1] before any normalization are "
            "expected"
        )
    targets = values.label_tensor(labels, observation.model.num_classes)
    if targets is None or len(targets) != observation.batch_size:
        raise BenchmarkError(f"{observation.batch_size} labels are expected")
    if targets.ndim == 1 and not bool(((targets >= 0) & (targets < observation.model.num_classes)).all()):
        raise BenchmarkError(f"labels must be below {observation.model.num_classes}")
    return pixels, targets


@dataclass(frozen=True)
class _Hypothesis:
    """Another description, and what its client would have sent, as one vector."""

    cause: Cause
    explanation: str
    update: Tensor


class _Check:
    def __init__(self, observation: Observation, images: Tensor, labels: Tensor) -> None:
        self.observation, self.images, self.labels = observation, images, labels
        self.settings = observation.client or ClientSettings()
        self.names = list(observation.update)
        client = SimulatedClient(observation, torch.device("cpu"))
        self.noise = client.imitation.noise_std
        with torch.no_grad():
            self.parts = client.update(images, labels)
        self.sent, self.expected = _flat(tuple(observation.update.values())), _flat(self.parts)
        self.cosine, self.scale = _compared(self.sent, self.expected)

    def result(self) -> ObservationCheck:
        cause, explanation = self._found()
        pairs = zip(self.names, self.observation.update.values(), self.parts, strict=True)
        layers = tuple(_layer(name, sent, expected) for name, sent, expected in pairs)
        return ObservationCheck(cause is None, self.cosine, self.scale, cause, explanation, layers)

    def _found(self) -> tuple[Cause | None, str]:
        if not bool(self.sent.any()):
            return "zero gradient", (
                "what was sent is zero: read the gradient after backward and before zero_grad"
            )
        if self._agrees():
            return None, "the described client would have sent this update"
        if abs(self.cosine) >= SAME:
            return self._factor()
        best: _Hypothesis | None = None
        for other in self._hypotheses():
            if _compared(self.sent, other.update)[0] >= max(SAME, self.cosine):
                best = other
                break
        if best is not None:
            return best.cause, best.explanation
        return self._defense() or self._dropout() or self._noise() or self._layers() or _UNKNOWN

    def _agrees(self) -> bool:
        observation, residual = self.observation, self.sent - self.expected
        noise = float(torch.as_tensor(self.noise).float().mean())
        if noise > 0:
            left = float(residual.square().mean())
            # The estimate of a noise is not exact, and no direction is left under a strong one.
            return left <= 2 * noise**2 + (CLOSE * float(self.expected.square().mean().sqrt())) ** 2
        if self.settings.dropout == "train":
            return self._is_a_draw()
        if observation.defenses:
            return self.cosine >= 0.9
        if observation.is_difference and self.settings.local is None:
            # One step of unknown length stands for all of the local training.
            return self.cosine >= 0.5
        return self.cosine >= SAME and abs(self.scale - 1) <= CLOSE

    # Causes that change the length or the sign of the update, and not its direction.

    def _factor(self) -> tuple[Cause, str]:
        factor, images = self.scale, self.observation.batch_size
        near = (*self._losses(), *self._optimizers(), *self._stepped()) if 0.1 < factor < 20 else ()
        for other in near:
            cosine, scale = _compared(self.sent, other.update)
            if abs(scale - 1) <= CLOSE / 4 and 1 - cosine <= max(1e-7, (1 - self.cosine) / 5):
                return other.cause, other.explanation
        if factor < 0:
            if not self.observation.is_difference and abs(factor + 1) > CLOSE:
                return "difference sent as a gradient", (
                    f"what was sent is {factor:.4g} times the gradient: a difference of parameters at "
                    f"learning rate {-factor:.4g}, perhaps; say client=ClientSettings(local=FedAvg(...)), "
                    "or use from_round(before, after)"
                )
            return "opposite sign", (
                "what was sent points against what was expected: a gradient is sent as it is, and a "
                "difference is the parameters after less those before"
            )
        likely = [f"what was sent is {factor:.4g} times what was expected"]
        local = self.settings.local
        power = math.log2(factor)
        norm = float(torch.linalg.vector_norm(self.sent))
        bound = float(f"{norm:.2g}")
        if images > 1 and abs(factor / images - 1) <= CLOSE:
            likely.append(
                f"the loss is summed over the {images} images and not averaged: "
                "client=ClientSettings(loss=Loss(reduction='sum'))"
            )
        elif images > 1 and abs(factor * images - 1) <= CLOSE:
            likely.append(f"the gradient was divided by the {images} images twice")
        elif factor >= 8 and abs(power - round(power)) <= 0.005:
            likely.append(
                "a mixed-precision scaler has multiplied the loss: capture the gradient after "
                "scaler.unscale_(optimizer)"
            )
        elif local is not None:
            likely.append(
                f"the learning rate is {factor * local.learning_rate:.4g} and not {local.learning_rate:.4g}"
            )
        elif factor < 1 and abs(norm / bound - 1) <= 1e-4:
            likely.append(
                f"it was clipped to a norm of {bound:g}: "
                f"defenses=[KnownDefense('clipping', {{'bound': {bound:g}}})]"
            )
            return "undeclared defense", "; ".join(likely)
        else:
            likely.append("a loss scale, a sum in place of a mean, a learning rate, or clipping to a norm")
        return "constant factor", "; ".join(likely)

    # Causes that change the direction of the update: another description explains it.

    def _hypotheses(self) -> Iterator[_Hypothesis]:
        yield from self._modes()
        yield from self._losses()
        yield from self._preprocessings()
        yield from self._optimizers()
        yield from self._stepped()

    def _update_of(self, other: Observation, images: Tensor | None = None) -> Tensor | None:
        """What the client of another description would send; `None` if it cannot."""
        try:
            with torch.no_grad():
                client = SimulatedClient(other, torch.device("cpu"))
                return _flat(client.update(self.images if images is None else images, self.labels))
        except (RuntimeError, ValueError):
            return None

    def _given(
        self, cause: Cause, explanation: str, other: Observation, images: Tensor | None = None
    ) -> Iterator[_Hypothesis]:
        update = self._update_of(other, images)
        if update is not None:
            yield _Hypothesis(cause, explanation, update)

    def _modes(self) -> Iterator[_Hypothesis]:
        mode: Literal["eval", "train"] = "eval" if self.settings.batch_norm == "train" else "train"
        yield from self._given(
            "train mode",
            f"the BatchNorm layers were in {'evaluation' if mode == 'eval' else 'training'} mode: "
            f"client=ClientSettings(batch_norm='{mode}', ...)",
            replace(self.observation, client=replace(self.settings, batch_norm=mode, send_buffers=False)),
        )

    def _losses(self) -> Iterator[_Hypothesis]:
        for loss in (
            Loss(),
            Loss(label_smoothing=0.1),
            Loss(label_smoothing=0.05),
            Loss(label_smoothing=0.2),
            Loss("binary_cross_entropy"),
        ):
            if loss != self.settings.loss:
                smoothing = f", label_smoothing={loss.label_smoothing}" if loss.label_smoothing else ""
                said = f"Loss('{loss.use}'{smoothing})"
                yield from self._given(
                    "another loss",
                    f"another loss was minimized: client=ClientSettings(loss={said})",
                    replace(self.observation, client=replace(self.settings, loss=loss)),
                )

    def _preprocessings(self) -> Iterator[_Hypothesis]:
        channels = self.observation.model.channels
        for title, (mean, std) in _NORMALIZATIONS.items():
            if len(mean) in (1, channels):
                mean, std = (v if len(v) == channels else v * channels for v in (mean, std))
                yield from self._given(
                    "preprocessing",
                    f"the images were normalized otherwise, with {title}: "
                    f"mean={_short(mean)}, std={_short(std)}",
                    replace(self.observation, mean=mean, std=std),
                )
        for title, other in (
            ("their channels in reverse order (BGR)", self.images.flip(1)),
            ("mirrored", self.images.flip(3)),
            ("upside down", self.images.flip(2)),
        ):
            yield from self._given(
                "preprocessing", f"the model saw the images {title}", self.observation, other
            )

    def _optimizers(self) -> Iterator[_Hypothesis]:
        local = self.settings.local
        images = self.observation.batch_size // self.settings.clients
        if local is None:
            if not self.observation.is_difference:
                # A step of Adam is the sign of the gradient, nearly.
                yield _Hypothesis(
                    "another optimizer",
                    "what was sent is a step of Adam and not a gradient: use from_round(before, after), "
                    "with client=ClientSettings(local=FedAvg(optimizer='adam', ...))",
                    -self.expected / (self.expected.abs() + 1e-8),
                )
            return
        plain = FedAvg(local.epochs, local.batch_size, local.learning_rate)
        others: list[tuple[Cause, str, FedAvg]] = [("another optimizer", "plain SGD", plain)]
        for momentum in (0.9, 0.5, 0.8, 0.95, 0.99):
            title = f"optimizer='sgd', momentum={momentum}"
            others.append(("another optimizer", title, replace(plain, momentum=momentum)))
        others += [
            ("another optimizer", "optimizer='sgd', momentum=0.9, nesterov=True",
             replace(plain, momentum=0.9, nesterov=True)),
            ("another optimizer", "optimizer='adam'", replace(plain, optimizer="adam")),
            ("another optimizer", "optimizer='adamw', weight_decay=0.01",
             replace(plain, optimizer="adamw", weight_decay=0.01)),
        ]  # fmt: skip
        others += [
            ("another optimizer", f"weight_decay={decay}", replace(local, weight_decay=decay))
            for decay in (1e-4, 5e-4, 1e-3, 1e-2, 0.1)
        ]
        for epochs in (1, 2, 3, 5, 10):
            for size in sorted({1, 2, 4, 8, images, local.batch_size}):
                if size <= images and (epochs, size) != (local.epochs, local.batch_size):
                    title = f"epochs={epochs}, batch_size={size}"
                    others.append(
                        ("other local training", title, replace(local, epochs=epochs, batch_size=size))
                    )
        steps = len(list(local.steps(images)))
        longest = float(self.sent.abs().max()) / steps
        others += [
            (
                "another optimizer",
                f"optimizer='adam', learning_rate={rate:.3g}",
                replace(plain, optimizer="adam", learning_rate=rate),
            )
            for rate in {longest, float(f"{longest:.1g}")}
            if rate > 0
        ]
        fitted = self._with_fitted_rate(local)
        if fitted is not None:
            title = f"learning_rate={fitted.learning_rate:.4g}"
            others.insert(0, ("constant factor", title, fitted))
        for cause, title, other in others:
            if other != local:
                yield from self._given(
                    cause,
                    f"the local training was another one: local=FedAvg({title}, ...)",
                    replace(self.observation, client=replace(self.settings, local=other)),
                )

    def _with_fitted_rate(self, local: FedAvg) -> FedAvg | None:
        """The same settings with the learning rate that gives the length of what was sent most nearly."""
        if self.scale <= 0:
            return None
        found = replace(local, learning_rate=local.learning_rate * self.scale)
        for _ in range(4):
            other = replace(self.observation, client=replace(self.settings, local=found))
            update = self._update_of(other)
            scale = 0.0 if update is None else _compared(self.sent, update)[1]
            if not 0 < scale < math.inf:
                return None
            found = replace(found, learning_rate=found.learning_rate * scale)
        return found

    def _stepped(self) -> Iterator[_Hypothesis]:
        """The weights before the step, if those given were taken after it, for the best step."""
        words = (
            "the weights are those after the step: give the model as it was before, a deep copy that is "
            "made before the training"
        )
        update = self.observation.update
        if self.observation.is_difference:
            other = _with_weights(self.observation, {n: -value for n, value in update.items()})
            yield from self._given("weights after the step", words, other)
            return
        for step in (dict(update), {name: value.sign() for name, value in update.items()}):
            best, best_rate = -1.0, 0.0
            rates = [10 ** (exponent / 4) for exponent in range(-20, 5)]
            for _ in range(3):
                for rate in rates:
                    other = _with_weights(self.observation, {n: rate * v for n, v in step.items()})
                    found = self._update_of(other)
                    cosine = -1.0 if found is None else _compared(self.sent, found)[0]
                    if cosine > best:
                        best, best_rate = cosine, rate
                ratio = (rates[1] / rates[0]) ** 0.25
                rates = [best_rate * ratio**k for k in range(-4, 5)]
            # The gradient changes slowly with the weights: only a clear improvement tells a step.
            if best >= SAME and 1 - best <= (1 - self.cosine) / 20:
                yield from self._given(
                    "weights after the step",
                    words,
                    _with_weights(self.observation, {n: best_rate * v for n, v in step.items()}),
                )

    # What leaves no description that fits exactly.

    def _defense(self) -> tuple[Cause, str] | None:
        sent, expected = self.sent, self.expected
        zeros = (sent == 0) & (expected.abs() > 1e-3 * expected.abs().mean())
        share = float(zeros.float().mean())
        kept = sent != 0
        if share > 0.005 and _compared(sent[kept], expected[kept])[0] >= SAME:
            return "undeclared defense", (
                f"{share:.0%} of the entries were sent as zero and the others as they are: sparsification, "
                "top-k, pruning or Soteria; say defenses=[KnownDefense(...)], see gifd-bench list defenses"
            )
        magnitudes = sent.abs()
        if float(magnitudes[kept].std()) <= 1e-3 * float(magnitudes[kept].mean()) and (
            float((sent.sign() == expected.sign()).float().mean()) > 0.9
        ):
            return "undeclared defense", "only the sign of every entry was sent (signSGD)"
        levels = [
            torch.unique(value).numel()
            for value in self.observation.update.values()
            if value.numel() > 1024
        ]
        if levels and max(levels) <= 512 and self.cosine > 0.5:
            return "undeclared defense", (
                f"the tensors hold at most {max(levels)} different values: quantization, or half precision "
                "of a scaled gradient; say defenses=[KnownDefense('quantisation', ...)]"
            )
        return None

    def _noise(self) -> tuple[Cause, str] | None:
        residuals = [
            s - self.scale * e for s, e in zip(self.observation.update.values(), self.parts, strict=True)
        ]
        whole = _flat(tuple(residuals))
        std = float(whole.std())
        stds = [float(residual.std()) for residual in residuals if residual.numel() >= 256]
        kurtosis = float((whole / std).pow(4).mean()) if std > 0 else 0.0
        # The columns of a logit layer's gradient, of whatever batch, sum to zero over the classes.
        classes = self.observation.model.num_classes
        logit = [r for r in residuals if r.ndim == 2 and len(r) == classes]
        sums = float(logit[-1].sum(dim=0).square().mean().sqrt()) if logit else std * math.sqrt(classes)
        alike = bool(stds) and max(stds) <= 1.3 * min(stds) and 2.5 <= kurtosis <= 6.5
        if alike and sums >= 0.7 * std * math.sqrt(classes):
            return "undeclared defense", (
                f"noise of standard deviation {std:.3g} lies on every entry: "
                f"defenses=[KnownDefense('gaussian_noise', {{'std': {std:.3g}}})]"
            )
        return None

    def _dropout(self) -> tuple[Cause, str] | None:
        if self.settings.dropout == "train" or not self._is_a_draw():
            return None
        return "train mode", (
            "the model was in training mode, where dropout or stochastic depth draws at random: "
            "client=ClientSettings(dropout='train', ...), or compute the update after model.eval()"
        )

    def _is_a_draw(self) -> bool:
        """Whether what was sent is as far from the expected update as some random draws are."""
        mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (self.observation.mean, self.observation.std))
        settings = replace(
            self.settings,
            dropout="train",
            trained=self.settings.trained or tuple(self.observation.trained()),
        )
        draws = []
        for seed in range(8):
            sent = run_round(
                self.observation.victim(),
                (self.images - mean) / std,
                self.labels,
                settings,
                NoDefense(),
                seed,
            )
            draws.append(_flat(tuple(sent.update[name].detach() for name in self.names)))
        center = torch.stack(draws).mean(dim=0)
        spreads = [float(torch.linalg.vector_norm(draw - center)) for draw in draws]
        if max(spreads) <= 1e-6 * float(torch.linalg.vector_norm(center)):
            return False
        return float(torch.linalg.vector_norm(self.sent - center)) <= 2.5 * max(spreads)

    def _layers(self) -> tuple[Cause, str] | None:
        pairs = zip(self.names, self.observation.update.values(), self.parts, strict=True)
        odd = [
            name
            for name, sent, expected in pairs
            if _compared(sent.flatten(), expected.flatten())[0] < SAME and bool(expected.any())
        ]
        if 0 < len(odd) <= len(self.names) // 2:
            listed = ", ".join(odd[:3]) + (", ..." if len(odd) > 3 else "")
            return "layers that differ", (
                f"{len(odd)} of {len(self.names)} parameters differ ({listed}) and the others do not: were "
                "they frozen, shared, zeroed or changed by a defense?"
            )
        return None


_UNKNOWN: tuple[Cause, str] = (
    "unknown",
    "no description that was tried explains it: are these the images and labels of this very update, in "
    "this order, without augmentation, and is the model the one that was sent out?",
)


def _with_weights(observation: Observation, change: Mapping[str, Tensor]) -> Observation:
    """The same observation at other weights."""
    weights = {
        name: value + change[name] if name in change else value
        for name, value in observation.weights.items()
    }
    victim = copy.deepcopy(observation.victim())
    victim.load_state_dict(weights)
    return replace(observation, weights=weights, _own_victim=victim)


def _compared(sent: Tensor, expected: Tensor) -> tuple[float, float]:
    """The cosine similarity, and the factor of least squares."""
    one, other = sent.double(), expected.double()
    inner, squared = float(one @ other), float(other @ other)
    norms = math.sqrt(float(one @ one) * squared)
    return (inner / norms if norms > 0 else 0.0), (inner / squared if squared > 0 else 0.0)


def _layer(name: str, sent: Tensor, expected: Tensor) -> LayerCheck:
    cosine, _ = _compared(sent.flatten(), expected.flatten())
    norms = float(torch.linalg.vector_norm(sent)), float(torch.linalg.vector_norm(expected))
    return LayerCheck(name, cosine, norms[0] / norms[1] if norms[1] > 0 else math.inf)


def _flat(tensors: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def _short(numbers: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{number:.4g}" for number in numbers) + ")"
