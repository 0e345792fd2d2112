"""Victim models: what is built, what is refused, and published weights."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.models.check import check_model
from gifd_bench.tasks.models.lenet import LeNet
from gifd_bench.tasks.models.pretrained import load_pretrained
from gifd_bench.tasks.models.registry import MODELS
from gifd_bench.tasks.models.resnet_cifar import ResNetCIFAR
from gifd_bench.tasks.models.spec import ModelSpec

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, num_classes, outputs=None, unused=False, frozen=False):
        super().__init__()
        self.linear = nn.Linear(3 * 16 * 16, outputs or num_classes)
        if unused:
            self.unused = nn.Parameter(torch.zeros(1))
        self.linear.bias.requires_grad_(not frozen)

    def forward(self, x):
        return self.linear(x.flatten(1))

class Pair(Net):
    def forward(self, x):
        return super().forward(x), x

class Named(Net):
    def forward(self, x):
        return {"loss": None, "logits": super().forward(x), "features": x}

class Texts(Net):
    def forward(self, x):
        return ["cat", "dog"]

class Frozen(Net):
    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.requires_grad_(False)

def broken(image_size):
    raise KeyError(image_size)

def text():
    return "no module"

def flexible(num_classes, **options):
    return Net(num_classes)

number = 3
"""


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an importable module with models in it."""
    (tmp_path / "my_models.py").write_text(NET)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_models", raising=False)
    return "my_models"


def spec(name: str, classes: int = 5, size: int = 16, **options: Any) -> ModelSpec:
    return ModelSpec(name, classes, size, options)


@pytest.mark.parametrize("size", [16, 28, 64])
@pytest.mark.parametrize("classes", [2, 17])
@pytest.mark.parametrize("name", ["lenet", "resnet_cifar"])
def test_a_model_takes_any_size_and_any_number_of_classes(name: str, classes: int, size: int) -> None:
    check_model(spec(name, classes, size))


@pytest.mark.parametrize(
    ("name", "architecture", "size"),
    [
        ("torchvision", "resnet18", 32),
        ("torchvision", "googlenet", 32),
        ("timm", "test_vit", 32),
        ("timm", "test_efficientnet", 48),
        ("timm", "resnet18.a1_in1k", 32),
    ],
)
def test_an_architecture_of_a_library_fits_the_dataset(name: str, architecture: str, size: int) -> None:
    check_model(spec(name, 7, size, architecture=architecture))


def test_lenet_is_dlgs() -> None:
    model = LeNet(100, 32, uniform_weights=True)
    # 12 channels, 5x5 filters and biases; the last layer sees 12 channels of 8x8.
    assert sum(p.numel() for p in model.parameters()) == 12 * 76 + 2 * 12 * 301 + 100 * 769
    flat = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert -0.5 <= float(flat.min()) < -0.49
    assert 0.49 < float(flat.max()) <= 0.5
    assert float(flat.std()) == pytest.approx(1 / 12**0.5, rel=0.02)
    narrow = LeNet(100, 32, uniform_weights=False)
    assert max(float(p.detach().abs().max()) for p in narrow.parameters()) < 0.2


@pytest.mark.parametrize(
    ("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85)]
)  # He et al., table 6
def test_resnet_cifar_is_as_large_as_in_the_paper(depth: Any, millions: float) -> None:
    model = ResNetCIFAR(10, 32, depth, 16)
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.006)
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == depth


def test_a_shortcut_takes_every_second_pixel_and_has_no_parameters() -> None:
    model = ResNetCIFAR(10, 8, 20, 2).eval()
    block = model.blocks[3]
    for layer in block.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.zeros_(layer.weight)
    x = torch.rand(1, 2, 8, 8)
    expected = torch.zeros(1, 4, 4, 4)
    for row in range(4):
        for column in range(4):
            expected[0, :2, row, column] = x[0, :, 2 * row, 2 * column]
    assert torch.equal(block(x), expected)


@pytest.mark.parametrize(
    "form", ["{module}:Net", "{module}.Net", "{module}.py:Net", "{folder}/{module}.py:Net"]
)
def test_a_model_of_ones_own_is_built_by_import_path_or_file(
    net: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.chdir(tmp_path)
    name = form.format(module=net, folder=tmp_path)
    own = spec(name)
    check_model(own)
    assert own.imports == name
    first, again, other = (own.build(seed).get_parameter("linear.weight") for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert own.identity() == spec(f"{net}:Net").identity()


def test_what_a_model_of_ones_own_is_changes_with_its_source_and_not_with_its_place(
    net: str, tmp_path: Path
) -> None:
    before = spec(f"{net}:Net").identity()
    assert spec(f"{net}:Pair").identity() != before
    (tmp_path / "elsewhere.py").write_text(NET)
    assert spec(f"{tmp_path}/elsewhere.py:Net").identity() == before
    (tmp_path / "elsewhere.py").write_text(NET.replace("16 * 16", "8 * 8"))
    assert spec(f"{tmp_path}/elsewhere.py:Net").identity() != before


@pytest.mark.parametrize("name", sorted(MODELS.bundled))
def test_a_bundled_model_imports_nothing_of_anybody_elses(name: str) -> None:
    for its_name in (name, MODELS.bundled[name]):
        assert spec(its_name).imports is None
        assert spec(its_name, depth=3).identity() == [name, 5, 16, {"depth": 3}]


def test_a_model_gets_the_inputs_that_it_takes_and_its_options(net: str) -> None:
    assert spec(f"{net}:flexible", depth=2).build().get_parameter("linear.weight").shape[0] == 5
    with pytest.raises(TaskError, match="takes no option 'num_classes'"):
        spec("convnet", num_classes=3).build()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("{}:Net", {"outputs": 4}, "gives 4 outputs for 5 classes"),
        ("{}:Frozen", {}, "all of its parameters are frozen"),
        ("{}:Net", {"depth": 3}, "takes no option 'depth'"),
        ("{}:Texts", {}, r"gives list for one image, not \(1, 5\)"),
        ("{}:broken", {}, "cannot be built: KeyError: 16"),
        ("{}:text", {}, "is a str, not a torch.nn.Module"),
        ("{}:Nonesuch", {}, "there is no 'Nonesuch'"),
        ("{}:number", {}, "neither a class nor a function"),
        ("nonesuch.module:Net", {}, "there is no module 'nonesuch'"),
        ("nonesuch.py:Net", {}, "there is no file nonesuch.py"),
        ("convnett", {}, "no model 'convnett'; did you mean convnet"),
    ],
)
def test_a_model_of_ones_own_that_does_not_fit_is_one_line(
    net: str, name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(TaskError, match=message) as error:
        check_model(spec(name.format(net), **options))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "options"),
    [("Net", {"unused": True}), ("Net", {"frozen": True}), ("Pair", {}), ("Named", {})],
)
def test_a_frozen_or_unused_parameter_and_logits_among_others_are_taken(
    net: str, name: str, options: dict[str, Any]
) -> None:
    check_model(spec(f"{net}:{name}", **options))
    model = spec(f"{net}:{name}", **options).build()
    assert model(torch.zeros(2, 3, 16, 16)).shape == (2, 5)


@pytest.mark.parametrize("name", ["convnet", "lenet", "resnet_cifar", "timm"])
@pytest.mark.parametrize(("size", "channels"), [((16, 24), 1), (32, 4)])
def test_images_of_any_shape(name: str, size: Any, channels: int) -> None:
    options = {"architecture": "test_resnet"} if name == "timm" else {}
    one = ModelSpec(name, 5, size, options, channels)
    check_model(one)
    assert one.image_shape == (channels, *((size, size) if isinstance(size, int) else size))
    assert one.identity() != spec(name, 5, 32, **options).identity()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (spec("torchvision", architecture="resnet81"), "no classifier 'resnet81'; close .*resnet18"),
        (spec("torchvision", architecture="fcn_resnet50"), "no classifier 'fcn_resnet50'"),
        (spec("timm", architecture="vit_tinny_patch16_224"), "close .*vit_tiny_patch16_224"),
        (spec("timm", architecture="hf-hub:somebody/model"), "no classifier 'hf-hub:somebody/model'"),
        (spec("timm", architecture="resnet18.nonesuch"), "nonesuch"),
        (spec("torchvision", architecture="alexnet"), "does not take 16x16 images"),
        (spec("torchvision", architecture="vit_b_32"), "cannot be built"),
        (spec("lenet", size=18), "multiple of 4"),
        (spec("resnet_cifar", depth=21), "depth 20, 32, 44 or 56"),
        (spec("convnet", path="x:Y"), "takes no option 'path'"),
    ],
)
def test_a_model_that_does_not_fit_is_one_line(wrong: ModelSpec, message: str) -> None:
    with pytest.raises(TaskError, match=message) as error:
        check_model(wrong)
    assert "\n" not in str(error.value)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty folders where torch and timm look for weights, and no network."""

    def offline(url: str, *args: Any, **kwargs: Any) -> None:
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("torch.hub.download_url_to_file", offline)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


def publish_torchvision(hub: Path, architecture: str, state: dict[str, Tensor]) -> Path:
    url = torchvision.models.get_model_weights(architecture).DEFAULT.url
    folder = hub / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / url.rsplit("/", 1)[-1]
    torch.save(state, file)
    return file


def publish_timm(hub: Path, architecture: str, state: dict[str, Tensor]) -> None:
    published = timm.get_pretrained_cfg(architecture)
    assert published is not None
    assert published.hf_hub_id is not None
    folder = hub / "hub" / f"models--{published.hf_hub_id.replace('/', '--')}"
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    save_file(state, folder / "snapshots" / "abc" / "model.safetensors")


def random_state(model: nn.Module) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        name: torch.rand(value.shape, generator=generator)
        if value.is_floating_point()
        else torch.full_like(value, 7)
        for name, value in model.state_dict().items()
    }


@pytest.mark.parametrize("classes", [1000, 5])
@pytest.mark.parametrize(
    ("name", "architecture", "head"),
    [("torchvision", "squeezenet1_1", "classifier.1."), ("timm", "test_resnet", "fc.")],
)
def test_published_weights_are_loaded_and_the_head_of_other_classes_is_not(
    hub: Path, name: str, architecture: str, head: str, classes: int
) -> None:
    state = random_state(spec(name, 1000, architecture=architecture).build())
    if name == "timm":
        publish_timm(hub, architecture, state)
    else:
        publish_torchvision(hub, architecture, state)
    mine = spec(name, classes, 32, architecture=architecture)
    model = mine.build(9)
    own = {key: value.clone() for key, value in model.state_dict().items()}
    load_pretrained(model, mine)
    heads = [key for key in own if key.startswith(head)]
    assert heads
    for key, value in model.state_dict().items():
        kept = classes != 1000 and key in heads
        assert torch.equal(value, own[key] if kept else state[key]), key


def test_old_names_and_auxiliary_heads_of_published_weights_are_understood(hub: Path) -> None:
    densenet = spec("torchvision", 1000, 32, architecture="densenet121")
    state = random_state(densenet.build())
    # As in the published file: dotted names, no counters.
    published = {
        key.replace("norm1", "norm.1").replace("norm2", "norm.2").replace("conv1", "conv.1"): value
        for key, value in state.items()
        if not key.endswith("num_batches_tracked")
    }
    publish_torchvision(hub, "densenet121", {**published, "aux.weight": torch.zeros(1)})
    model = densenet.build()
    load_pretrained(model, densenet)
    for key, value in model.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(value, state[key]), key


@pytest.mark.slow
def test_the_positions_of_a_transformer_are_resized(hub: Path) -> None:
    mine = spec("torchvision", 1000, 64, architecture="vit_b_32")
    model = mine.build()
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 1000)
    # As published for 224 pixels: 7x7 patches and the class token.
    name = "encoder.pos_embedding"
    state = {**model.state_dict(), name: torch.rand(1, 50, 768)}
    publish_torchvision(hub, "vit_b_32", state)
    load_pretrained(model, mine)
    grid = state[name][:, 1:].transpose(1, 2).reshape(1, -1, 7, 7)
    resized = F.interpolate(grid, size=2, mode="bicubic", align_corners=True).flatten(2).transpose(1, 2)
    expected = torch.cat([state[name][:, :1], resized], dim=1)
    torch.testing.assert_close(model.state_dict()[name], expected)


@pytest.mark.parametrize("name", ["torchvision", "timm"])
def test_weights_that_cannot_be_had_are_one_line_that_says_where(hub: Path, name: str) -> None:
    mine = spec(name, 5, 32, architecture="resnet18")
    with pytest.raises(TaskError, match="is looked for") as error:
        load_pretrained(mine.build(), mine)
    assert str(hub) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_pickle_that_holds_code_is_not_run(hub: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    mine = spec("torchvision", architecture="squeezenet1_1")
    publish_torchvision(hub, "squeezenet1_1", {"a": Evil()})  # type: ignore[dict-item]
    with pytest.raises(TaskError, match="is looked for"):
        load_pretrained(mine.build(), mine)
    assert not (tmp_path / "ran").exists()


def test_weights_of_another_shape_are_refused(hub: Path) -> None:
    mine = spec("torchvision", architecture="squeezenet1_1")
    state = random_state(mine.build())
    state["features.0.weight"] = torch.zeros(1)
    publish_torchvision(hub, "squeezenet1_1", state)
    with pytest.raises(TaskError, match=r"do not fit: 'features.0.weight'"):
        load_pretrained(mine.build(), mine)


def test_a_model_without_published_weights_says_so() -> None:
    with pytest.raises(TaskError, match=r"model 'lenet' has no published weights; .*torchvision"):
        load_pretrained(spec("lenet").build(), spec("lenet"))
