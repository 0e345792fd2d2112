"""The page on auditing one's own system, followed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import yaml

PAGES = Path(__file__).parents[3] / "docs"
NET = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self, num_classes: int) -> None:
        super().__init__(nn.Conv2d(3, 4, 5, stride=3), nn.ReLU(), nn.Flatten(), nn.Linear(400, num_classes))
"""


def test_the_page_leads_from_ones_own_code_to_a_picture(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (PAGES / "auditing.md").read_text(), re.DOTALL)
    (tmp_path / "my_net.py").write_text(NET)
    (tmp_path / "client.py").write_text(code)
    subprocess.run([sys.executable, "client.py"], cwd=tmp_path, check=True)
    (line,) = re.findall(r"gifd-bench (attack .*--output out)", (PAGES / "auditing.md").read_text())
    command = [sys.executable, "-m", "gifd_bench", *line.split(), "--attack.iterations=1"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "out" / "reconstruction.png").is_file()
    assert (tmp_path / "out" / "result.json").is_file()


def test_the_matrix_of_the_page_on_victims_is_one(tmp_path: Path) -> None:
    from gifd_bench.benchmark.matrix.config import load_matrix

    (text,) = re.findall(r"```yaml\n(.*?)```", (PAGES / "victims.md").read_text(), re.DOTALL)
    content = {**yaml.safe_load(text), "attacks": {"ig": {"iterations": 1}}}
    (tmp_path / "matrix.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    matrix = load_matrix(str(tmp_path / "matrix.yaml"))
    assert len(list(matrix.cells())) == 2


def test_every_dataset_model_and_defense_is_on_the_page() -> None:
    from gifd_bench.benchmark.matrix.component import CATALOGUE

    text = (PAGES / "victims.md").read_text()
    for kind in ("dataset", "defense", "model"):
        for name in CATALOGUE[kind]:
            assert name == "none" or f"`{name}`" in text or name in ("timm", "torchvision"), name
