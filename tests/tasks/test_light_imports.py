"""Options, labels and settings are known without torch: commands that only look at them start at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from PIL import Image

from gifd_bench.tasks.datasets.cifar import CIFAR10_CLASSES, CIFAR100_CLASSES

SCRIPT = """
import importlib.abc
import os
import sys
import traceback

HEAVY = {
    "torch", "torchvision", "timm", "pytorch_lightning", "lightning", "lightning_fabric", "torchmetrics",
    "lpips", "opacus", "wandb", "sklearn", "skimage", "scipy", "matplotlib", "PIL",
}


class Watch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in HEAVY:
            culprits = [f.filename for f in traceback.extract_stack() if "gifd_bench" in f.filename]
            raise SystemExit(f"{name} was imported by {culprits[-1] if culprits else 'another library'}")
        return None


sys.meta_path.insert(0, Watch())

from pathlib import Path

from gifd_bench.tasks import choices, client, errors, selection, settings, threat_model
from gifd_bench.tasks.datasets.registry import DATASETS
from gifd_bench.tasks.defenses.composition import Composition
from gifd_bench.tasks.defenses.knowledge import describe
from gifd_bench.tasks.defenses.registry import DEFENSES
from gifd_bench.tasks.models.pretrained import is_at_hand
from gifd_bench.tasks.models.registry import MODELS
from gifd_bench.tasks.models.spec import ModelSpec
from gifd_bench.tasks.training.cache import victim_file
from gifd_bench.tasks.training.settings import VictimTraining

for noun in (DATASETS, DEFENSES, MODELS):
    for name in noun.bundled:
        assert callable(noun.signature(name))
        assert noun.describe(name), name

root = os.environ["GIFD_BENCH_DATA"]
for name in DATASETS.bundled:
    options = {"root": f"{root}/folder"} if name == "folder" else {}
    dataset = DATASETS.make(name, options)
    labels = list(dataset.labels)
    assert labels and max(labels) < len(dataset.class_names), name
    for rule in selection.RULES:
        assert len(selection.Selection(rule).batches(dataset.labels, 1))

assert describe(Composition((DEFENSES.make("clipping", {}), DEFENSES.make("gaussian_noise", {}))))
settings.TaskSettings(client=client.ClientSettings(client.FedAvg()))
spec = ModelSpec("convnet", 10, 32)
assert spec.imports is None
print(victim_file(spec, {"use": "photos"}, VictimTraining(), 0, Path("cache"), threads=2))
try:
    is_at_hand(spec)
except errors.TaskError:
    print("no published weights")
assert not HEAVY & sys.modules.keys(), HEAVY & sys.modules.keys()
"""


def test_nothing_heavy_is_imported_to_know_options_labels_and_settings(tmp_path: Path) -> None:
    places = [
        f"cifar10/test/{CIFAR10_CLASSES[3]}/0.png",
        f"cifar100/test/{CIFAR100_CLASSES[3]}/0.png",
        "ffhq/thumbnails128x128/00001.png",
        "folder/cat/0.png",
        "imagenet-samples/n01443537/0.png",
        "pacs/photo/dog/0.png",
    ]
    for place in places:
        (tmp_path / place).parent.mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / place)
    (tmp_path / "ffhq/json").mkdir()
    (tmp_path / "ffhq/json/00001.json").write_text('[{"faceAttributes": {"age": 31}}]')
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={"GIFD_BENCH_DATA": str(tmp_path), "PYTHONPATH": ":".join(sys.path), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[1:] == ["no published weights"]
