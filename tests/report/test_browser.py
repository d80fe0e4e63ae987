"""The page in Chromium: what is drawn, what the pointer shows, and that nothing is asked for from anywhere.

Needs chromium and chromedriver (Debian: `apt install chromium chromium-driver`). With JAXLAND_REQUIRE_BROWSER set,
their absence is a failure.
"""

import json
import os
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from jaxland.report import write_report

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
_HOVERED = "return document.querySelector('#{} .hoverlayer').textContent"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in programs:
        missing = "chromium or chromedriver is not installed"
        pytest.fail(missing) if os.environ.get("JAXLAND_REQUIRE_BROWSER") else pytest.skip(missing)
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for argument in (*_ARGUMENTS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(executable_path=programs[1]))
    yield driver
    driver.quit()


def _open(browser, path, width=1400, scheme="light"):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # empties it
    browser.get(path.as_uri())
    return browser


@pytest.fixture
def opened(browser, page_file):
    return _open(browser, page_file)


def _requests(browser):
    """Addresses asked for since the page was opened, data within the page left out."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    addresses = [
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    ]
    return [address for address in addresses if not address.startswith(("data:", "blob:"))]


def _point_at(browser, selector, index=0):
    mark = browser.find_elements(By.CSS_SELECTOR, selector)[index]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", mark)
    ActionChains(browser, duration=0).move_to_element(mark).perform()


def _wait_for_hover(browser, chart):
    return WebDriverWait(browser, 10).until(lambda driver: driver.execute_script(_HOVERED.format(chart)))


def test_the_page_asks_for_nothing_and_reports_no_error(opened, page_file):
    _point_at(opened, "#scatter .point")
    _wait_for_hover(opened, "scatter")
    assert _requests(opened) == [page_file.as_uri()]
    assert opened.get_log("browser") == []


def test_requests_and_errors_would_be_seen(browser, tmp_path):
    (tmp_path / "other.png").write_bytes(b"")
    (tmp_path / "page.html").write_text("<title>x</title><img src=other.png><script>undefined_name</script>")
    _open(browser, tmp_path / "page.html")
    assert (tmp_path / "other.png").as_uri() in _requests(browser)
    assert any("undefined_name" in entry["message"] for entry in browser.get_log("browser"))


@pytest.mark.parametrize("width", [1400, 390])
def test_every_figure_is_drawn(browser, page_file, width):
    _open(browser, page_file, width)
    sizes = browser.execute_script(
        "return [...document.images].map(image => [image.complete, image.naturalWidth, image.naturalHeight,"
        "image.getBoundingClientRect().width, image.getBoundingClientRect().height])"
    )
    assert len(sizes) == 9
    for complete, natural_width, natural_height, shown_width, shown_height in sizes:
        assert complete
        assert natural_width > 100
        assert shown_width > 200
        assert shown_width / shown_height == pytest.approx(natural_width / natural_height, rel=0.02)


def test_the_histogram_shows_all_fits(opened):
    counts = opened.execute_script(
        "return document.getElementById('histogram').data.map(trace => trace.customdata.map(row => Number(row[0])))"
    )
    assert [sum(each) for each in counts] == [32, 32]
    boxes = opened.execute_script(
        "return [...document.querySelectorAll('#histogram .barlayer .point path')].map(bar => bar.getBBox().height)"
    )
    assert len(boxes) == len(counts[0]) + len(counts[1])
    assert min(boxes) > 0


def test_bars_stand_side_by_side_on_the_logarithmic_axis(opened):
    """Bars of one trace have the same width, and none lies on another."""
    spans = opened.execute_script(
        "return [...document.querySelectorAll('#histogram .barlayer .trace')].map(trace =>"
        "[...trace.querySelectorAll('.point path')].map(bar => [bar.getBBox().x, bar.getBBox().width]))"
    )
    for trace in map(np.array, spans):
        np.testing.assert_allclose(trace[:, 1], trace[0, 1], atol=1.5)
        assert (np.diff(trace[:, 0]) > trace[:-1, 1] - 1.5).all()


def test_the_pointer_on_a_bar_shows_its_numbers(opened):
    _point_at(opened, "#histogram .barlayer .point path")
    assert re.search(r"\d+ fits, [\d.]+%.*loss [\d.]+ to [\d.]+", _wait_for_hover(opened, "histogram"))


@pytest.mark.parametrize("across", [0, 1])
def test_the_pointer_on_a_point_shows_the_fit(opened, study, across):
    """Of two fits that lie on each other either may be shown, but what is shown of it is what is stored."""
    button = opened.find_elements(By.CSS_SELECTOR, ".choices input")[across]
    opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()
    heights = opened.execute_script("return document.getElementById('scatter').calcdata[0].map(point => point.y)")
    _point_at(opened, "#scatter .scatterlayer .trace:first-child .point", int(np.argmin(heights)))
    shown = re.fullmatch(
        r"fit (\d+), (.+)status (.+)loss (.+)initial loss (.+)best loss (.+) at step (\d+)",
        _wait_for_hover(opened, "scatter"),
    )
    table = pd.read_parquet(study / "table.parquet").set_index(["ensemble", "fit"])
    row = table.loc[(shown[2], int(shown[1]))]
    assert shown[3] == row["status"] == "ok"
    assert list(shown.groups()[3:6]) == [f"{row[name]:.6g}" for name in ("loss", "initial_loss", "best_loss")]
    assert int(shown[7]) == row["best_step"]
    assert row["loss"] == pytest.approx(min(heights), rel=0.05)


def test_the_other_axis_is_drawn(opened):
    title = "return document.querySelector('#scatter .xtitle').textContent"
    assert opened.execute_script(title) == "loss before training"
    button = opened.find_elements(By.CSS_SELECTOR, ".choices input")[1]
    opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()
    assert opened.execute_script(title) == "step with the smallest loss"
    across = opened.execute_script("return document.getElementById('scatter').calcdata[0].map(point => point.x)")
    assert max(across) <= 200


def test_the_contents_lead_to_the_sections(opened):
    links = opened.find_elements(By.CSS_SELECTOR, "nav a")
    assert len(links) > 15
    for link in links:
        link.click()
        name = link.get_attribute("href").split("#")[1]
        top = opened.execute_script(
            "return document.getElementById(decodeURIComponent(arguments[0])).getBoundingClientRect().top", name
        )
        bottom = opened.execute_script("return document.documentElement.scrollHeight - innerHeight - scrollY")
        assert -1 <= top < 60 or (top < 900 and bottom < 2), name


@pytest.mark.parametrize("width", [1400, 900, 390])
def test_nothing_sticks_out_of_the_window(browser, page_file, width):
    _open(browser, page_file, width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    inside = "#histogram .main-svg, #scatter .main-svg, .claims, .choices"
    rights = browser.execute_script(
        f"return [...document.querySelectorAll('{inside}')].map(each => each.getBoundingClientRect().right)"
    )
    assert max(rights) <= width


def test_verdicts_can_be_chosen(browser, copy):
    text = (copy / "claims.csv").read_text().replace(",not tested,", ",differs,", 2)
    (copy / "claims.csv").write_text(text)
    _open(browser, write_report(copy))
    rows = browser.find_elements(By.CSS_SELECTOR, ".claims tbody tr")
    assert all(row.is_displayed() for row in rows)
    browser.find_element(By.ID, "show-differs").click()
    assert [row.get_attribute("class") for row in rows if row.is_displayed()] == ["differs", "differs"]


_COLOURS = """
const seen = (element, name) => getComputedStyle(element)[name];
const page = seen(document.body, 'backgroundColor');
const back = element => {
  for (; element; element = element.parentElement) {
    const colour = seen(element, 'backgroundColor');
    if (colour !== 'rgba(0, 0, 0, 0)') return colour;
  }
  return page;
};
const texts = [...document.querySelectorAll('p, a, dt, dd, th, td, h1, h2, h3, legend, label, summary, .verdict')]
  .filter(element => element.offsetParent).map(element => [seen(element, 'color'), back(element)]);
const chart = [...document.querySelectorAll('.xtick text, .ytick text, .xtitle, .ytitle, .legendtext')]
  .map(element => [seen(element, 'fill'), page]);
return [page, texts, chart];
"""


def _luminance(colour):
    """Relative luminance by WCAG 2.2."""
    channels = np.array([float(number) for number in re.findall(r"[\d.]+", colour)[:3]]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(browser, copy, scheme):
    """Contrast of at least 4.5 to 1 for all text, in charts too, on light and dark pages (WCAG 2.2, level AA)."""
    text = (copy / "claims.csv").read_text().replace(",not tested,", ",differs,", 2)
    (copy / "claims.csv").write_text(text.replace(",not tested,", ",agrees,", 2))
    (copy / "table.parquet").unlink()  # for a notice
    _open(browser, write_report(copy), scheme=scheme)
    page, texts, chart = browser.execute_script(_COLOURS)
    assert (_luminance(page) > 0.5) == (scheme == "light")
    assert len(chart) > 20
    for ink, ground in (*texts, *chart):
        low, high = sorted([_luminance(ink), _luminance(ground)])
        assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, ground)


def test_without_scripts_all_but_the_charts_is_there(browser, study, page_file):
    claims = pd.read_csv(study / "claims.csv")
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        _open(browser, page_file)
        assert browser.find_element(By.CSS_SELECTOR, "noscript p").is_displayed()
        assert len(browser.find_elements(By.CSS_SELECTOR, ".claims tbody tr")) == len(claims)
        assert all(image.size["width"] > 200 for image in browser.find_elements(By.TAG_NAME, "img"))
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_texts_from_files_run_nothing(browser, hostile):
    _open(browser, write_report(hostile))
    assert browser.execute_script("return [window.hacked, document.querySelectorAll('.point').length > 0]") == [
        None,
        True,
    ]
    assert browser.get_log("browser") == []


def test_charts_fit_the_paper(opened):
    opened.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    widths = "return [...document.querySelectorAll('.chart .main-svg:first-child')].map(svg => svg.clientWidth)"
    assert opened.execute_script(widths) == [680, 680]
    opened.execute_script("window.dispatchEvent(new Event('afterprint'))")
    assert min(opened.execute_script(widths)) > 900
