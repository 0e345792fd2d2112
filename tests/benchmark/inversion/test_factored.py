"""Factored matching, against double backward over whole gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from gifd_bench.benchmark.inversion import factored_layers
from gifd_bench.benchmark.inversion.choices import Linear
from gifd_bench.benchmark.inversion.factored import (
    GradientProducts,
    Products,
    cosine,
    euclidean,
    layerwise_cosine,
)
from gifd_bench.benchmark.inversion.factored_victim import FactoredVictim
from gifd_bench.benchmark.inversion.matching import Cosine, Euclidean, LayerwiseCosine, MatchingLoss
from gifd_bench.tasks.defenses.norm import Clipped
from gifd_bench.tasks.gradient import loss_gradient
from gifd_bench.tasks.models.convnet import ConvNet
from gifd_bench.tasks.models.lenet import LeNet

CLASSES = 4
LOSSES: dict[str, tuple[Callable[[], MatchingLoss], Callable[[Products, Tensor], Tensor]]] = {
    "cosine": (lambda: Cosine(Linear("falling")), cosine),
    "layerwise": (lambda: LayerwiseCosine(Linear("falling")), layerwise_cosine),
    "euclidean": (lambda: Euclidean(Linear("falling")), euclidean),
}
Lane = tuple[Tensor, Tensor]
Change = Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]]


class Vgg(nn.Module):
    """In-place ReLU, both as a module and as a function, pooling, and dropout that is off."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 12, 3, padding=1),
        )
        self.last = nn.Conv2d(12, 12, 3, padding=2, stride=3, dilation=2)
        self.head = nn.Sequential(
            nn.Linear(12 * 3 * 3, 10), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(10, CLASSES)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.features(x), inplace=True)
        x = self.last(x).mul_(0.5).sigmoid_()
        logits: Tensor = self.head(x.flatten(1))
        return logits


VICTIMS: dict[str, tuple[Callable[[], nn.Module], int, str]] = {
    "convnet": (lambda: ConvNet(CLASSES, 8, width=4), 8, "factored"),
    "lenet": (lambda: LeNet(CLASSES, 8, uniform_weights=True), 8, "factored"),
    "vgg": (Vgg, 16, "factored"),
    "resnet18": (lambda: torchvision.models.resnet18(num_classes=CLASSES), 32, "factored"),
    "mobilenet_v2": (
        lambda: torchvision.models.mobilenet_v2(num_classes=CLASSES, width_mult=0.25),
        32,
        "factored",
    ),
    "convnext": (
        lambda: timm.create_model("convnext_atto", num_classes=CLASSES, depths=(1, 1, 1, 1)),
        32,
        "mixed",
    ),
    "vit": (
        lambda: timm.create_model(
            "vit_tiny_patch16_224", num_classes=CLASSES, depth=2, embed_dim=48, img_size=32, patch_size=8
        ),
        32,
        "mixed",
    ),
}


@pytest.fixture(autouse=True)
def _small_victims_are_factored_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FactoredVictim, "mostly_forms", False)


def made(build: Callable[[], nn.Module]) -> nn.Module:
    """A victim in double precision, whose normalization layers are not at their start."""
    torch.manual_seed(0)
    victim = build().eval().double()
    for module in victim.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return victim


def lanes_of(count: int, batch: int, size: int, soft: bool = False) -> list[Lane]:
    inputs = torch.randn(count, batch, 3, size, size, dtype=torch.float64)
    targets = torch.randint(CLASSES, (count, batch))
    if soft:
        return list(
            zip(inputs, torch.rand(count, batch, CLASSES, dtype=torch.float64).softmax(2), strict=True)
        )
    return list(zip(inputs, targets, strict=True))


def gradient(victim: nn.Module, lane: Lane) -> dict[str, Tensor]:
    names = [name for name, _ in victim.named_parameters()]
    return dict(zip(names, loss_gradient(victim, *lane), strict=True))


def slow(
    victim: nn.Module,
    lane: Lane,
    observed: dict[str, Tensor],
    loss: MatchingLoss,
    change: Change = lambda update: update,
) -> tuple[Tensor, Tensor]:
    """Loss and its gradient in the inputs, by double backward."""
    loss.prepare(list(observed.values()))
    inputs = lane[0].clone().requires_grad_()
    with sdpa_kernel(SDPBackend.MATH):
        value = loss(change(loss_gradient(victim, inputs, lane[1], create_graph=True)))
    return value.detach(), torch.autograd.grad(value, inputs)[0]


def fast(
    engine: GradientProducts,
    lanes: Sequence[Lane],
    loss: Callable[[Products, Tensor], Tensor],
    change: Callable[[Products], Products] = lambda products: products,
) -> tuple[Tensor, Tensor]:
    inputs = torch.stack([lane[0] for lane in lanes]).requires_grad_()
    products = engine(inputs, torch.stack([lane[1] for lane in lanes]))
    count = len(engine.names)
    values = loss(change(products), products.inner.new_tensor(Linear("falling")(count)))
    return values.detach(), torch.autograd.grad(values.sum(), inputs)[0]


def engine_of(
    victim: nn.Module, observed: Sequence[dict[str, Tensor]], lanes: Sequence[Lane]
) -> GradientProducts:
    batch, channels, height, width = lanes[0][0].shape
    return GradientProducts(victim, observed, (batch, channels, height, width), len(lanes))


def assert_close(found: tuple[Tensor, Tensor], expected: tuple[Tensor, Tensor]) -> None:
    torch.testing.assert_close(found[0], expected[0], rtol=1e-7, atol=1e-12)
    error = torch.linalg.vector_norm(found[1] - expected[1])
    assert error <= 1e-6 * torch.linalg.vector_norm(expected[1])


@pytest.mark.parametrize("batch", [1, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", VICTIMS)
def test_every_lane_is_what_double_backward_gives(name: str, batch: int) -> None:
    build, size, path = VICTIMS[name]
    victim = made(build)
    lanes = lanes_of(2, batch, size)
    observed = gradient(victim, lanes_of(1, batch, size)[0])
    engine = engine_of(victim, [observed], lanes)
    assert engine.path == path
    for dense, products in LOSSES.values():
        values, gradients = fast(engine, lanes, products)
        for i, lane in enumerate(lanes):
            assert_close((values[i], gradients[i]), slow(victim, lane, observed, dense()))


@pytest.mark.parametrize("name", ["vgg", "mobilenet_v2", "vit"])
def test_one_lane(name: str) -> None:
    build, size, path = VICTIMS[name]
    victim = made(build)
    lanes = lanes_of(1, 2, size)
    observed = gradient(victim, lanes_of(1, 2, size)[0])
    engine = engine_of(victim, [observed], lanes)
    assert engine.path == path
    values, gradients = fast(engine, lanes, cosine)
    assert_close((values[0], gradients[0]), slow(victim, lanes[0], observed, Cosine(Linear("falling"))))


@pytest.mark.parametrize(
    "name", ["vgg", *(pytest.param(name, marks=pytest.mark.slow) for name in ("mobilenet_v2", "convnext"))]
)
def test_each_observation_has_lanes_of_its_own(name: str) -> None:
    build, size, _ = VICTIMS[name]
    victim = made(build)
    lanes = lanes_of(4, 1, size)
    observed = [gradient(victim, lane) for lane in lanes_of(2, 1, size)]
    engine = engine_of(victim, observed, lanes)
    for dense, products in LOSSES.values():
        values, gradients = fast(engine, lanes, products)
        for i, lane in enumerate(lanes):
            assert_close((values[i], gradients[i]), slow(victim, lane, observed[i // 2], dense()))


def test_single_precision() -> None:
    build, size, _ = VICTIMS["vgg"]
    victim = made(build).float()
    lanes = [(inputs.float(), targets) for inputs, targets in lanes_of(3, 1, size)]
    observed = gradient(victim, lanes[0])
    values, gradients = fast(engine_of(victim, [observed], lanes), lanes[1:], cosine)
    for i, lane in enumerate(lanes[1:]):
        value, expected = slow(victim, lane, observed, Cosine(Linear("falling")))
        torch.testing.assert_close(values[i], value, rtol=1e-5, atol=1e-6)
        assert torch.linalg.vector_norm(gradients[i] - expected) <= 1e-4 * torch.linalg.vector_norm(
            expected
        )


def test_probabilities_get_gradients_too() -> None:
    victim = made(Vgg)
    lanes = lanes_of(2, 2, 16, soft=True)
    observed = gradient(victim, lanes[0])
    engine = engine_of(victim, [observed], lanes)
    loss = Euclidean()
    loss.prepare(list(observed.values()))
    inputs, targets = (torch.stack(part) for part in zip(*lanes, strict=True))
    targets.requires_grad_()
    found = euclidean(engine(inputs, targets), torch.ones(len(engine.names)).double())
    (moved,) = torch.autograd.grad(found.sum(), targets)
    soft = lanes[1][1].clone().requires_grad_()
    expected = loss(loss_gradient(victim, lanes[1][0], soft, create_graph=True))
    torch.testing.assert_close(found[1], expected)
    torch.testing.assert_close(moved[1], torch.autograd.grad(expected, soft)[0])


@pytest.mark.parametrize("name", ["vgg", "vit"])
def test_without_gradients_the_products_are_the_same(name: str) -> None:
    build, size, _ = VICTIMS[name]
    victim = made(build)
    lanes = lanes_of(2, 1, size)
    engine = engine_of(victim, [gradient(victim, lanes[0])], lanes)
    inputs, targets = (torch.stack(part) for part in zip(*lanes, strict=True))
    with torch.no_grad():
        found = engine(inputs, targets)
    expected = engine(inputs.requires_grad_(), targets)
    assert not found.inner.requires_grad
    assert not found.squared.requires_grad
    torch.testing.assert_close(found.inner, expected.inner)
    torch.testing.assert_close(found.squared, expected.squared)


class Odd(nn.Module):
    """What must not be factored: a layer that is called twice, one whose weight is shared, one whose weight
    is used past it, one with other padding, and one with groups."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.twice = nn.Conv2d(6, 6, 3, padding=1)
        self.shared = nn.Linear(6, 6)
        self.sharing = nn.Linear(6, 6)
        self.sharing.weight = self.shared.weight
        self.past = nn.Linear(6, 6)
        self.reflected = nn.Conv2d(6, 6, 3, padding=1, padding_mode="reflect")
        self.grouped = nn.Conv2d(6, 6, 3, groups=2)
        self.last = nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.twice(torch.tanh(self.twice(self.first(x))))
        x = self.grouped(self.reflected(x).tanh()).mean((2, 3))
        x = self.sharing(torch.tanh(self.shared(x)))
        logits: Tensor = self.last(torch.tanh(self.past(x)) @ self.past.weight)
        return logits


def test_an_odd_module_gets_an_ordinary_gradient() -> None:
    victim = made(Odd)
    lanes = lanes_of(3, 2, 6)
    observed = gradient(victim, lanes[0])
    engine = engine_of(victim, [observed], lanes)
    expected = {
        f"{layer}.{kind}" for layer in ("twice", "reflected", "grouped") for kind in ("weight", "bias")
    }
    # The bias beside a weight that is used in two ways is as good as any.
    assert set(engine.general) == expected | {"shared.weight", "past.weight"}
    for dense, products in LOSSES.values():
        values, gradients = fast(engine, lanes[1:], products)
        for i, lane in enumerate(lanes[1:]):
            assert_close((values[i], gradients[i]), slow(victim, lane, observed, dense()))


class Mixing(nn.Module):
    """The images of a batch touch each other."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.last = nn.Linear(3 * 16, 20), nn.Linear(20, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.hidden(x.flatten(1)))
        logits: Tensor = self.last(x - 0.5 * x.mean(0))
        return logits


def test_lanes_that_would_touch_are_taken_one_after_another() -> None:
    victim = made(Mixing)
    lanes = lanes_of(2, 3, 4)
    observed = gradient(victim, lanes[0])
    engine = engine_of(victim, [observed], lanes)
    assert engine.path == "factored"
    assert not engine.together
    values, gradients = fast(engine, lanes, cosine)
    assert_close((values[1], gradients[1]), slow(victim, lanes[1], observed, Cosine(Linear("falling"))))


def test_batch_norm_in_training_mode() -> None:
    victim = made(Vgg)
    victim.features[1].train()  # type: ignore[index, union-attr]
    victim.features[1].momentum = 0.0  # type: ignore[index, union-attr]
    lanes = lanes_of(2, 3, 16)
    observed = gradient(victim, lanes[0])
    engine = engine_of(victim, [observed], lanes)
    assert engine.general == ("features.1.weight", "features.1.bias")
    values, gradients = fast(engine, lanes, cosine)
    assert_close((values[1], gradients[1]), slow(victim, lanes[1], observed, Cosine(Linear("falling"))))


@pytest.mark.parametrize("build", [Vgg, Odd])
def test_known_columns_and_clipping(build: type[nn.Module]) -> None:
    victim = made(build)
    lanes = lanes_of(4, 2, 16)
    last = [name for name, value in victim.named_parameters() if value.ndim == 2][-1]
    observed, columns = [], []
    for i, lane in enumerate(lanes_of(2, 2, 16)):
        update = gradient(victim, lane)
        kept = torch.arange(update[last].shape[1]) % 3 != i
        observed.append({**update, last: update[last] * kept})
        columns.append({last: kept})
    engine = GradientProducts(victim, observed, (2, 3, 16, 16), 4, columns)
    bounds = torch.tensor([0.1, 100.0]).double()
    found = fast(engine, lanes, euclidean, lambda products: products.clipped(bounds))
    for i, lane in enumerate(lanes):

        def change(update: tuple[Tensor, ...], i: int = i) -> tuple[Tensor, ...]:
            masked = dict(zip(engine.names, update, strict=True))
            masked[last] = masked[last] * columns[i // 2][last]
            return Clipped(bounds[i // 2])(tuple(masked.values()))

        expected = slow(victim, lane, observed[i // 2], Euclidean(Linear("falling")), change)
        assert_close((found[0][i], found[1][i]), expected)


@pytest.mark.parametrize(
    ("name", "cost"),
    [("vgg", 0), ("vgg", 10**9), *((name, factored_layers.ENTRY_COST) for name in VICTIMS)],
)
def test_known_zeros(name: str, cost: int, monkeypatch: pytest.MonkeyPatch) -> None:
    build, size, path = VICTIMS[name]
    monkeypatch.setattr(factored_layers, "ENTRY_COST", cost)
    victim = made(build)
    lanes = lanes_of(4, 1, size)
    observed, kept = [], []
    for lane in lanes_of(2, 1, size):
        update = gradient(victim, lane)
        masks = {key: torch.rand(value.shape) < 0.1 for key, value in update.items()}
        # Nothing of one parameter was sent, and no zeros are known of another.
        masks[next(iter(masks))].zero_()
        del masks[list(masks)[-1]]
        observed.append({key: value * masks.get(key, True) for key, value in update.items()})
        kept.append(masks)
    engine = GradientProducts(victim, observed, (1, 3, size, size), 4, kept)
    assert engine.path == path
    for dense, products in LOSSES.values():
        values, gradients = fast(engine, lanes, products)
        for i, lane in enumerate(lanes):

            def change(update: tuple[Tensor, ...], i: int = i) -> tuple[Tensor, ...]:
                named = zip(engine.names, update, strict=True)
                return tuple(value * kept[i // 2].get(key, True) for key, value in named)

            assert_close((values[i], gradients[i]), slow(victim, lane, observed[i // 2], dense(), change))


def test_a_gradient_of_zero_has_distance_one() -> None:
    products = Products(torch.zeros(2, 3), torch.zeros(2, 3, requires_grad=True), torch.ones(1, 3))
    for loss in (cosine, layerwise_cosine):
        values = loss(products, torch.ones(3))
        assert values.tolist() == [1, 1]
        (moved,) = torch.autograd.grad(values.sum(), products.squared)
        assert moved.isfinite().all()
    (moved,) = torch.autograd.grad(products.clipped(1.0).squared.sum(), products.squared)
    assert moved.isfinite().all()


def test_a_small_network_on_large_maps_is_left_to_autograd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    victim = made(lambda: ConvNet(CLASSES, 16, width=4))
    paths = {}
    for count, batch in ((1, 1), (3, 1), (3, 2)):
        lanes = lanes_of(count, batch, 16)
        observed = gradient(victim, lanes_of(1, batch, 16)[0])
        engine = engine_of(victim, [observed], lanes)
        paths[count, batch] = engine.path
        values, gradients = fast(engine, lanes, cosine)
        expected = slow(victim, lanes[-1], observed, Cosine(Linear("falling")))
        assert_close((values[-1], gradients[-1]), expected)
    assert paths == {(1, 1): "general", (3, 1): "factored", (3, 2): "general"}


@pytest.mark.parametrize("cost", [0, 10**9])
def test_both_forms_of_a_weight_give_the_same(cost: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factored_layers, "ENTRY_COST", cost)
    victim = made(Vgg)
    lanes = lanes_of(4, 2, 16)
    observed = [gradient(victim, lane) for lane in lanes[:2]]
    values, gradients = fast(engine_of(victim, observed, lanes), lanes, layerwise_cosine)
    for i, lane in enumerate(lanes[1:], 1):
        expected = slow(victim, lane, observed[i // 2], LayerwiseCosine(Linear("falling")))
        assert_close((values[i], gradients[i]), expected)


def test_the_victim_stays_as_it_is() -> None:
    victim = made(Vgg)
    before = {name: value.clone() for name, value in victim.state_dict().items()}
    lanes = lanes_of(1, 1, 16)
    engine = engine_of(victim, [gradient(victim, lanes[0])], lanes)
    fast(engine, lanes, cosine)
    assert all(parameter.requires_grad for parameter in victim.parameters())
    assert all(torch.equal(before[name], value) for name, value in victim.state_dict().items())
    copied = engine.victim
    engine.close()
    assert not any(module._forward_hooks or "forward" in vars(module) for module in copied.modules())
    torch.testing.assert_close(copied(lanes[0][0]), victim(lanes[0][0]))


def test_inputs_of_another_shape_are_refused() -> None:
    victim = made(Vgg)
    lanes = lanes_of(2, 1, 16)
    engine = engine_of(victim, [gradient(victim, lane) for lane in lanes], lanes)
    with pytest.raises(ValueError, match="made for 2 observations"):
        fast(engine, lanes[:1], cosine)
