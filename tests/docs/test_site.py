"""The documentation as a site: built with warnings as errors, without anything from elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.browser import Browser, browser
from tests.docs.pages import ROOT

__all__ = ["browser"]


class Links(HTMLParser):
    """What a page loads, where its links lead, and the places in it that links lead to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.leads: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.places |= {given[name] for name in ("id", "name") if name in given}
        if tag in ("script", "img", "source") and "src" in given:
            self.loads.append(given["src"])
        if tag == "link" and "href" in given and given.get("rel") not in ("canonical", "next", "prev"):
            self.loads.append(given["href"])
        if tag == "a" and "href" in given:
            self.leads.append(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Links]:
    return {page: Links(page.read_text(encoding="utf-8")) for page in site.rglob("*.html")}


def local(pages: dict[Path, Links]) -> Iterator[tuple[Path, str]]:
    for page, links in pages.items():
        for link in links.leads:
            if not re.match(r"(https?|mailto|javascript):", link):
                yield page, link


@pytest.mark.slow
def test_every_link_leads_to_a_place(pages: dict[Path, Links]) -> None:
    broken = []
    for page, link in local(pages):
        path, _, place = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if page.name == "404.html":
            continue
        if not target.is_file() or (place and target in pages and place not in pages[target].places):
            broken.append(f"{page.name}: {link}")
    assert broken == []


@pytest.mark.slow
def test_pages_load_nothing_from_elsewhere(pages: dict[Path, Links]) -> None:
    assert {load for links in pages.values() for load in links.loads if "//" in load} == set()


@pytest.mark.slow
def test_every_public_name_is_described(site: Path) -> None:
    import gifd_bench as gb

    text = (site / "api.html").read_text(encoding="utf-8")
    assert [name for name in gb.__all__ if f'.{name}"' not in text] == []


def test_every_page_is_in_the_navigation_and_not_too_long() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert f": {page.name}" in navigation, page.name
        assert len(page.read_text(encoding="utf-8").splitlines()) < 400, page.name


@pytest.mark.slow
def test_it_works_from_disk(site: Path, browser: Browser) -> None:
    for name in ("index.html", "concepts.html", "api.html"):
        browser.open(site / name)
        assert browser.complaints() == []
        assert [url for url in browser.requests() if not url.startswith(("file:", "data:", "blob:"))] == []
