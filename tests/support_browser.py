"""Headless Chromium, which opens pages from disk and downloads nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"


def missing() -> str:
    """What tests with a browser need and this machine lacks."""
    paths = [path for path in (CHROMIUM, DRIVER) if shutil.which(path) is None]
    try:
        import selenium  # noqa: F401
    except ImportError:
        paths.append("selenium")
    return " and ".join(paths)


def open_chromium(folder: Path, *more: str) -> Any:
    """The browser, which keeps its own files in `folder`; `more` are further options of it."""
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--window-size=1280,900",
        f"--user-data-dir={folder}",
        *more,
    ):
        options.add_argument(argument)
    # Neither a proxy nor selenium's own manager has any part in this.
    environment = {**os.environ, "no_proxy": "localhost,127.0.0.1", "SE_OFFLINE": "true"}
    return Chrome(options=options, service=ChromeService(DRIVER, env=environment))


def show(driver: Any, theme: str, width: int) -> None:
    """Set the system's preferences, and the width of the window."""
    preference = {"name": "prefers-color-scheme", "value": theme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [preference]})
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
