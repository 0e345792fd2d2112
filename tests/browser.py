"""A headless Chromium that opens files, and tells what pages complained of and asked for."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

__all__ = ["Browser", "browser"]

ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)


class Browser:
    """One window.

    Attributes:
        driver: Selenium's, for what is not here.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, page: Path, width: int = 1280, height: int = 900, part: str = "") -> None:
        """Open a file in a window of so many CSS pixels, whatever the least width of a real window.
        `part` is what follows its name in the address, from # on."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        for log in ("browser", "performance"):
            self.driver.get_log(log)
        if part:
            # Another part of the same page would not be loaded again.
            self.driver.get("about:blank")
        self.driver.get(page.resolve().as_uri() + part)

    def run(self, script: str, *arguments: object) -> Any:
        """The value that JavaScript returns."""
        return self.driver.execute_script(script, *arguments)

    def complaints(self) -> list[str]:
        """Everything on the console since the page was opened, or since this was asked last."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """The addresses of everything asked for since the page was opened, or since this was asked last."""
        events = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def screenshot(self, path: Path) -> None:
        """The whole page as a PNG file, with what it draws once that is seen."""
        height = self.run("return document.documentElement.scrollHeight")
        width = self.run("return innerWidth")
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        time.sleep(1)
        self.driver.save_screenshot(str(path))


@contextmanager
def started(folder: Path) -> Iterator[Browser]:
    """A browser whose profile is in a folder of its own.

    Raises:
        ImportError: selenium is not installed.
        FileNotFoundError: chromium or its driver is not.
    """
    from selenium import webdriver

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver_path = shutil.which("chromedriver")
    if chromium is None or driver_path is None:
        raise FileNotFoundError(
            "chromium and chromedriver are not installed (Debian: chromium, chromium-driver)"
        )
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (*ARGUMENTS, f"--user-data-dir={folder}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # The path is given, so that selenium does not look for a driver on the network.
    driver = webdriver.Chrome(options, webdriver.ChromeService(driver_path))
    # Away from the page that a new window shows, which asks for much.
    driver.get("about:blank")
    try:
        yield Browser(driver)
    finally:
        driver.quit()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    with ExitStack() as stack:
        try:
            found = stack.enter_context(started(tmp_path_factory.mktemp("chromium")))
        except FileNotFoundError as missing:
            pytest.skip(str(missing))
        yield found
