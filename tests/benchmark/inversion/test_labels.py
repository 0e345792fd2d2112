"""Label inference, on photographs, hand-made layers and, where they are at hand, CIFAR-10's test images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.labels.counting import nearest_counts, smooth_noise
from gifd_bench.benchmark.inversion.labels.rules import LABEL_RULES, infer_labels
from gifd_bench.tasks.client import ClientSettings, FedAvg
from gifd_bench.tasks.datasets.base import Dataset
from gifd_bench.tasks.datasets.cifar import Cifar10
from gifd_bench.tasks.datasets.photos import Photos
from gifd_bench.tasks.defenses.base import Defense, NoDefense
from gifd_bench.tasks.defenses.clipping import Clipping
from gifd_bench.tasks.defenses.noise import GaussianNoise
from gifd_bench.tasks.defenses.quantisation import Sign
from gifd_bench.tasks.defenses.soteria import Soteria
from gifd_bench.tasks.defenses.sparsification import Sparsification
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.models.spec import ModelSpec
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.settings import TaskSettings
from gifd_bench.tasks.task import Task
from gifd_bench.tasks.threat_model import ThreatModel
from gifd_bench.tasks.truth import Truth
from tests.data import need


def photographs(labels: Sequence[int]) -> Truth:
    """A batch of photographs with any labels: the n-th image of a label is its photograph, shifted."""
    photos = Photos()
    images = [torch.roll(photos.image(label), 3 * n, dims=2) for n, label in enumerate(labels)]
    return Truth(torch.stack(images), torch.tensor(labels))


def observe(
    truth: Truth,
    defense: Defense | None = None,
    local: FedAvg | None = None,
    model: str = "convnet",
    dataset: Dataset | None = None,
    seed: int = 0,
    local_settings: str = "known",
    **options: object,
) -> Observation:
    task_settings = TaskSettings(
        batch_size=len(truth.labels),
        client=ClientSettings(local=local),
        threat_model=ThreatModel(local_settings=local_settings),  # type: ignore[arg-type]
    )
    task = Task(dataset or Photos(), model, options, task_settings)
    return task.observe(truth, defense or NoDefense(), seed, seed)


def right(found: Tensor, truth: Truth) -> float:
    """The fraction of the labels that are found, each as often as it occurs."""
    mine, theirs = (torch.bincount(labels, minlength=10) for labels in (found, truth.labels))
    return float(torch.minimum(mine, theirs).sum()) / len(truth.labels)


@pytest.mark.parametrize("rule", LABEL_RULES.names())
def test_the_label_of_one_image_is_always_inferred(rule: str) -> None:
    for target in range(10):
        truth = photographs([target])
        assert torch.equal(infer_labels(observe(truth, width=4), rule), truth.labels)


@pytest.mark.parametrize("rule", LABEL_RULES.names())
@pytest.mark.parametrize("knowledge", ["known", "unknown"])
def test_the_label_of_one_image_is_inferred_from_a_difference_of_parameters(
    rule: str, knowledge: str
) -> None:
    truth = photographs([6])
    observation = observe(truth, local=FedAvg(2, 1, 0.01), local_settings=knowledge, width=4)
    assert torch.equal(infer_labels(observation, rule), truth.labels)


@pytest.mark.parametrize("rule", ["row_minimum", "row_sum", "counts", "restoration"])
def test_the_distinct_labels_of_a_batch_are_inferred(rule: str) -> None:
    truth = photographs([1, 4, 8])
    assert sorted(infer_labels(observe(truth, width=4), rule).tolist()) == [1, 4, 8]


def test_granted_labels_are_used() -> None:
    observation = observe(photographs([2]), width=4)
    for rule in LABEL_RULES:
        granted = Observation(**{**vars(observation), "labels": torch.tensor([7])})
        assert infer_labels(granted, rule).tolist() == [7]


def with_rows(rows: Tensor, batch_size: int = 1) -> Observation:
    """An observation whose last weight gradient is given: (classes, features)."""
    classes, features = rows.shape
    name = "tests.benchmark.inversion.test_labels:Pooled"
    model = Pooled(classes, features)
    return Observation.from_gradients(
        model,
        {"head.weight": rows},
        spec=ModelSpec(name, classes, 8, {"features": features}),
        batch_size=batch_size,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
    )


class Pooled(nn.Module):
    """A linear layer without a bias on some pixels."""

    def __init__(self, num_classes: int, features: int) -> None:
        super().__init__()
        self.head = nn.Linear(features, num_classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(x.flatten(1)[:, : self.head.in_features])
        return logits


class Headless(nn.Module):
    """Ends in a convolution."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.last = nn.Conv2d(3, num_classes, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x).flatten(1)


def test_the_distinct_rules_by_hand() -> None:
    # Feature vectors of either sign: the true class, 2, is the one that points against all others.
    feature, factors = torch.tensor([3.0, -4.0]), torch.tensor([0.2, 0.5, -0.9, 0.2])
    rows = factors[:, None] * feature
    assert infer_labels(with_rows(rows), "idlg").tolist() == [2]
    rows = torch.tensor([[5.0, -1.0], [-2.0, 0.5], [-3.0, 9.0], [-1.5, -1.5]])
    assert infer_labels(with_rows(rows, 3), "row_minimum").tolist() == [2, 1, 3]
    assert infer_labels(with_rows(rows, 3), "row_sum").tolist() == [3, 1, 0]


@pytest.mark.parametrize("true", [0, 1])
def test_of_two_classes_idlg_takes_the_lower_row_sum(true: int) -> None:
    rows = torch.tensor([[1.0, 2.0], [1.0, 2.0]])
    rows[true] *= -1
    assert infer_labels(with_rows(rows), "idlg").tolist() == [true]


def test_rules_that_do_not_fit_the_batch_are_errors_that_say_which_does() -> None:
    with pytest.raises(BenchmarkError, match="idlg is for one image, not 2; use label_rule=counts"):
        infer_labels(with_rows(torch.eye(4), 2), "idlg")
    for rule in ("row_minimum", "row_sum"):
        with pytest.raises(BenchmarkError, match="5 images have only 4 classes; use label_rule=counts"):
            infer_labels(with_rows(torch.eye(4), 5), rule)


@pytest.mark.parametrize("rule", LABEL_RULES.names())
def test_a_model_that_ends_in_no_linear_layer_is_an_error(rule: str) -> None:
    torch.manual_seed(0)
    model = Headless(4)
    observation = Observation.from_gradients(
        model,
        [torch.ones_like(p) for p in model.parameters()],
        spec=ModelSpec("tests.benchmark.inversion.test_labels:Headless", 4, 8),
        batch_size=1,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
    )
    with pytest.raises(TaskError, match="no linear layer"):
        infer_labels(observation, rule)


@pytest.mark.parametrize(
    "labels", [[3, 3], [0, 0, 0, 7], [1, 2, 3, 4], [9] * 6 + [2, 5], list(range(10)) * 2 + [4] * 12]
)
@pytest.mark.parametrize("rule", ["counts", "restoration"])
def test_repeated_labels_are_found(rule: str, labels: list[int]) -> None:
    truth = photographs(labels)
    assert infer_labels(observe(truth), rule).tolist() == sorted(labels)


@pytest.mark.parametrize("rule", ["counts", "restoration"])
def test_repeated_labels_are_found_without_a_bias(rule: str) -> None:
    labels, classes = [0, 0, 3, 5, 5, 5], 6
    generator = torch.Generator().manual_seed(0)
    inputs = 1 + 0.2 * torch.randn(len(labels), 3, 8, 8, generator=generator)
    torch.manual_seed(0)
    model = Positive(classes)
    loss = nn.functional.cross_entropy(model(inputs), torch.tensor(labels))
    observation = Observation.from_gradients(
        model,
        torch.autograd.grad(loss, list(model.parameters())),
        spec=ModelSpec("tests.benchmark.inversion.test_labels:Positive", classes, 8),
        batch_size=len(labels),
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
    )
    assert infer_labels(observation, rule).tolist() == labels


class Positive(nn.Module):
    """Features that are not negative, and a last layer without a bias."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.body = nn.Linear(192, 64)
        self.head = nn.Linear(64, num_classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(x.flatten(1)).relu())
        return logits


@pytest.mark.parametrize("rule", ["counts", "restoration"])
def test_repeated_labels_are_found_whatever_the_scale_where_nobody_knows_it(rule: str) -> None:
    truth = photographs([0, 0, 0, 4, 6, 6, 8, 9])
    local = FedAvg(2, 4, 0.003)
    for knowledge in ("known", "unknown"):
        observation = observe(truth, local=local, local_settings=knowledge)
        assert infer_labels(observation, rule).tolist() == truth.labels.tolist()


@pytest.mark.parametrize("rule", ["counts", "restoration"])
def test_repeated_labels_are_found_behind_clipping(rule: str) -> None:
    truth = photographs([0, 0, 0, 4])
    assert infer_labels(observe(truth, Clipping(0.1)), rule).tolist() == truth.labels.tolist()


@pytest.mark.parametrize(
    ("defense", "least"),
    [
        (GaussianNoise(0.01), 0.9),
        (GaussianNoise(1.0), 0.0),
        (Sparsification(0.9), 0.7),
        (Sparsification(0.999), 0.0),
        (Soteria(0.8), 1.0),
        (Sign(), 0.0),
    ],
)
@pytest.mark.parametrize("rule", ["counts", "restoration"])
def test_every_defended_update_has_as_many_labels_as_images(
    rule: str, defense: Defense, least: float
) -> None:
    truth = photographs([0, 0, 1, 2, 2, 2, 9, 9])
    found = infer_labels(observe(truth, defense, width=8), rule)
    assert found.dtype == torch.int64
    assert len(found) == 8
    assert 0 <= int(found.min()) <= int(found.max()) < 10
    assert right(found, truth) >= least


@pytest.mark.parametrize("value", [0.0, torch.nan, torch.inf])
@pytest.mark.parametrize("batch_size", [1, 5])
@pytest.mark.parametrize("rule", ["counts", "restoration"])
def test_an_update_that_says_nothing_still_has_labels(rule: str, value: float, batch_size: int) -> None:
    saying = with_rows(torch.ones(4, 6), batch_size)
    nothing = {name: torch.full_like(update, value) for name, update in saying.update.items()}
    found = infer_labels(replace(saying, update=nothing), rule)
    assert len(found) == batch_size
    assert 0 <= int(found.min()) <= int(found.max()) < 4


def test_inference_leaves_victim_and_random_state_alone_and_repeats_itself() -> None:
    observation = observe(photographs([0, 0, 5, 6]), model="torchvision", architecture="resnet18")
    victim = observation.victim()
    before = {name: value.clone() for name, value in victim.state_dict().items()}
    state = torch.random.get_rng_state()
    found = [infer_labels(observation) for _ in range(2)]
    assert torch.equal(found[0], found[1])
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in victim.state_dict().items())
    assert not any(module._forward_pre_hooks for module in victim.modules())
    assert not victim.training


@pytest.mark.parametrize("size", [8, 32, 33])
def test_dummy_images_are_normalized_and_smooth(size: int) -> None:
    images = smooth_noise(8, (3, size, size))
    assert images.shape == (8, 3, size, size)
    assert float(images.mean()) == pytest.approx(0, abs=1e-5)
    assert float(images.std()) == pytest.approx(1, abs=1e-3)
    # A neighbor is nearer than any pixel: white noise would differ by sqrt(2).
    assert float((images[..., 1:] - images[..., :-1]).std()) < 1


@given(
    wanted=st.lists(st.floats(-2, 5), min_size=3, max_size=3),
    least=st.lists(st.integers(0, 2), min_size=3, max_size=3),
    total=st.integers(1, 8),
    room=st.none() | st.lists(st.integers(0, 4), min_size=3, max_size=3),
)
@settings(max_examples=60)
def test_the_nearest_counts_are_the_nearest_of_all(
    wanted: list[float], least: list[int], total: int, room: list[int] | None
) -> None:
    most = [total] * 3 if room is None else [a + b for a, b in zip(least, room, strict=True)]
    assume(sum(least) <= total <= sum(most) or room is None)
    limit = None if room is None else torch.tensor(most)
    found = nearest_counts(torch.tensor(wanted), torch.tensor(least), total, limit).tolist()
    assert sum(found) == total
    allowed = [
        (a, b, total - a - b)
        for a in range(least[0], min(total, most[0]) + 1)
        for b in range(least[1], min(total - a, most[1]) + 1)
        if least[2] <= total - a - b <= most[2]
    ]
    if not allowed:
        assert all(f <= bound for f, bound in zip(found, least, strict=True))
        return
    assert tuple(found) in allowed

    def distance(counts: Sequence[int]) -> float:
        return sum((c - w) ** 2 for c, w in zip(counts, wanted, strict=True))

    assert distance(found) == pytest.approx(min(map(distance, allowed)), abs=1e-4)


@pytest.mark.parametrize(
    ("model", "options", "least_clean", "least_local"),
    [
        ("convnet", {}, 0.98, 0.95),
        pytest.param("torchvision", {"architecture": "resnet18"}, 0.95, 0.85, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("batch_size", [1, 4, 16, 64])
@pytest.mark.parametrize("rule", ["counts", "restoration"])
def test_labels_of_cifar10_with_random_weights(
    rule: str, model: str, options: dict[str, str], least_clean: float, least_local: float, batch_size: int
) -> None:
    need("cifar10/cifar-10-batches-py", "cifar10/test")
    dataset = Cifar10()
    generator = torch.Generator().manual_seed(batch_size)
    scores: dict[FedAvg | None, list[float]] = {None: [], FedAvg(2, max(1, batch_size // 2), 0.01): []}
    for seed in range(3):
        drawn = torch.randint(len(dataset), (batch_size,), generator=generator).tolist()
        images, labels = zip(*(dataset[index] for index in drawn), strict=True)
        truth = Truth(torch.stack(images), torch.tensor(labels))
        for local, found in scores.items():
            observation = observe(truth, None, local, model, dataset, seed, **options)
            found.append(right(infer_labels(observation, rule), truth))
    clean, trained = (sum(found) / len(found) for found in scores.values())
    assert clean >= (1 if batch_size == 1 else least_clean)
    # Of a dozen images, the last digits of local training decide one.
    assert trained >= (1 if batch_size == 1 else least_local - 1 / (3 * batch_size))
