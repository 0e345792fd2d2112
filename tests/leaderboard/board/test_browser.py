"""What a browser makes of a board, on a screen and on a phone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gifd_bench.leaderboard.board.site import write_board
from gifd_bench.leaderboard.entries import Entries
from gifd_bench.leaderboard.protocol import Protocol, read_protocol
from gifd_bench.leaderboard.verification.report import Check, Verdict
from tests.browser import Browser
from tests.leaderboard.board.helpers import small_board, write_entry, write_protocol

WIDTHS = pytest.mark.parametrize("width", [390, 1280])
MARKUP = '<script>window.hacked=1</script>"\'><img src=x onerror="window.hacked=1">{{ 7*7 }}</script><!--'
PAGES = ("index.html", "small-v1.html", "attacks/first.html")


def visible(browser: Browser, table: str = "#table") -> list[str]:
    """Attack and version of the rows of a table that are shown, in their order."""
    script = (
        "return [...document.querySelectorAll(arguments[0] + ' tbody tr:not([hidden])')].map(row =>"
        " row.querySelector('th a').innerText + ' ' + row.querySelector('.ends').innerText.split(' ')[0])"
    )
    found: list[str] = browser.run(script, table)
    return found


def press(browser: Browser, text: str, table: str = "#table") -> str:
    """Press Enter on a heading; its `aria-sort` afterwards."""
    buttons = browser.driver.find_elements("css selector", f"{table} th > button")
    (button,) = [button for button in buttons if button.text.startswith(text)]
    button.send_keys("\n")
    return str(browser.run("return arguments[0].parentElement.ariaSort", button))


def search(browser: Browser, text: str) -> None:
    field = browser.driver.find_element("css selector", "[data-search]")
    field.clear()
    field.send_keys(text)


def choose(browser: Browser, name: str, value: str) -> None:
    browser.run(
        "const s = document.querySelector(`select[data-filter=${arguments[0]}]`);"
        "s.value = arguments[1]; s.dispatchEvent(new Event('input', {bubbles: true}))",
        name,
        value,
    )


def draw_plots(browser: Browser) -> int:
    """How many plots there are when all have been drawn."""
    browser.run("document.querySelectorAll('.plot').forEach(draw)")
    drawn = (
        "return [...document.querySelectorAll('.plot')].filter(e => e.querySelector('.main-svg')).length"
    )
    count = int(browser.run("return document.querySelectorAll('.plot').length"))
    deadline = time.monotonic() + 60
    while int(browser.run(drawn)) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    return int(browser.run(drawn))


@pytest.mark.slow
@WIDTHS
@pytest.mark.parametrize("page", PAGES)
def test_nothing_complains_nothing_leaves_the_disk_and_the_page_is_no_wider_than_its_window(
    browser: Browser, board: Path, page: str, width: int
) -> None:
    browser.open(board / page, width)
    browser.run("document.querySelectorAll('details').forEach(e => { e.open = true })")
    if page == "small-v1.html":
        assert draw_plots(browser) == 3
        # Without scrolling, the table says whose entry it is, and what it is by the metric that ranks it.
        place = "return document.querySelectorAll('#table th')[2].getBoundingClientRect().right"
        assert browser.run(place) <= width
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert browser.complaints() == []
    requests = browser.requests()
    assert len(requests) >= 3
    assert {request.split(":")[0] for request in requests} <= {"file", "data"}


@WIDTHS
def test_tables_are_sorted_by_keyboard_the_best_first_and_what_has_no_value_last(
    browser: Browser, board: Path, width: int
) -> None:
    browser.open(board / "small-v1.html", width)
    order = visible(browser)
    assert order[:5] == ["first 1.0", "also-first 1.0", "third 1.0", "fourth 1.0", "last 1.0"]
    assert press(browser, "PSNR") == "descending"
    assert visible(browser)[:4] == ["claimant 1.0", "odd 1.0", "partial 1.0", "third 0.9"]
    assert press(browser, "PSNR") == "ascending"
    assert visible(browser)[:3] == ["first 0.10", "last 1.0", "fourth 1.0"]
    # Less is better, and all others have none.
    for direction in ("ascending", "descending"):
        assert press(browser, "LPIPS") == direction
        assert visible(browser)[0] == "third 1.0"
    assert press(browser, "evaluations") == "ascending"
    # Of those that spent the same, the better first.
    assert visible(browser)[:4] == ["last 1.0", "third 1.0", "also-first 1.0", "fourth 1.0"]
    assert press(browser, "seconds") == "ascending"
    assert visible(browser)[-1] == "last 1.0"
    assert browser.run("return document.querySelectorAll('#table [aria-sort]').length") == 1
    assert press(browser, "rank") == "ascending"
    assert visible(browser)[:5] == order[:5]


@pytest.mark.slow
@WIDTHS
def test_filters_narrow_every_table_and_plot(browser: Browser, board: Path, width: int) -> None:
    browser.open(board / "small-v1.html", width)
    draw_plots(browser)
    assert len(visible(browser)) == 10
    search(browser, "MÜLLER h200")
    assert visible(browser) == visible(browser, "#by-defense details[open]") == ["fourth 1.0"]
    status = "return document.querySelector('.shown').innerText"
    assert browser.run(status) == "1 of 10 entries"
    points = "return document.querySelector('.plot').data.flatMap(trace => trace.x).length"
    assert browser.run(points) == 1
    search(browser, "nobody is called that")
    assert visible(browser) == []
    assert browser.run("return document.querySelector('.nothing').hidden") is False
    browser.driver.find_element("css selector", ".filters button").send_keys("\n")
    deadline = time.monotonic() + 60
    while browser.run(status) != "10 entries" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(visible(browser)) == 10
    choose(browser, "standing", "verified")
    everything = visible(browser)
    assert len(everything) == 8
    assert not {"odd 1.0", "claimant 1.0"} & set(everything)
    choose(browser, "prior", "with")
    assert visible(browser) == ["first 1.0"]
    choose(browser, "standing", "")
    assert visible(browser) == ["first 1.0", "odd 1.0"]
    choose(browser, "prior", "")
    choose(browser, "status", "superseded")
    assert visible(browser) == ["third 0.9"]
    assert browser.complaints() == []


def test_everything_is_reached_by_the_tab_key_and_seen_when_it_is(browser: Browser, board: Path) -> None:
    browser.open(board / "small-v1.html")
    reached = []
    for _ in range(25):
        browser.driver.switch_to.active_element.send_keys("\t")
        reached.append(
            browser.run(
                "const e = document.activeElement; const s = getComputedStyle(e);"
                "return [e.className || e.tagName, s.outlineStyle, e.getBoundingClientRect().right > 0]"
            )
        )
    names = [name for name, _, _ in reached]
    assert names[0] == "skip"
    assert {"A", "INPUT", "SELECT", "BUTTON"} <= set(names)
    assert any("main-table" in name for name in names)
    assert all(outline != "none" and on_screen for _, outline, on_screen in reached)


def test_the_skip_link_leads_to_the_content(browser: Browser, board: Path) -> None:
    browser.open(board / "small-v1.html")
    browser.driver.find_element("css selector", ".skip").send_keys("\n")
    assert browser.run("return document.activeElement.id") == "content"


@WIDTHS
def test_an_address_of_an_entry_opens_it(browser: Browser, board: Path, width: int) -> None:
    browser.open(board / "attacks" / "first.html", width)
    opened = "return [...document.querySelectorAll('details.entry')].map(e => e.open)"
    assert browser.run(opened) == [True, False]
    browser.run("document.querySelector('details.entry').open = false; location.hash = '#small-v1'")
    deadline = time.monotonic() + 60
    while browser.run(opened) != [True, False] and time.monotonic() < deadline:
        time.sleep(0.02)
    assert browser.run(opened) == [True, False]


@pytest.fixture
def scheme(browser: Browser, request: pytest.FixtureRequest) -> Iterator[str]:
    def emulate(value: str) -> None:
        feature = {"name": "prefers-color-scheme", "value": value}
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    emulate(request.param)
    yield request.param
    emulate("light")


# Contrast as WCAG 2 defines it, of every text against the page, which is all that lies behind any.
CONTRAST = """
const canvas = Object.assign(document.createElement('canvas'), {width: 1, height: 1}).getContext('2d');
const luminance = (color) => {
  canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
  const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const back = luminance(getComputedStyle(document.body).backgroundColor);
const texts = [...document.querySelectorAll('body *')].filter(e => !e.closest('script, .plot')
  && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()));
return [back, texts.map(e => {
  const [a, b] = [luminance(getComputedStyle(e).color), back].sort((x, y) => y - x);
  return [(a + 0.05) / (b + 0.05), e.outerHTML.slice(0, 80)];
}).sort((x, y) => x[0] - y[0])[0]];
"""


@pytest.mark.parametrize("scheme", ["light", "dark"], indirect=True)
@pytest.mark.parametrize("page", PAGES)
def test_every_text_has_contrast_by_day_and_by_night(
    browser: Browser, board: Path, scheme: str, page: str
) -> None:
    browser.open(board / page)
    back, (least, where) = browser.run(CONTRAST)
    assert back > 0.9 if scheme == "light" else back < 0.1
    assert least >= 4.5, where


@pytest.mark.slow
def test_markup_in_every_text_is_text(browser: Browser, tmp_path: Path) -> None:
    protocol = read_protocol(write_protocol(tmp_path, title=MARKUP, description=MARKUP))
    name = MARKUP[:110]
    address = "https://example.org/?a=1&b=%3Cscript%3E"
    flag = Check(name=MARKUP, verdict=Verdict.FLAGGED, detail=MARKUP)
    texts: dict[str, Any] = {
        "authors": [name, name],
        "description": MARKUP,
        "licence": name,
        "threat_model": MARKUP,
        "prior": {"name": name, "training_data": MARKUP},
        "hardware": MARKUP,
        "paper": address,
        "code": "http://javascript:alert(1)@example.org",
    }
    how = {
        part: {"use": "ig", "label": name, "options": {MARKUP: [MARKUP]}} for part in ("attack", "prior")
    }
    write_entry(tmp_path / "entries", protocol, attack="first", how=how, labels=(MARKUP, MARKUP), **texts)
    write_entry(tmp_path / "entries", protocol, attack="first", version="2", checks=[flag], **texts)
    write_board(Entries(tmp_path / "entries"), [protocol], tmp_path / "board", lambda _: None)
    for page in PAGES:
        browser.open(tmp_path / "board" / page)
        browser.run("document.querySelectorAll('details').forEach(e => { e.open = true })")
        if page == "small-v1.html":
            draw_plots(browser)
        assert browser.run("return window.hacked") is None
        assert browser.run("return document.querySelectorAll('[onerror], img[src=x]').length") == 0
        assert browser.complaints() == []
        assert {request.split(":")[0] for request in browser.requests()} <= {"file", "data"}
        text = browser.run("return document.body.innerText")
        assert MARKUP in text
        assert browser.run("return document.documentElement.scrollWidth") <= 1280
    links = browser.run("return [...document.querySelectorAll('a[rel]')].map(e => e.href)")
    assert links[:2] == [address, "http://javascript:alert(1)@example.org/"]


@pytest.mark.slow
def test_long_words_and_piled_marks_stay_in_their_place(
    browser: Browser, tmp_path: Path, protocol: Protocol
) -> None:
    tower = "Z" + "\u0301" * 100 + "א" * 50
    texts: dict[str, Any] = {
        "attack": "w" * 40,
        "authors": ["w" * 120],
        "threat_model": "w" * 2000,
        "description": tower + "w" * 1800,
        "hardware": tower,
        "licence": "w" * 120,
    }
    write_entry(tmp_path / "entries", protocol, **texts)
    entries = small_board(tmp_path / "entries", protocol)
    board = write_board(entries, [protocol], tmp_path / "board", lambda _: None).parent
    for page in ("index.html", "small-v1.html", f"attacks/{'w' * 40}.html"):
        for width in (390, 1280):
            browser.open(board / page, width)
            assert browser.run("return document.documentElement.scrollWidth") <= width, page
