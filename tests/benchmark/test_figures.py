"""Figures for a paper: files that programs open, and what stands in them."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import pytest
from PIL import Image

from gifd_bench.benchmark.cli import run as cli
from gifd_bench.benchmark.commands.figure import FORMATS, KINDS
from gifd_bench.benchmark.figures import kinds, style
from gifd_bench.benchmark.matrix.cell import Cell
from tests.benchmark.helpers import tiny_matrix
from tests.benchmark.report.helpers import Answer, finish

SWEEP = {"none": None, "noise": {"use": "gaussian_noise", "std": [1e-3, 1e-2, 1e-1]}}
HEAD = "task,defense,kind,strength,attack,best,images"
ENDS = [
    f"{name}{end}" for name in ("identified", "ssim", "psnr", "accuracy") for end in ("", "_low", "_high")
]


def fading(cell: Cell) -> Answer:
    std = float(cell.defense.parts[0].options.get("std", 0.0))
    psnr = 30.0 + cell.target - 100 * std
    return Answer((psnr,), identified=(float(std < 0.05),))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    finish(tiny_matrix(folder, targets=[0, 1, 2], defenses=SWEEP), folder / "out", fading)
    rows = [
        "photos,none,none,,ig,True,3,1,,,0.9,,,30,,,0.5,,,1,,0,",
        "photos,noise,gaussian_noise,std 0.1,ig,True,3,0,,,0.1,,,20,,,0.3,,,1,,0,",
    ]
    head = ",".join([HEAD, *ENDS, "seeds,epsilon,failed_cells,reason"])
    (folder / "out" / "tradeoff.csv").write_text("\n".join([head, *rows]))
    return folder / "out"


def test_the_command_names_what_there_is() -> None:
    assert set(KINDS) == set(kinds.KINDS)
    assert FORMATS == style.FORMATS


@pytest.mark.parametrize("kind", KINDS)
def test_a_pdf_is_as_wide_as_a_page_and_its_letters_are_letters(
    kind: str, run: Path, tmp_path: Path
) -> None:
    path = tmp_path / "it.pdf"
    assert cli(["figure", str(run), "--kind", kind, "--output", str(path)]) == 0
    content = path.read_bytes()
    assert content.startswith(b"%PDF-1.")
    assert content.rstrip().endswith(b"%%EOF")
    (box,) = re.findall(rb"/MediaBox \[([\d. ]+)\]", content)
    width = float(box.split()[2]) / 72
    assert width == pytest.approx(style.PAGE, abs=0.05)
    assert b"/Type3" not in content.replace(b" ", b"")
    streams = re.findall(rb"stream\n(.*?)\nendstream", content, re.DOTALL)
    assert any(b"Tf" in zlib.decompressobj().decompress(stream) for stream in streams if stream[:1] == b"x")


def test_an_svg_says_the_parameter_and_the_attacks(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "it.svg"
    assert cli(["figure", str(run), "--kind", "bars", "--format", "svg", "--output", str(path)]) == 0
    text = path.read_text()
    for word in ("gaussian_noise std", "PSNR (dB)", "SSIM", "ig", "gifd (cifar10)"):
        assert word in text
    first = path.read_bytes()
    assert cli(["figure", str(run), "--kind", "bars", "--format", "svg", "--output", str(path)]) == 0
    assert path.read_bytes() == first


def test_without_output_a_figure_lies_in_the_folder(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["figure", str(run), "--kind", "strip", "--format", "png"]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path == run / "strip.png"
    with Image.open(path) as image:
        assert image.width == pytest.approx(style.PAGE * style.DPI, abs=2)


def test_without_a_trade_off_one_line_says_what_makes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finish(tiny_matrix(tmp_path), tmp_path / "out", fading)
    assert cli(["figure", str(tmp_path / "out"), "--kind", "tradeoff"]) == 2
    assert "gifd-bench tradeoff" in capsys.readouterr().err


def test_a_task_that_is_not_there_and_a_run_without_scores_are_one_line(
    tmp_path: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli(["figure", str(run), "--task", "faces"]) == 2
    assert "no task 'faces'; there are: photos" in capsys.readouterr().err
    finish(tiny_matrix(tmp_path), tmp_path / "out", lambda _: "pending")
    assert cli(["figure", str(tmp_path / "out")]) == 2
    assert "no cell of 'photos' has scores yet" in capsys.readouterr().err
