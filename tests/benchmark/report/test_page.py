"""The page of a report: its files, and what a browser makes of it."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from gifd_bench.benchmark.cli import run as cli
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.matrix.config import Matrix
from gifd_bench.benchmark.report import page as page_module
from gifd_bench.benchmark.report.page import write_report
from gifd_bench.benchmark.results.checksums import SEAL, checksum, write_sealed
from gifd_bench.benchmark.results.rows import rows_of
from gifd_bench.benchmark.results.run_folder import RunFolder
from tests.benchmark.helpers import tiny_matrix
from tests.benchmark.report.helpers import FAILED, PENDING, SKIPPED, Answer, Outcome, finish
from tests.browser import Browser

HOSTILE = "</script><img src=http://x.example onerror=alert(1)><!--"


def some_of_each(cell: Cell) -> Answer | str:
    """On target 2 one attack failed and another was skipped; on target 3 nothing is done."""
    if cell.target == 3:
        return PENDING
    if cell.target == 2 and cell.defense.label == "noise":
        return FAILED if cell.attack.label == "ig" else SKIPPED
    gifd = cell.attack.label == "gifd"
    psnr = 10.0 + cell.target + (8 if gifd else 0)
    return Answer((psnr,), stages=(psnr - 1, psnr) if gifd else ())


def report(matrix: Matrix, output: Path, outcome: Outcome = some_of_each, reason: str = "because") -> Path:
    run = finish(matrix, output, outcome, reason)
    write_report(run, rows_of(run))
    return run.report


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    return report(tiny_matrix(folder, targets=[0, 1, 2, 3]), folder / "out")


def test_a_page_is_complete_in_itself(page: Path) -> None:
    text = page.read_text()
    sources = re.findall(r'(?:src|href)="([^"#]+)"', text)
    assert sources
    assert not [source for source in sources if not source.startswith("data:")]
    assert "http" not in text.replace("http-equiv", "")
    assert not (page.parent / "report").exists()
    assert page.stat().st_size < 8_000_000


def test_a_page_in_several_files_asks_for_what_lies_beside_it(page: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copytree(page.parent, copy)
    assert cli(["report", str(copy), "--no-single-file"]) == 0
    text = (copy / "report.html").read_text()
    sources = set(re.findall(r'(?:src|href|data-file)="([^"#]+)"', text)) - {"data:,"}
    assert "report/plotly.min.js" in sources
    for source in sources:
        assert (copy / source).is_file()
    assert len(text) < 200_000


def test_the_first_screen_says_what_leaked_by_what_and_how_sure(page: Path) -> None:
    text = page.read_text()
    assert "Without a defense, gifd (cifar10) read back 3 private images at a mean PSNR of 19.0 dB" in text
    assert "ahead of ig, the next best, by 8.0 dB, but 3 images are too few to be sure" in text
    assert "noise (std 0.01) is the one defense tried" in text
    opening = text[text.index('id="opening"') : text.index("<nav")]
    # Three private images under two settings: the truth, and the answers of two attacks.
    assert opening.count("<figure") == 3 * 2 * 3
    for heading in ("read best: ", "in between: ", "read worst: ", "noise (std 0.01)", "no defense"):
        assert heading in opening


def test_the_page_says_what_was_run_and_what_is_missing(page: Path) -> None:
    text = page.read_text()
    for fact in ("10 done", "1 failed", "1 skipped", "4 pending", "gaussian_noise: std=0.01", "torch"):
        assert fact in text
    assert "1 skipped, 1 pending" in text
    assert "astronaut" in text


def test_pictures_are_in_the_order_of_the_truth(tmp_path: Path) -> None:
    task = {"dataset": {"use": "photos", "size": 32}, "model": "convnet", "batch_size": 3}
    matrix = tiny_matrix(tmp_path, tasks={"photos": task}, attacks={"ig": {}}, defenses={"none": None})
    run = finish(matrix, tmp_path / "out", lambda _: Answer((10.0, 11.0, 12.0)))
    (cell,) = matrix.cells()
    folder = run.cell(cell)
    replace(folder.read(), assignment=(2, 0, 1)).write(folder.result)
    write_report(run, rows_of(run), single_file=False)
    with Image.open(run.report.parent / "report" / "images" / f"{cell.id}.png") as image:
        strip = np.asarray(image)
    assert strip.shape == (96, 32, 3)
    images = run.cell(cell).images()
    for k, answer in enumerate([2, 0, 1]):
        expected = (images[answer] * 255).round().byte().permute(1, 2, 0).numpy()
        assert (strip[32 * k : 32 * k + 32] == expected).all()
    text = run.report.read_text()
    gallery = text[text.index('id="images"') :]
    assert gallery.count("object-position: 0 50%") == 2
    assert "target 0, seed 0, image 2" in text


def test_stages_are_side_by_side_in_the_order_of_the_truth(tmp_path: Path) -> None:
    task = {"dataset": {"use": "photos", "size": 32}, "model": "convnet", "batch_size": 3}
    matrix = tiny_matrix(tmp_path, tasks={"photos": task}, attacks={"gifd": {}}, defenses={"none": None})
    run = finish(matrix, tmp_path / "out", lambda _: Answer((10.0, 11.0, 12.0), stages=(8.0, 9.0)))
    (cell,) = matrix.cells()
    folder = run.cell(cell)
    replace(folder.read(), assignment=(2, 0, 1)).write(folder.result)
    write_report(run, rows_of(run), single_file=False)
    with Image.open(run.report.parent / "report" / "images" / f"{cell.id}-stages.png") as image:
        strip = np.asarray(image)
    assert strip.shape == (3 * 32, 2 * 32, 3)
    images = run.cell(cell).images()
    for k, answer in enumerate([2, 0, 1]):
        for stage in range(2):
            expected = (images[answer] * (stage + 1) / 2 * 255).round().byte().permute(1, 2, 0).numpy()
            assert (strip[32 * k : 32 * k + 32, 32 * stage : 32 * stage + 32] == expected).all()
    text = run.report.read_text()
    assert text.count('<details class="stages"') == 3
    # Of a batch, a stage has one PSNR.
    assert text.count("<li><b>4x4</b> 9.00 dB</li>") == text.count("PSNR: mean over the batch") == 3


def test_only_attacks_of_several_stages_show_them(page: Path) -> None:
    text = page.read_text()
    assert text.count("<li><b>latent</b> 17.00 dB</li>") == text.count("<li><b>4x4</b> 18.00 dB</li>") == 2
    assert text.count('alt="gifd (cifar10) at the end of each stage') == 5
    assert 'alt="ig at the end' not in text
    assert "mean over the batch" not in text


def test_long_curves_of_many_cells_make_no_large_page(tmp_path: Path) -> None:
    def size(curve: tuple[float, ...], targets: list[int]) -> int:
        folder = tmp_path / f"{len(curve)}-{len(targets)}"
        folder.mkdir()
        matrix = tiny_matrix(folder, targets=targets, attacks={"ig": {}}, defenses={"none": None})
        page = report(matrix, folder / "out", lambda _: Answer((10.0,), curve=curve))
        return len(re.findall(r'id="specs">(.*?)</script>', page.read_text(), re.DOTALL)[0])

    small = size((0.2, 0.1), [0])
    assert size(tuple(1 / (k + 1) for k in range(20_000)), list(range(10))) < small + 3000


def test_a_reconstruction_without_its_stages_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    matrix = tiny_matrix(tmp_path, attacks={"gifd": {}})
    run = finish(matrix, tmp_path / "out", some_of_each)
    folder = run.cell(next(iter(matrix.cells())))
    file, record = folder.reconstruction, folder.read()
    tensors = load_file(file)
    del tensors["stage/01"]
    save_file(tensors, file)
    # As it is in what an older version wrote: its own checksum is right.
    replace(record, files={**record.files, file.name: checksum(file)}).write(folder.result)
    assert cli(["report", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "reconstruction.safetensors: damaged, or of another version" in error
    assert error.count("\n") == 1


def test_pictures_beside_the_page_are_not_written_again_unless_the_result_is_newer(tmp_path: Path) -> None:
    report(tiny_matrix(tmp_path, targets=[0, 1, 2, 3]), tmp_path / "out")
    run = RunFolder(tmp_path / "out")
    write_report(run, rows_of(run), single_file=False)
    pictures = sorted((tmp_path / "out" / "report" / "images").iterdir())
    # Truths of the observations that were attacked, answers, and the stages of GIFD's.
    assert len(pictures) == 5 + 10 + 5
    before = [picture.stat().st_mtime_ns for picture in pictures]
    write_report(run, rows_of(run), single_file=False)
    assert [picture.stat().st_mtime_ns for picture in pictures] == before


def test_many_pictures_have_a_page_for_each_task_and_defense(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, "MOST_INLINED_BYTES", 10_000)
    monkeypatch.setattr(os, "fsync", refuse_pictures)
    page = report(tiny_matrix(tmp_path, targets=[0, 1, 2, 3]), tmp_path / "out")
    links = re.findall(r'<a href="(report/gallery-\d+.html)">', page.read_text())
    assert len(links) == 2
    for link in links:
        gallery = page.parent / link
        text = gallery.read_text()
        sources = re.findall(r'src="([^"]+)"', text)
        assert sources
        assert all((gallery.parent / source).is_file() for source in sources)
        assert "target 0, seed 0" in text
        assert '<a href="../report.html">' in text


def refuse_pictures(descriptor: int) -> None:
    """In place of waiting for the disk: not for a picture."""
    assert Path(f"/proc/self/fd/{descriptor}").readlink().suffix != ".png"


def test_a_report_needs_no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gifd_bench.tasks.datasets.photos import Photos
    from gifd_bench.tasks.errors import TaskError

    matrix = tiny_matrix(tmp_path)
    run = finish(matrix, tmp_path / "out", some_of_each)

    def missing(*args: Any, **kwargs: Any) -> None:
        raise TaskError("no such folder")

    monkeypatch.setattr(Photos, "__init__", missing)
    write_report(run, rows_of(run))
    assert "class " in run.report.read_text()


def test_a_result_of_another_version_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    matrix = tiny_matrix(tmp_path)
    run = finish(matrix, tmp_path / "out", some_of_each)
    file = run.cell(next(iter(matrix.cells()))).result
    content = json.loads(file.read_text())
    del content[SEAL]
    write_sealed(file, {**content, "stages": [{"name": "latent"}]})
    assert cli(["report", str(tmp_path / "out")]) == 1
    assert "result.json: damaged, or of another version" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["markdown", "latex", "csv"])
def test_other_formats_are_printed_and_write_nothing(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finish(tiny_matrix(tmp_path), tmp_path / "out", some_of_each)
    assert cli(["report", str(tmp_path / "out"), "--format", form]) == 0
    assert "gifd" in capsys.readouterr().out
    assert not (tmp_path / "out" / "report.html").exists()


def hostile(matrix: Matrix) -> Matrix:
    """Labels that no configuration file may have, but a result from elsewhere could."""
    attacks = tuple(replace(a, label=HOSTILE) if a.label == "ig" else a for a in matrix.attacks)
    return replace(matrix, attacks=attacks)


@pytest.mark.slow
def test_nothing_from_a_file_is_markup(tmp_path: Path) -> None:
    text = report(
        hostile(tiny_matrix(tmp_path, targets=[0, 2])), tmp_path / "out", reason=HOSTILE
    ).read_text()
    assert "<img src=http" not in text
    # Its own: the plots' specifications, the rows, plotly and the page's script.
    assert (text.count("<script"), text.count("</script>")) == (4, 4)
    assert "<!--" not in text
    assert "&lt;/script&gt;&lt;img src=http" in text


@pytest.mark.slow
def test_in_a_browser_nothing_complains_and_nothing_leaves_the_disk(browser: Browser, page: Path) -> None:
    opened(browser, page)
    drawn = plots_drawn(browser)
    assert drawn == 8
    assert browser.complaints() == []
    asked = [request for request in browser.requests() if not request.startswith("data:")]
    assert asked == [page.resolve().as_uri()]


@pytest.mark.slow
def test_in_a_browser_hostile_labels_and_reasons_are_text(browser: Browser, tmp_path: Path) -> None:
    page = report(hostile(tiny_matrix(tmp_path, targets=[0, 2])), tmp_path / "out", reason=HOSTILE)
    opened(browser, page)
    plots_drawn(browser)
    assert browser.complaints() == []
    assert browser.run("return document.querySelectorAll('img[onerror]').length") == 0
    assert {request.split(":")[0] for request in browser.requests()} <= {"file", "data"}
    names = browser.run("return [...document.querySelectorAll('.legendtext')].map(e => e.textContent)")
    assert HOSTILE in names


def opened(browser: Browser, page: Path, width: int = 1280, part: str = "") -> None:
    """Open a page and wait until it is ready."""
    browser.open(page, width, part=part)
    deadline = time.monotonic() + 60
    while not browser.run("return 'ready' in document.documentElement.dataset"):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def plots_drawn(browser: Browser) -> int:
    """How many plots there are when all have been seen."""
    browser.run("document.querySelectorAll('details').forEach(e => { e.open = true })")
    browser.run("document.querySelectorAll('.plot').forEach(draw)")
    deadline = time.monotonic() + 60
    drawn = (
        "return [...document.querySelectorAll('.plot')].filter(e => e.querySelector('.main-svg')).length"
    )
    count = browser.run("return document.querySelectorAll('.plot').length")
    while (found := browser.run(drawn)) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    return int(found)


def column(browser: Browser, number: int) -> list[str]:
    """The texts of a column of the first table."""
    rows = "[...document.querySelector('table').tBodies[0].rows]"
    texts = browser.run(f"return {rows}.map(row => row.cells[arguments[0]].innerText)", number)
    return [str(text).split()[0] for text in texts]


def press(browser: Browser, heading: int) -> str:
    """Press Enter on a heading of the first table; its `aria-sort` afterwards."""
    button = browser.driver.find_elements("css selector", "table:first-of-type th > button")[heading]
    button.send_keys("\n")
    return str(browser.run("return arguments[0].parentElement.ariaSort", button))


@pytest.mark.slow
def test_in_a_browser_tables_are_sorted_by_keyboard(browser: Browser, page: Path) -> None:
    opened(browser, page)
    assert press(browser, 2) == "ascending"
    # As numbers: IG has 10.5 and 11, GIFD 18.5 and 19.
    assert column(browser, 2) == ["10.50", "11.00", "18.50", "19.00"]
    assert press(browser, 2) == "descending"
    assert column(browser, 2) == ["19.00", "18.50", "11.00", "10.50"]
    assert press(browser, 1) == "ascending"
    assert column(browser, 1) == ["gifd", "gifd", "ig", "ig"]
    assert browser.run("return document.querySelectorAll('table:first-of-type [aria-sort]').length") == 1


def choose(browser: Browser, name: str, value: str) -> None:
    browser.run(
        "const s = document.querySelector(`select[data-filter=${arguments[0]}]`);"
        "s.value = arguments[1]; s.dispatchEvent(new Event('change'))",
        name,
        value,
    )


def seen(browser: Browser, selector: str) -> int:
    """How many elements of a kind are not filtered out."""
    script = (
        "return [...document.querySelectorAll(arguments[0])].filter(e => !e.closest('[hidden]')).length"
    )
    return int(browser.run(script, selector))


@pytest.mark.slow
def test_in_a_browser_filters_show_what_is_chosen(browser: Browser, page: Path) -> None:
    opened(browser, page)
    everything = {
        s: seen(browser, s) for s in ("#means tbody tr", "#images .pictures figure", "#cells tbody tr")
    }
    assert everything == {"#means tbody tr": 4, "#images .pictures figure": 5 * 3, "#cells tbody tr": 16}
    choose(browser, "attack", "ig")
    assert seen(browser, "#means tbody tr") == 2
    assert seen(browser, "#cells tbody tr") == 8
    assert seen(browser, "#comparisons tbody tr") == 4  # both that it is part of, in PSNR and in SSIM
    choose(browser, "defense", "noise")
    assert seen(browser, "#means tbody tr") == 1
    choose(browser, "status", "failed")
    assert seen(browser, "#not-done tbody tr") == 1
    assert seen(browser, "#cells tbody tr") == 1
    browser.driver.find_element("css selector", ".filters button").click()
    assert {s: seen(browser, s) for s in everything} == everything


@pytest.mark.slow
def test_in_a_browser_what_is_chosen_stands_in_the_address(browser: Browser, page: Path) -> None:
    opened(browser, page)
    choose(browser, "attack", "ig")
    choose(browser, "defense", "noise")
    part = str(browser.run("return location.hash"))
    assert part == "#defense=noise&attack=ig"
    browser.run("document.querySelector('nav a').click()")
    assert browser.run("return location.hash") == part
    opened(browser, page, part=part)
    assert seen(browser, "#means tbody tr") == 1
    assert seen(browser, "#cells tbody tr") == 4
    # An address from elsewhere may ask for anything.
    opened(browser, page, part="#attack=<img src=x>&status=failed")
    assert seen(browser, "#cells tbody tr") == 1
    assert browser.complaints() == []


@pytest.mark.slow
def test_in_a_browser_cells_are_sorted_and_paged(browser: Browser, tmp_path: Path) -> None:
    matrix = tiny_matrix(tmp_path, targets=list(range(60)))
    opened(browser, report(matrix, tmp_path / "out", lambda cell: Answer((10.0 + cell.target,))))
    browser.run("document.querySelector('#cells details').open = true")
    place = "return document.querySelector('#cells [aria-live]').textContent"
    assert browser.run(place) == "1 to 100 of 240"
    psnr = browser.driver.find_elements("css selector", "#cells th > button")[6]
    psnr.send_keys("\n")
    psnr.send_keys("\n")
    first = "return document.querySelector('#cells tbody').rows[0].cells[6].textContent"
    assert browser.run(first) == "69"
    browser.driver.find_element("css selector", "#cells [data-step='1']").send_keys("\n")
    assert browser.run(place) == "101 to 200 of 240"
    assert browser.run(first) == "44"
    choose(browser, "attack", "ig")
    assert browser.run(place) == "1 to 100 of 120"
    assert browser.run(first) == "69"


@pytest.mark.slow
def test_in_a_browser_stages_are_opened_by_keyboard(browser: Browser, page: Path) -> None:
    opened(browser, page)
    assert len(browser.driver.find_elements("css selector", "details.stages")) == 5
    browser.driver.find_element("css selector", "details.stages > summary").send_keys("\n")
    image = browser.driver.find_element("css selector", "details.stages img")
    deadline = time.monotonic() + 60
    while not browser.run("return arguments[0].complete && arguments[0].naturalWidth", image):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    width, height = browser.run(
        "const b = arguments[0].getBoundingClientRect(); return [b.width, b.height]", image
    )
    assert width == pytest.approx(2 * height, abs=1)
    # What may have to be scrolled takes the focus.
    browser.driver.find_element("css selector", "details.stages > summary").send_keys("\t")
    assert browser.run("return document.activeElement.contains(arguments[0])", image)
    assert browser.run("return document.activeElement.tabIndex") == 0
    assert browser.complaints() == []


def test_in_a_browser_filters_reach_into_stages(browser: Browser, page: Path) -> None:
    opened(browser, page)
    choose(browser, "attack", "ig")
    assert seen(browser, "details.stages") == 0
    choose(browser, "attack", "gifd (cifar10)")
    assert seen(browser, "details.stages") == 5


def test_in_a_browser_filters_reach_into_plots(browser: Browser, page: Path) -> None:
    opened(browser, page)
    plots_drawn(browser)
    choose(browser, "attack", "ig")
    choose(browser, "defense", "noise")
    bars = browser.run(
        "const {data} = document.querySelector('.plot'); return data.map(t => [t.name, t.x])"
    )
    assert bars == [["ig", ["noise (std 0.01)"]]]
    # Two metrics by defense, PSNR against evaluations, and the loss; by stage there is none of IG, and all
    # labels are right.
    assert seen(browser, ".chart") == 4
    assert browser.complaints() == []


@pytest.fixture(scope="module")
def wide_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With more stages than fit beside each other."""
    folder = tmp_path_factory.mktemp("wide")
    stages = tuple(float(k) for k in range(16))
    return report(tiny_matrix(folder), folder / "out", lambda _: Answer((15.0,), stages))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["page", "wide_page"])
@pytest.mark.parametrize("width", [390, 768, 1280])
def test_in_a_browser_the_page_is_no_wider_than_its_window(
    browser: Browser, request: pytest.FixtureRequest, name: str, width: int
) -> None:
    opened(browser, request.getfixturevalue(name), width)
    browser.run("document.querySelectorAll('details').forEach(e => { e.open = true })")
    plots_drawn(browser)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    # Without scrolling, the means say of whom they are, and what they are by PSNR.
    right = browser.run("return document.querySelectorAll('#means th')[2].getBoundingClientRect().right")
    assert right <= width
