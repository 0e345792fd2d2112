"""What frameworks give: tensors and arrays of any kind, in any order, with any prefix, and wrong ones."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from gifd_bench.benchmark.inversion.simulation import SimulatedClient
from gifd_bench.tasks.client import ClientSettings, FedAvg
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.models.spec import ModelSpec
from gifd_bench.tasks.observation import Observation

MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


class Net(nn.Module):
    """A small victim with whatever makes capture hard."""

    def __init__(
        self,
        channels: int = 3,
        batch_norm: bool = False,
        dropout: float = 0.0,
        frozen: bool = False,
        unused: bool = False,
        tied: bool = False,
        size: tuple[int, int] = (8, 8),
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, 6, 3, 2, 1),
            nn.BatchNorm2d(6) if batch_norm else nn.Identity(),
            nn.Tanh(),
            nn.Flatten(),
            nn.Dropout(dropout),
        )
        self.head = nn.Linear(6 * ((size[0] + 1) // 2) * ((size[1] + 1) // 2), 5)
        if frozen:
            self.body.requires_grad_(False)
        if unused:
            self.other = nn.Linear(3, 3)
        if tied:
            self.again = self.head

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(x))
        return logits


def net(**options: Any) -> Net:
    torch.manual_seed(0)
    return Net(**options).eval()


def batch(channels: int = 3, size: tuple[int, int] = (8, 8)) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(2, channels, *size, generator=generator), torch.tensor([1, 3])


def backward(model: nn.Module, **shape: Any) -> dict[str, Tensor | None]:
    """The gradients that training code finds at the parameters."""
    images, labels = batch(**shape)
    model.zero_grad()
    dtype = next(model.parameters()).dtype
    F.cross_entropy(model(((images - 0.5) / 0.25).to(dtype)), labels).backward()
    return {name: value.grad for name, value in model.named_parameters()}


def observe(model: nn.Module, gradients: Any, **changes: Any) -> Observation:
    given: dict[str, Any] = {"batch_size": 2, "image_size": 8, "mean": MEAN, "std": STD}
    return Observation.from_gradients(model, gradients, **{**given, **changes})


def values(gradients: dict[str, Tensor | None]) -> list[Tensor]:
    return [value for value in gradients.values() if value is not None]


FORMS: dict[str, Callable[[dict[str, Tensor | None]], Any]] = {
    "a mapping": dict,
    "a mapping in another order": lambda g: dict(reversed(g.items())),
    "a list": values,
    "a generator": lambda g: (value for value in values(g)),
    "arrays": lambda g: [value.numpy() for value in values(g)],
    "big-endian arrays": lambda g: [value.numpy().astype(">f8") for value in values(g)],
    "read-only arrays": lambda g: [np.broadcast_to(value.numpy(), value.shape) for value in values(g)],
    "one flat vector": lambda g: torch.cat([value.flatten() for value in values(g)]),
    "one flat array": lambda g: torch.cat([value.flatten() for value in values(g)]).numpy(),
    "nested lists": lambda g: [value.tolist() for value in values(g)],
    "double precision": lambda g: [value.double() for value in values(g)],
    "channels last": lambda g: [
        value.to(memory_format=torch.channels_last) if value.ndim == 4 else value for value in values(g)
    ],
    "sparse": lambda g: [value.to_sparse() for value in values(g)],
    "Opacus's names": lambda g: {f"_module.{name}": value for name, value in g.items()},
    "DataParallel's names": lambda g: {f"module.{name}": value for name, value in g.items()},
    "names of a compiled part": lambda g: {n.replace("body.", "body._orig_mod."): v for n, v in g.items()},
    "names of two wrappers": lambda g: {f"module._orig_mod.{name}": value for name, value in g.items()},
    "Lightning's names": lambda g: {f"model.{name}": value for name, value in g.items()},
    "an object array": lambda g: np.array([*(v.numpy() for v in values(g)), None], dtype=object)[:-1],
}


@pytest.mark.parametrize("form", FORMS)
def test_a_gradient_in_any_form_is_the_same_observation(form: str) -> None:
    model = net()
    gradients = backward(model)
    observation = observe(model, FORMS[form](gradients))
    assert list(observation.update) == list(gradients)
    for name, value in gradients.items():
        assert value is not None
        assert observation.update[name].dtype == torch.float32
        torch.testing.assert_close(observation.update[name], value, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_model_of_any_float_type_is_attacked_in_single_precision(dtype: torch.dtype) -> None:
    model = net()
    gradients = {name: value.to(dtype) for name, value in backward(model).items() if value is not None}
    observation = observe(model.to(dtype), gradients)
    assert {value.dtype for value in observation.weights.values()} == {torch.float32}
    assert next(observation.victim().parameters()).dtype == torch.float32
    assert {value.dtype for value in observation.update.values()} == {torch.float32}


@pytest.mark.parametrize("suffix", ["pt", "npz", "safetensors", "list.npz", "checkpoint.pt"])
def test_a_gradient_from_a_file(suffix: str, tmp_path: Path) -> None:
    model = net()
    gradients = {name: value for name, value in backward(model).items() if value is not None}
    path = tmp_path / f"it.{suffix}"
    if suffix == "pt":
        torch.save(gradients, path)
    elif suffix == "checkpoint.pt":
        torch.save({"epoch": 3, "state_dict": gradients}, path)
    elif suffix == "npz":
        arrays: dict[str, Any] = {name: value.numpy() for name, value in gradients.items()}
        np.savez(path, **arrays)
    elif suffix == "list.npz":
        np.savez(path, *[value.numpy() for value in gradients.values()])
    else:
        save_file(gradients, path)
    for given in (path, str(path)):
        found = observe(model, given).update
        assert all(torch.equal(found[name], value) for name, value in gradients.items())


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "it.pt"
    torch.save({"fc": print}, path)
    with pytest.raises(TaskError, match="not a file of tensors alone"):
        observe(net(), path)


def wrapped(model: nn.Module, how: str) -> nn.Module:
    if how == "parallel":
        return nn.DataParallel(model)
    if how == "compiled":
        return torch.compile(model, backend="eager")  # type: ignore[return-value]
    from opacus import GradSampleModule  # type: ignore[import-untyped]

    return GradSampleModule(model)


@pytest.mark.parametrize("how", ["parallel", "compiled", "opacus"])
def test_a_wrapped_model_is_what_it_wraps(how: str) -> None:
    model = net()
    gradients = backward(model)
    observation = observe(wrapped(copy.deepcopy(model), how), gradients)
    images, labels = batch()
    again = SimulatedClient(observation, torch.device("cpu")).update(images, labels)
    for mine, sent in zip(again, values(gradients), strict=True):
        torch.testing.assert_close(mine.detach(), sent, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "count"), [({"frozen": True}, 2), ({"unused": True}, 4), ({"tied": True}, 4), ({}, 4)]
)
@pytest.mark.parametrize("form", ["p.grad of all", "where there is one", "zeros for None", "by name"])
def test_what_is_matched_is_what_was_sent(options: dict[str, Any], count: int, form: str) -> None:
    model = net(**options)
    gradients = backward(model)
    given = {
        "p.grad of all": list(gradients.values()),
        "where there is one": values(gradients),
        "zeros for None": [torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters()],
        "by name": gradients,
    }[form]
    if form == "where there is one" and "unused" in options:
        # Six parameters are not frozen, and four have a gradient: only names tell which.
        given = {name: value for name, value in gradients.items() if value is not None}
    observation = observe(model, given)
    if not ("unused" in options and form == "zeros for None"):
        assert len(observation.update) == count
    images, labels = batch()
    client = SimulatedClient(observation, torch.device("cpu"))
    for mine, sent in zip(client.update(images, labels), client.observed, strict=True):
        torch.testing.assert_close(mine.detach(), sent, atol=1e-6, rtol=1e-5)


def test_a_whole_state_dict_has_its_buffers_kept() -> None:
    model = net(batch_norm=True)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    client = ClientSettings(FedAvg(1, 2, 0.1), batch_norm="train")
    trained = copy.deepcopy(model).train()
    optimizer = torch.optim.SGD(trained.parameters(), lr=0.1)
    images, labels = batch()
    F.cross_entropy(trained((images - 0.5) / 0.25), labels).backward()
    optimizer.step()
    after = trained.state_dict()
    difference = {name: value - before[name] for name, value in after.items()}
    shape: dict[str, Any] = {"batch_size": 2, "image_size": 8, "mean": MEAN, "std": STD}
    made = [
        observe(model, difference, client=client),
        observe(model, list(difference.values()), client=client),
        observe(model, [value.numpy() for value in difference.values()], client=client),
        Observation.from_round(model, trained, client=client, **shape),
        Observation.from_round(before, after, model=model, client=client, **shape),
        Observation.from_round(
            [v.numpy() for v in before.values()],
            [v.numpy() for v in after.values()],
            model=copy.deepcopy(model),
            client=client,
            **shape,
        ),
    ]
    for observation in made:
        assert list(observation.update) == [name for name, _ in model.named_parameters()]
        assert observation.is_difference
        assert sorted(observation.buffers) == ["body.1.running_mean", "body.1.running_var"]
        for name, value in observation.buffers.items():
            torch.testing.assert_close(value, after[name])
        again = SimulatedClient(observation, torch.device("cpu")).update(images, labels)
        for mine, sent in zip(again, observation.update.values(), strict=True):
            torch.testing.assert_close(mine.detach(), sent, atol=1e-6, rtol=1e-4)


def test_a_round_without_settings_is_one_step_of_unknown_length() -> None:
    model = net()
    gradients = backward(model)
    after = copy.deepcopy(model)
    with torch.no_grad():
        for parameter, gradient in zip(after.parameters(), values(gradients), strict=True):
            parameter.sub_(0.3 * gradient)
    observation = Observation.from_round(model, after, batch_size=2, image_size=8, mean=MEAN, std=STD)
    assert observation.client is None
    assert observation.threat_model.local_settings == "unknown"
    images, labels = batch()
    client = SimulatedClient(observation, torch.device("cpu"))
    flat = [torch.cat([t.flatten() for t in ts]) for ts in (client.update(images, labels), client.observed)]
    assert float(F.cosine_similarity(flat[0], flat[1], dim=0).detach()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("channels", "size"), [(1, (8, 8)), (4, (8, 8)), (3, (8, 12)), (1, (7, 10))])
def test_images_of_any_shape(channels: int, size: tuple[int, int]) -> None:
    model = net(channels=channels, size=size)
    gradients = backward(model, channels=channels, size=size)
    observation = observe(
        model, gradients, image_size=np.array(size), mean=[0.5] * channels, std=np.full(channels, 0.25)
    )
    assert observation.model.image_shape == (channels, *size)
    assert (len(observation.mean), len(observation.std)) == (channels, channels)


def test_numbers_in_any_form() -> None:
    model = net()
    observation = observe(
        model,
        backward(model),
        batch_size=np.int64(2),
        image_size=torch.tensor(8),
        mean=np.float32(0.5),
        std=[torch.tensor(0.25)] * 3,
        labels=np.array([1, 3], dtype=np.int32),
        class_names=np.array(["a", "b", "c", "d", "e"]),
    )
    assert (observation.batch_size, observation.mean) == (2, MEAN)
    assert observation.labels is not None
    assert observation.labels.tolist() == [1, 3]
    assert observation.class_names == ("a", "b", "c", "d", "e")


def test_the_mode_of_the_model_is_that_of_the_client() -> None:
    model = net(batch_norm=True, dropout=0.5).train()
    gradients = backward(model)
    client = observe(model, gradients).client
    assert client is not None
    assert (client.batch_norm, client.dropout) == ("train", "train")
    assert model.training
    with pytest.raises(TaskError, match="BatchNorm layers are in training mode"):
        observe(model, gradients, client=ClientSettings(FedAvg(1, 2, 0.1)))
    with pytest.raises(TaskError, match=r"draws at random .* client.dropout is 'eval'"):
        observe(model, gradients, client=ClientSettings(FedAvg(1, 2, 0.1), batch_norm="train"))


class Deaf(Net):
    """Its gradient has no derivative in the images."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.detach())


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "zeros": (lambda: observe(net(), [torch.zeros_like(p) for p in net().parameters()]), "zero in every"),
    "not finite": (
        lambda: observe(net(), [p * torch.nan for p in net().parameters()]),
        "'body.0.weight' is not finite",
    ),
    "a difference": (
        lambda: observe(net(), {n: -0.1 * v for n, v in backward(net()).items() if v is not None}),
        "sign of a step",
    ),
    "too few": (lambda: observe(net(), values(backward(net()))[:3]), r"3 tensors given, and 4 expected"),
    "too long": (lambda: observe(net(), torch.ones(7)), "flat vector of 7 numbers"),
    "a shape": (
        lambda: observe(net(), {**backward(net()), "head.bias": torch.ones(6)}),
        r"'head.bias' has shape \(6,\), and that of the model \(5,\)",
    ),
    "a name": (lambda: observe(net(), {"fc.weight": torch.ones(1)}), "disagree on parameter 'fc.weight'"),
    "texts": (lambda: observe(net(), ["a", "b", "c", "d"]), "an array of numbers is expected"),
    "a number": (lambda: observe(net(), 3), "tensors by name or in order"),
    "no file": (lambda: observe(net(), "nonesuch.pt"), "no such file"),
    "all None": (lambda: observe(net(), [None] * 4), "no tensor is there"),
    "a mean too many": (lambda: observe(net(), backward(net()), mean=[0.5] * 4), "mean has 4 values"),
    "a std of zero": (lambda: observe(net(), backward(net()), std=0.0), "std must be positive"),
    "a size": (lambda: observe(net(), backward(net()), image_size=12), "no logits for an image of 12x12"),
    "half an image": (lambda: observe(net(), backward(net()), batch_size=1.5), "must be a whole number"),
    "a label": (lambda: observe(net(), backward(net()), labels=[1, 5]), "numbers below 5"),
    "no model": (lambda: observe("net", [1]), "must be a torch.nn.Module"),  # type: ignore[arg-type]
    "no slope": (lambda: observe(Deaf().eval(), backward(net())), "cannot be differentiated"),
    "nothing trained": (
        lambda: Observation.from_round(net(), net(), batch_size=1, image_size=8),
        "after is equal to before",
    ),
    "weights alone": (
        lambda: Observation.from_round(net().state_dict(), net().state_dict(), batch_size=1, image_size=8),
        "give model",
    ),
    "classes": (
        lambda: observe(net(), backward(net()), spec=ModelSpec(f"{__name__}:Net", 7, 8), image_size=8),
        "gives 5 logits",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_every_wrong_input_is_one_line_that_says_what_came(case: str) -> None:
    make, message = WRONG[case]
    with pytest.raises(TaskError, match=message) as error:
        make()
    assert "\n" not in str(error.value)
