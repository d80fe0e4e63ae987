"""Chromium, for tests of pages.

Needs chromium and chromedriver (Debian: `apt install chromium chromium-driver`). With JAXLAND_REQUIRE_BROWSER set,
their absence is a failure.
"""

import json
import os
import shutil
from contextlib import contextmanager

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-prefers-reduced-motion",
]


@contextmanager
def chromium(profile):
    """The browser, headless, with its own folder; the test is skipped where there is none."""
    program, driven = (shutil.which(name) for name in ("chromium", "chromedriver"))
    if program is None or driven is None:
        missing = "chromium or chromedriver is not installed"
        pytest.fail(missing) if os.environ.get("JAXLAND_REQUIRE_BROWSER") else pytest.skip(missing)
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in (*_ARGUMENTS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(executable_path=driven))
    try:
        yield driver
    finally:
        driver.quit()


def look_at(browser, address, width=1400, scheme="light"):
    """Opens a page in a window of some width, for eyes that want it light or dark."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # empties it
    browser.get(address)
    return browser


def requests(browser):
    """Addresses asked for since the page was opened, but for data within the page and the browser's own pages."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    addresses = [
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    ]
    return [address for address in addresses if not address.startswith(("data:", "blob:", "chrome:"))]
