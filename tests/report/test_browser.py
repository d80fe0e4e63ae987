"""The page in Chromium: what is drawn, what the pointer shows, and that nothing is asked for from anywhere.

Needs what `browsing` needs.
"""

import csv
import io
import itertools
import re
import shutil
import zipfile

import numpy as np
import optax
import pandas as pd
import pytest
from browsing import chromium, look_at, requests
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

import jaxland as jl
from jaxland.landscape import outputs
from jaxland.replications import SawtoothConfig
from jaxland.report import write_comparison, write_report
from jaxland.report.tables import rounded, shown
from jaxland.training import Validation, accuracy

_WIDTHS = [1400, 800, 390]
_READY = "return document.body.dataset.ready !== undefined"
_TOLD = "const told = document.querySelector('#{} .told'); return told && !told.hidden ? told.innerText : ''"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


def _open(browser, path, **arguments):
    return look_at(browser, path.as_uri(), **arguments)


def _opened(browser, path, **arguments):
    """The page, when its charts are drawn and its tables made."""
    _open(browser, path, **arguments)
    WebDriverWait(browser, 10).until(lambda driver: driver.execute_script(_READY))
    return browser


@pytest.fixture
def opened(browser, page_file):
    return _opened(browser, page_file)


def _reach(browser, mark):
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", mark)
    return mark


def _press(browser, selector, index=0):
    _reach(browser, browser.find_elements(By.CSS_SELECTOR, selector)[index]).click()


def _point_at(browser, selector, index=0):
    mark = _reach(browser, browser.find_elements(By.CSS_SELECTOR, selector)[index])
    ActionChains(browser, duration=0).move_to_element(mark).perform()


def _told(browser, chart):
    return WebDriverWait(browser, 10).until(lambda driver: driver.execute_script(_TOLD.format(chart)))


def _keys(browser, chart, *keys, shift=()):
    """Keys in a chart, once it has the focus, and others with Shift."""
    place = _reach(browser, browser.find_element(By.ID, chart))
    browser.execute_script("arguments[0].focus({preventScroll: true})", place)
    chain = ActionChains(browser, duration=0).send_keys(*keys)
    if shift:
        chain.key_down(Keys.SHIFT).send_keys(*shift).key_up(Keys.SHIFT)
    chain.perform()


def _texts(browser, selector):
    return browser.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map(each => each.textContent)", selector
    )


@pytest.mark.parametrize("width", _WIDTHS)
def test_the_page_asks_for_nothing_and_reports_no_error(browser, page_file, width):
    _opened(browser, page_file, width=width)
    _point_at(browser, "#scatter .canvas .points")
    _told(browser, "scatter")
    _press(browser, ".data .download")
    assert requests(browser) == [page_file.as_uri()]
    assert browser.get_log("browser") == []


def test_requests_and_errors_would_be_seen(browser, tmp_path):
    (tmp_path / "other.png").write_bytes(b"")
    (tmp_path / "page.html").write_text("<title>x</title><img src=other.png><script>undefined_name</script>")
    _open(browser, tmp_path / "page.html")
    assert (tmp_path / "other.png").as_uri() in requests(browser)
    assert any("undefined_name" in entry["message"] for entry in browser.get_log("browser"))


@pytest.mark.parametrize("width", _WIDTHS)
def test_every_figure_is_drawn(browser, page_file, width):
    _open(browser, page_file, width=width)
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
    series = opened.execute_script(
        "return document.getElementById('histogram').plot.series.map(each => each.marks.map(mark => mark.count))"
    )
    assert [sum(each) for each in series] == [32, 32]
    boxes = opened.execute_script(
        "return [...document.querySelectorAll('#histogram .canvas .bars')].map(bar => bar.getBBox().height)"
    )
    assert len(boxes) == len(series[0]) + len(series[1])
    assert min(boxes) > 0


def test_bars_stand_side_by_side_on_the_logarithmic_axis(opened):
    """Bars of one ensemble have the same width, and none lies on another."""
    spans = opened.execute_script(
        "return ['look-0', 'look-1'].map(look => [...document.querySelectorAll(`#histogram .canvas .${look} .bars`)]"
        ".map(bar => [bar.getBBox().x, bar.getBBox().width]))"
    )
    for trace in map(np.array, spans):
        np.testing.assert_allclose(trace[:, 1], trace[0, 1], atol=1.5)
        assert (np.diff(trace[:, 0]) > trace[:-1, 1] - 1.5).all()


@pytest.mark.parametrize("scale", ["log", "linear"])
@pytest.mark.parametrize(("low", "high"), [(1e-3, 2e-3), (4.4e-3, 1.25e-2), (1e-9, 1e3), (7e-46, 1e38), (0.5, 99)])
def test_ticks_are_round_increasing_and_inside(opened, scale, low, high):
    ticks = opened.execute_script(
        "return scaled(arguments[0], [arguments[1], arguments[2]], 0, 800).ticks(8)", scale, low, high
    )
    assert 2 <= len(ticks) <= 14
    assert min(low * (1 - 1e-9), 0 if scale == "linear" else np.inf) <= ticks[0] < ticks[-1] <= high * (1 + 1e-9)
    assert (np.diff(ticks) > 0).all()
    assert all(len(f"{tick:.12g}".replace(".", "").split("e")[0].strip("0")) <= 3 for tick in ticks)


@pytest.mark.parametrize("scale", ["log", "linear"])
def test_axes_lead_back(opened, scale):
    places = opened.execute_script(
        "const axis = scaled(arguments[0], [0.001, 50], 40, 840);"
        "return [axis.at(0.001), axis.at(50), axis.value(axis.at(3))]",
        scale,
    )
    assert places == pytest.approx([40, 840, 3])


def test_the_pointer_on_a_bar_shows_its_numbers(opened):
    _point_at(opened, "#histogram .canvas .bars")
    assert re.search(r"\d+ fits?, [\d.]+ %\s*loss [\d.]+ to [\d.]+", _told(opened, "histogram"))


def _row_of(told, study):
    """The fit that is told of, in the words of the chart, and its row in the table."""
    shown = re.fullmatch(
        r"fit (\d+), (.+)\nstatus (.+)\nloss (.+)\ninitial loss (.+)\nbest loss (.+) at step (\d+)(?:\n+press .*)?",
        "\n".join(line for line in told.splitlines() if line.strip()),
    )
    table = pd.read_parquet(study / "table.parquet").set_index(["ensemble", "fit"])
    return shown, table.loc[(shown[2], int(shown[1]))]


@pytest.mark.parametrize("across", [0, 1])
def test_the_pointer_on_a_point_shows_the_fit(opened, study, across):
    """Of two fits that lie on each other either may be shown, but what is shown of it is what is stored."""
    _press(opened, "input[name=across]", across)
    heights = opened.execute_script(
        "return document.getElementById('scatter').plot.series[0].marks.map(mark => mark.y)"
    )
    _point_at(opened, "#scatter .canvas .look-0 .points", int(np.argmin(heights)))
    shown, row = _row_of(_told(opened, "scatter"), study)
    assert shown[3] == row["status"] == "ok"
    assert [float(each) for each in shown.groups()[3:6]] == pytest.approx(
        [row[name] for name in ("loss", "initial_loss", "best_loss")], rel=1e-5
    )
    assert int(shown[7]) == row["best_step"]
    assert row["loss"] == pytest.approx(min(heights), rel=0.05)


def test_the_other_axis_is_drawn(opened):
    assert _texts(opened, "#scatter .across") == ["loss before training"]
    _press(opened, "input[name=across]", 1)
    assert _texts(opened, "#scatter .across") == ["step with the smallest loss"]
    across = opened.execute_script("return document.getElementById('scatter').plot.series[0].marks.map(mark => mark.x)")
    assert max(across) <= 200


def test_a_name_in_the_legend_hides_its_ensemble(opened):
    before = len(opened.find_elements(By.CSS_SELECTOR, "#scatter .canvas .points"))
    _press(opened, "#scatter .legend button")
    assert len(opened.find_elements(By.CSS_SELECTOR, "#scatter .canvas .points")) == before - 32
    button = opened.find_element(By.CSS_SELECTOR, "#scatter .legend button")
    assert button.get_attribute("aria-pressed") == "false"


def _drag(browser, chart, start, end):
    """Drags from one share of the width of the drawing to another."""
    canvas = _reach(browser, browser.find_element(By.CSS_SELECTOR, f"#{chart} .canvas svg"))
    width, height = canvas.size["width"], canvas.size["height"]
    chain = ActionChains(browser, duration=0)
    chain.move_to_element_with_offset(canvas, int((start[0] - 0.5) * width), int((start[1] - 0.5) * height))
    chain.click_and_hold().move_by_offset(int((end[0] - start[0]) * width), int((end[1] - start[1]) * height))
    chain.release().perform()


def test_losses_that_are_marked_stand_out_among_the_fits(opened, study):
    table = pd.read_parquet(study / "table.parquet")
    _drag(opened, "histogram", (0.3, 0.4), (0.6, 0.5))
    low, high = opened.execute_script("return document.getElementById('histogram').plot.brush")
    inside = table["loss"].between(low, high)
    faint = opened.find_elements(By.CSS_SELECTOR, "#scatter .canvas .points.faint")
    assert len(faint) == (~inside).sum() > 0
    counts = inside.groupby(table["ensemble"]).sum()
    note = opened.find_element(By.ID, "marked").text
    for name in ("momentum", "adadelta"):
        assert f"{counts[name]} of 32 fits of {name}" in note
    _press(opened, "#histogram .canvas svg")
    assert opened.find_elements(By.CSS_SELECTOR, "#scatter .canvas .points.faint") == []


def test_a_part_of_the_fits_is_drawn_larger(opened):
    before = _texts(opened, "#scatter .canvas .tick")
    _drag(opened, "scatter", (0.3, 0.3), (0.5, 0.7))
    assert _texts(opened, "#scatter .canvas .tick") != before
    _press(opened, "#scatter-of-losses .tools button")
    assert _texts(opened, "#scatter .canvas .tick") == before


def test_charts_are_reached_and_read_by_keyboard(opened, study):
    for chart in ("histogram", "scatter", "function", "knots", "spectrum"):
        place = opened.find_element(By.ID, chart)
        assert place.get_attribute("tabindex") == "0"
        assert place.get_attribute("role") == "application"
        assert place.get_attribute("aria-label").startswith("chart: ")
    assert "arrows" in opened.find_element(By.ID, "keys").text
    _keys(opened, "scatter", Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.END, Keys.ARROW_LEFT)
    shown, row = _row_of(_told(opened, "scatter"), study)
    assert float(shown[5]) == pytest.approx(row["initial_loss"], rel=1e-5)
    spoken = opened.find_element(By.ID, "spoken").get_attribute("textContent")
    assert f"fit {shown[1]}" in spoken
    _keys(opened, "scatter", Keys.ENTER)
    assert opened.find_element(By.ID, "picked-fit").get_attribute("value") == shown[1]


def test_bars_are_marked_by_keyboard(opened):
    _keys(opened, "histogram", Keys.HOME, shift=[Keys.ARROW_RIGHT] * 2)
    brush = opened.execute_script("return document.getElementById('histogram').plot.brush")
    stops = opened.execute_script("return document.getElementById('histogram').plot.stops().map(([mark]) => mark)")
    assert brush == [stops[0]["low"], stops[2]["high"]]
    _keys(opened, "histogram", Keys.ESCAPE)
    assert opened.execute_script("return document.getElementById('histogram').plot.brush") is None


def test_the_numbers_of_a_chart_are_a_table(opened):
    _press(opened, "#scatter-of-losses summary")
    # The table is made when the browser has told that it was opened.
    WebDriverWait(opened, 10).until(lambda driver: _texts(driver, "#scatter-of-losses .count"))
    assert "1 to 12 of 64 rows" in opened.find_element(By.CSS_SELECTOR, "#scatter-of-losses .count").text
    heads = _texts(opened, "#scatter-of-losses th")
    assert heads == ["ensemble", "fit", "status", "loss", "initial_loss", "best_loss", "best_step"]


def _column(browser, table, index):
    return [
        row.find_elements(By.TAG_NAME, "td")[index].text
        for row in browser.find_elements(By.CSS_SELECTOR, f"[data-table='{table}'] tbody tr")
    ]


def test_a_table_is_sorted_by_number_and_as_it_was(opened, study):
    name, table = "analysis/histograms.csv", pd.read_csv(study / "analysis" / "histograms.csv")
    head = f"[data-table='{name}'] th:nth-child(5)"
    assert [int(text) for text in _column(opened, name, 4)] == table["count"][:12].tolist()
    _press(opened, f"{head} button")
    assert opened.find_element(By.CSS_SELECTOR, head).get_attribute("aria-sort") == "ascending"
    assert [int(text) for text in _column(opened, name, 4)] == sorted(table["count"])[:12]
    _press(opened, f"{head} button")
    assert [int(text) for text in _column(opened, name, 4)] == sorted(table["count"], reverse=True)[:12]
    _press(opened, f"{head} button")
    assert [int(text) for text in _column(opened, name, 4)] == table["count"][:12].tolist()


def test_columns_of_words_are_sorted_as_people_do(opened):
    order = opened.execute_script(
        "const sorted = (cells, down) => [...cells.keys()].sort(sorter(cells, down)).map(index => cells[index]);"
        "return [sorted(['fit 10', 'fit 9', 'Fit 1'], false), sorted(['2', '', '10', 'nan', '-1e-3', 'inf'], false),"
        "sorted(['2', '', '10'], true)]"
    )
    assert order == [["Fit 1", "fit 9", "fit 10"], ["-1e-3", "2", "10", "inf", "", "nan"], ["10", "2", ""]]


def test_a_table_is_searched_and_read_by_pages(opened, study):
    name, table = "analysis/curves.csv", pd.read_csv(study / "analysis" / "curves.csv", dtype=str)
    count = opened.find_element(By.CSS_SELECTOR, f"[data-table='{name}'] .count")
    back, on = opened.find_elements(By.CSS_SELECTOR, f"[data-table='{name}'] .pager button")
    assert count.text == "1 to 12 of 641 rows"
    assert not back.is_enabled()
    _reach(opened, on).click()
    assert count.text == "13 to 24 of 641 rows"
    assert [float(text) for text in _column(opened, name, 0)] == pytest.approx(
        table["x"][12:24].astype(float), rel=1e-4
    )
    search = _reach(opened, opened.find_element(By.CSS_SELECTOR, f"[data-table='{name}'] input[type=search]"))
    search.send_keys("0.2")
    found = table.apply(lambda row: row.str.contains("0.2", regex=False).any(), axis=1).sum()
    assert 12 < found < 641
    assert count.text == f"1 to 12 of {found} rows found of 641 rows"
    search.send_keys("no such number")
    assert count.text == "0 rows found of 641 rows"


@pytest.mark.slow
def test_cells_are_the_same_with_and_without_scripts(browser, page_file):
    cells = "return [...document.querySelectorAll('[data-table] td')].map(each => each.textContent)"
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        _open(browser, page_file)
        written = [each.get_attribute("textContent") for each in browser.find_elements(By.CSS_SELECTOR, "#tables td")]
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    _opened(browser, page_file)
    made = set(browser.execute_script(cells))
    assert len(written) > 100
    assert [text for text in written if text not in made] == []


@pytest.mark.parametrize("number", [0.00332522998, 1e-8, 123456.78, 99999.5, 0.0001, 0.00009999, -12.5, 1e300, 5e-324])
def test_numbers_are_rounded_alike_with_and_without_scripts(opened, number):
    assert opened.execute_script("return shown(arguments[0])", f"{number!r}") == shown(f"{number!r}")


def test_what_is_downloaded_is_what_is_stored_to_five_digits(opened, study):
    """The file of a table has its columns and rows, to the last digit."""
    opened.execute_script("window.kept = []; URL.createObjectURL = blob => (window.kept.push(blob), '#')")
    _press(opened, "[data-table='analysis/curves.csv'] .download")
    text = opened.execute_async_script("window.kept[0].text().then(arguments[0])")
    columns, *rows = csv.reader((study / "analysis" / "curves.csv").read_text().splitlines())
    assert list(csv.reader(text.splitlines())) == [columns, *([rounded(cell) for cell in row] for row in rows)]
    _press(opened, "figure .download")
    start = opened.execute_async_script(
        "window.kept[1].slice(0, 64).arrayBuffer().then(b => arguments[0]([...new Uint8Array(b)]))"
    )
    kind = opened.execute_script("return window.kept[1].type")
    assert (bytes(start)[8:12] == b"WEBP") if kind == "image/webp" else (b"<?xml" in bytes(start))


def test_all_pictures_are_downloaded_as_one_archive(opened, page):
    opened.execute_script("window.kept = []; URL.createObjectURL = blob => (window.kept.push(blob), '#')")
    _press(opened, "#figures > .tools .download")
    read = "window.kept[0].arrayBuffer().then(b => arguments[0]([...new Uint8Array(b)]))"
    with zipfile.ZipFile(io.BytesIO(bytes(opened.execute_async_script(read)))) as archive:
        assert archive.testzip() is None
        held = {name: archive.read(name) for name in archive.namelist()}
    assert [name.rsplit(".", 1)[0] for name in held] == [
        name.removeprefix("figures/") for name in page.ids if name.startswith("figures/")
    ]
    starts = {"svg": b"<?xml", "webp": b"RIFF", "png": b"\x89PNG"}
    assert all(content.startswith(starts[name.rsplit(".", 1)[1]]) for name, content in held.items())


@pytest.mark.parametrize("width", [1400, 390])
def test_a_figure_is_enlarged_and_escape_leads_back(browser, page_file, width):
    _opened(browser, page_file, width=width)
    small = browser.find_element(By.CSS_SELECTOR, "figure img").size["width"]
    pressed = _reach(browser, browser.find_element(By.CSS_SELECTOR, "figure .larger"))
    pressed.send_keys(Keys.ENTER)
    large = browser.find_element(By.CSS_SELECTOR, "dialog img")
    assert large.size["width"] >= max(small, 900)
    assert large.get_attribute("alt") == browser.find_element(By.CSS_SELECTOR, "figure img").get_attribute("alt")
    assert browser.find_element(By.CSS_SELECTOR, "dialog button").rect["x"] < width - 40
    ActionChains(browser, duration=0).send_keys(Keys.ESCAPE).perform()
    assert browser.find_elements(By.CSS_SELECTOR, "dialog") == []
    assert browser.switch_to.active_element == pressed
    assert browser.get_log("browser") == []


def test_a_claim_of_a_figure_is_shown_whatever_was_chosen(opened):
    _press(opened, "#claims > .folded > summary")
    search = _reach(opened, opened.find_element(By.CSS_SELECTOR, "#claims input[type=search]"))
    search.send_keys("no such words")
    _press(opened, "figcaption summary")
    link = opened.find_element(By.CSS_SELECTOR, "figcaption details[open] a")
    name = link.get_attribute("href").split("#")[1]
    assert not opened.find_element(By.ID, name).is_displayed()
    _reach(opened, link).click()
    assert opened.find_element(By.ID, name).is_displayed()
    assert 0 <= opened.execute_script(f"return document.getElementById('{name}').getBoundingClientRect().top") < 900


def test_knots_and_spectrum_are_drawn_and_read_by_keyboard(opened):
    for _ in range(3):
        _press(opened, "[data-pick=median]")  # a chart that is drawn again hears each key once
        _press(opened, "[data-pick=best]")
    marks = "return document.getElementById(arguments[0]).plot.series[0].marks.map(mark => [mark.x, mark.y])"
    knots, spectrum = (np.array(opened.execute_script(marks, name)) for name in ("knots", "spectrum"))
    assert len(opened.find_elements(By.CSS_SELECTOR, "#knots .canvas .stem")) == len(knots) > 0
    assert len(opened.find_elements(By.CSS_SELECTOR, "#spectrum .canvas .stem")) == len(spectrum) == 136
    assert (np.diff(spectrum[:, 1]) >= 0).all()
    _keys(opened, "knots", Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert f"knot 2 of {len(knots)}" in _told(opened, "knots")
    _keys(opened, "spectrum", Keys.END)
    assert _told(opened, "spectrum").splitlines()[0] == "eigenvalue 136 of 136"
    assert "eigenvalue 136 of 136" in opened.find_element(By.ID, "spoken").get_attribute("textContent")
    _press(opened, "#spectrum ~ .numbers summary")
    assert opened.find_element(By.CSS_SELECTOR, "#spectrum ~ .numbers .count").text == "1 to 12 of 136 rows"


@pytest.mark.parametrize(("low", "high"), [(-0.002, 12.0), (-1e-9, 3e-3), (1e-6, 1.0), (-5.0, -1e-3)])
def test_an_axis_that_is_linear_near_zero_leads_back_and_has_round_ticks(opened, low, high):
    least = 10.0 ** np.floor(np.log10(max(-low, high)) - 7)
    back, ticks = opened.execute_script(
        "const axis = scaled('symlog', [arguments[0], arguments[1]], 300, 10, arguments[2]);"
        "return [[arguments[0], 0, arguments[1]].map(each => axis.value(axis.at(each))), axis.ticks(5)]",
        *(low, high, least),
    )
    assert back == pytest.approx([low, 0, high], abs=1e-3 * least)
    assert 2 <= len(ticks) <= 12
    assert all(low <= tick <= high and (tick == 0 or np.log10(abs(tick)) % 1 in (0, 1)) for tick in ticks)


def test_cells_of_a_downloaded_table_are_quoted(opened):
    rows = [["a,b", 'say "x"'], ["line\nbreak", ""]]
    text = opened.execute_script("return csv(['one', 'two'], arguments[0])", rows)
    assert list(csv.reader(io.StringIO(text))) == [["one", "two"], *rows]


def test_a_fit_is_picked_by_its_number(opened, study):
    losses = pd.read_parquet(study / "table.parquet").query("ensemble == 'adadelta'").set_index("fit")["loss"]
    Select(_reach(opened, opened.find_element(By.ID, "picked-ensemble"))).select_by_visible_text("adadelta")
    assert f"{losses.idxmin()} of adadelta" in opened.find_element(By.CSS_SELECTOR, "#picked .facts").text
    for name, fit in (("worst", losses.idxmax()), ("best", losses.idxmin())):
        _press(opened, f"[data-pick={name}]")
        assert opened.find_element(By.ID, "picked-fit").get_attribute("value") == str(fit)
    number = opened.find_element(By.ID, "picked-fit")
    number.clear()
    number.send_keys("7", Keys.ENTER)
    facts = opened.find_element(By.CSS_SELECTOR, "#picked .facts").text
    assert "7 of adadelta" in facts
    assert float(re.search(r"loss after training\n(\S+)", facts)[1]) == pytest.approx(losses[7], rel=1e-5)
    number.clear()
    number.send_keys("99999", Keys.ENTER)
    assert "Fit 99999 is not among the 32 of adadelta" in opened.find_element(By.CSS_SELECTOR, "#picked .note").text


def test_the_function_that_is_drawn_is_what_the_fit_computes(opened, study):
    fit = int(opened.find_element(By.ID, "picked-fit").get_attribute("value"))
    data, line = opened.execute_script(
        "return document.getElementById('function').plot.series.map(each => each.marks.map(mark => [mark.x, mark.y]))"
    )
    runs = jl.open(study)
    network, problem = SawtoothConfig().network, SawtoothConfig().problem
    x, y = np.array(line).T
    expected = outputs(network, runs.params("momentum", slice(fit, fit + 1)).astype(np.float64), x[:, None])[0, :, 0]
    np.testing.assert_allclose(y, expected, atol=1e-4 * np.ptp(expected) + 1e-6)
    np.testing.assert_allclose(np.array(data), np.column_stack([problem.x, problem.y]), rtol=1e-5)
    assert len(opened.find_elements(By.CSS_SELECTOR, "#function .canvas path.line")) == 1


def test_a_fit_is_picked_in_the_chart(opened):
    _point_at(opened, "#scatter .canvas .look-1 .points", 4)
    fit = re.match(r"fit (\d+), (\w+)", _told(opened, "scatter"))
    ActionChains(opened, duration=0).click().perform()
    assert f"{fit[1]} of {fit[2]}" in opened.find_element(By.CSS_SELECTOR, "#picked .facts").text


@pytest.mark.slow
def test_what_tables_tell_of_a_fit_stands_beside_it(browser, copy):
    rows = [f"{name},{fit},{fit / 7},{'word' * fit}" for name in ("momentum", "adadelta") for fit in range(3)]
    (copy / "analysis" / "spectra.csv").write_text("\n".join(["ensemble,fit,lowest,note", *rows]))
    _opened(browser, write_report(copy))
    number = _reach(browser, browser.find_element(By.ID, "picked-fit"))
    number.clear()
    number.send_keys("2", Keys.ENTER)
    text = browser.find_element(By.CSS_SELECTOR, "#picked .rows").text
    assert "analysis/spectra.csv" in text
    assert "lowest\n0.28571\nnote\nwordword" in text


@pytest.mark.slow
def test_losses_on_the_way_are_drawn_where_they_are_stored(browser, tmp_path):
    x = np.linspace(-1, 1, 8)
    ensemble = jl.Ensemble(
        jl.mlp([2, 2, 1]), jl.Problem(np.column_stack([x, x]), x), optax.sgd(0.1), steps=30, trace_every=10
    )
    study = jl.Study("small", jl.studies.NoSettings, lambda config: {"sgd": ensemble}, analyses={})
    path = jl.run(study, out=tmp_path / "s", fits=8).path
    _opened(browser, write_report(path))
    fit = int(browser.find_element(By.ID, "picked-fit").get_attribute("value"))
    (line,) = browser.execute_script(
        "return document.getElementById('trace').plot.series.map(each => each.marks.map(mark => [mark.x, mark.y]))"
    )
    np.testing.assert_array_equal(np.array(line)[:, 0], [0, 10, 20, 30])
    np.testing.assert_allclose(np.array(line)[:, 1], jl.open(path).trace("sgd")[fit], rtol=3e-4)
    assert not browser.find_element(By.ID, "function").is_displayed()  # of two inputs
    assert browser.get_log("browser") == []


_WALK = """
window.walked = [];
document.addEventListener('focusin', event => {
  const one = event.target, style = getComputedStyle(one);
  const seen = style.outlineStyle !== 'none' || one.className === 'skip';
  walked.push([one.className || one.id || one.tagName, one.getBoundingClientRect().top + scrollY,
    !!one.closest('main'), seen]);
});
document.activeElement.blur();
"""


def test_the_focus_goes_from_the_top_down(opened):
    """By Tab: first the way to the content, then the contents, then the content in the order of the page."""
    opened.execute_script(_WALK)
    ActionChains(opened, duration=0).send_keys(*[Keys.TAB] * 220).perform()
    names, tops, inside, seen = zip(*opened.execute_script("return walked"), strict=True)
    assert all(seen)  # where the focus is can be seen
    assert names[0] == "skip"
    first = inside.index(True)
    last = names.index("copy")
    assert all(inside[first : last + 1])  # nothing but the content after its beginning
    assert set(names[:first]) <= {"skip", "A"}
    assert last - first > 60
    back = [after - before for before, after in itertools.pairwise(tops[first : last + 1]) if after < before - 60]
    assert len(back) <= 8  # figures and tables stand side by side
    assert {"chart", "scrolled", "anchor", "download"} <= set(names)


def test_links_to_headings_are_copied(opened, page_file):
    opened.execute_cdp_cmd(
        "Browser.grantPermissions", {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    )
    link = opened.find_element(By.CSS_SELECTOR, "#claims > h2 .anchor")
    _reach(opened, link).click()
    WebDriverWait(opened, 10).until(lambda driver: link.text == "copied")
    assert opened.current_url == f"{page_file.as_uri()}#claims"
    assert opened.execute_async_script("navigator.clipboard.readText().then(arguments[0])") == opened.current_url
    _press(opened, ".copy")
    WebDriverWait(opened, 10).until(lambda driver: driver.find_element(By.CSS_SELECTOR, ".copy").text == "copied")
    text = opened.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
    assert text.startswith("The jaxland developers. jaxland")
    assert "Gamst and Walker" in text


@pytest.fixture(scope="module")
def compared(study, tmp_path_factory):
    """The page of a study and of one that differs from it in two verdicts."""
    changed = shutil.copytree(study, tmp_path_factory.mktemp("compared") / "changed")
    text = (changed / "claims.csv").read_text()
    (changed / "claims.csv").write_text(text.replace(",not tested,", ",differs,", 2))
    return write_comparison(study, changed, changed.with_name("page.html"))


@pytest.mark.parametrize("width", _WIDTHS)
def test_two_studies_are_shown_side_by_side(browser, compared, width):
    _opened(browser, compared, width=width)
    assert len(browser.find_elements(By.CSS_SELECTOR, "#histogram .legend button")) == 4
    rows = browser.find_elements(By.CSS_SELECTOR, ".claims tbody tr")
    _press(browser, "#only-changed")
    assert len([row for row in rows if row.is_displayed()]) == 2
    one, other = browser.find_elements(By.CSS_SELECTOR, "[id='figures/figure-02-one-fit'] img")
    assert (one.location["y"] == other.location["y"]) == (width > 1000)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert requests(browser) == [compared.as_uri()]
    assert browser.get_log("browser") == []


def test_claims_are_searched_and_sorted(opened):
    rows = opened.find_elements(By.CSS_SELECTOR, "#claims > .folded .claims tbody tr")
    _press(opened, "#claims > .folded > summary")
    search = _reach(opened, opened.find_element(By.CSS_SELECTOR, "#claims input[type=search]"))
    search.send_keys("adadelta")
    seen = [row.text for row in rows if row.is_displayed()]
    assert 0 < len(seen) < len(rows)
    assert all("adadelta" in text.lower() for text in seen)
    search.send_keys("no such words")
    assert "No claim holds these words." in opened.find_element(By.ID, "claims").text
    assert not opened.find_element(By.CSS_SELECTOR, "#claims > .folded .claims thead").is_displayed()
    search.clear()
    search.send_keys(" ", Keys.BACKSPACE)
    _press(opened, "#claims > .folded .claims th:nth-child(5) button")
    verdicts = [text.strip() for text in _texts(opened, "#claims > .folded .claims td:nth-child(5)")]
    assert verdicts == sorted(verdicts, key=lambda text: text[2:])


@pytest.mark.slow
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


@pytest.mark.parametrize("width", [*_WIDTHS, 320])
def test_nothing_sticks_out_of_the_window(browser, page_file, width):
    _opened(browser, page_file, width=width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    inside = ".canvas svg, .claims, .choices, .tools, .pager, .scrolled"
    rights = browser.execute_script(
        f"return [...document.querySelectorAll('{inside}')].filter(each => each.getClientRects().length)"
        ".map(each => each.getBoundingClientRect().right)"
    )
    assert max(rights) <= width


@pytest.mark.slow
def test_verdicts_can_be_chosen(browser, copy):
    text = (copy / "claims.csv").read_text().replace(",not tested,", ",differs,", 2)
    (copy / "claims.csv").write_text(text)
    _open(browser, write_report(copy))
    rows = browser.find_elements(By.CSS_SELECTOR, "#claims > .folded .claims tbody tr")
    assert not any(row.is_displayed() for row in rows)
    browser.find_element(By.ID, "show-differs").click()
    assert [row.get_attribute("class") for row in rows if row.is_displayed()] == ["differs", "differs"]
    assert not browser.find_element(By.ID, "show-undecided").is_enabled()  # of which there is none


@pytest.mark.parametrize("width", [1400, *(pytest.param(width, marks=pytest.mark.slow) for width in _WIDTHS[1:])])
def test_figures_come_early_and_claims_unfold_for_who_asks(browser, copy, width):
    """Within two screens of a desk and three of a phone; a claim that is asked for is seen, and on paper all are."""
    text = (copy / "claims.csv").read_text().replace(",not tested,", ",differs,", 9)
    (copy / "claims.csv").write_text(text)
    _opened(browser, write_report(copy), width=width)
    first = browser.find_element(By.CSS_SELECTOR, "#figures figure")
    assert first.location["y"] < (1800 if width > 390 else 2700)
    rows = browser.find_elements(By.CSS_SELECTOR, "#claims > .folded .claims tbody tr")
    assert not any(row.is_displayed() for row in rows)
    link = browser.find_element(By.CSS_SELECTOR, ".apart a")
    _reach(browser, link)
    browser.execute_script("arguments[0].focus()", link)
    ActionChains(browser, duration=0).send_keys(Keys.ENTER).perform()
    asked = browser.find_element(By.ID, link.get_attribute("href").split("#")[1])
    WebDriverWait(browser, 10).until(lambda driver: asked.is_displayed())
    assert all(row.is_displayed() for row in rows)
    browser.execute_script("document.querySelector('#claims > .folded').open = false")
    browser.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    assert all(row.is_displayed() for row in rows)
    browser.execute_script("window.dispatchEvent(new Event('afterprint'))")
    assert not any(row.is_displayed() for row in rows)
    assert browser.get_log("browser") == []


_RNG = np.random.default_rng(0)
_POINTS = _RNG.normal(size=(120, 2))
_CLASSES = (np.hypot(*_POINTS.T) > 1).astype(int) + (_POINTS[:, 0] > 0.8)


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Fits of a curve and of classes, judged on points held out; some of the second stop early."""
    line, curve = np.linspace(-1, 1, 40), Validation(share=0.3, every=20)
    classes = Validation(share=0.3, every=10, patience=3, metrics={"accuracy": accuracy})
    problems = jl.Problem(line, np.sin(4 * line)), jl.Problem(_POINTS, _CLASSES, loss="softmax_cross_entropy")
    ensembles = {
        "curve": jl.Ensemble(
            jl.mlp([1, 4, 1], "tanh"), problems[0], optax.adam(0.03), steps=200, trace_every=20, validation=curve
        ),
        "classes": jl.Ensemble(jl.mlp([2, 6, 3], "tanh"), problems[1], optax.adam(0.1), steps=300, validation=classes),
    }
    path = tmp_path_factory.mktemp("judged") / "s"
    study = jl.Study("judged", jl.studies.NoSettings, lambda config: ensembles)
    jl.run(study, out=path, fits=48)
    return path, jl.open(path, study), write_report(path)


@pytest.mark.slow
@pytest.mark.parametrize("width", _WIDTHS)
def test_what_validation_found_is_shown_and_ranks(browser, judged, width):
    _, study, page = judged
    _opened(browser, page, width=width)
    fits = study.fits("classes")
    best = int(np.argmin(fits.judged.best_validation))
    shown_accuracy = fits.table["best_accuracy"][best]
    top = browser.find_element(By.TAG_NAME, "header").text
    assert f"{fits.judged.best_validation[best]:.4g}, accuracy {shown_accuracy:.4g} (classes)" in top
    assert "stopped early" in browser.find_element(By.ID, "fits").text
    assert "accuracy then" in browser.find_element(By.ID, "fits").text
    Select(_reach(browser, browser.find_element(By.ID, "picked-ensemble"))).select_by_visible_text("classes")
    facts = browser.find_element(By.CSS_SELECTOR, "#picked .facts").text
    assert f"{best} of classes" in facts
    assert float(re.search(r"accuracy there\n(\S+)", facts)[1]) == pytest.approx(shown_accuracy, rel=1e-4)
    Select(browser.find_element(By.ID, "picked-rank")).select_by_visible_text("training loss")
    assert browser.find_element(By.ID, "picked-fit").get_attribute("value") == str(int(np.argmin(fits.loss)))
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert requests(browser) == [page.as_uri()]
    assert browser.get_log("browser") == []


@pytest.mark.slow
def test_validation_on_the_way_is_drawn(browser, judged):
    _, study, page = judged
    _opened(browser, page)
    place = "return document.getElementById('{}').plot.series.map(each => [each.name, each.marks.map(m => [m.x, m.y])])"
    Select(_reach(browser, browser.find_element(By.ID, "picked-ensemble"))).select_by_visible_text("curve")
    fits = study.fits("curve")
    fit = int(np.argmin(fits.judged.best_validation))
    (_, trained), (name, validated) = browser.execute_script(place.format("trace"))
    assert name == "validation loss"
    np.testing.assert_allclose(np.array(trained)[:, 1], fits.trace[fit], rtol=3e-4)
    np.testing.assert_allclose(
        np.array(validated), np.column_stack([range(0, 201, 20), fits.validation[fit]]), rtol=3e-4
    )
    (points, line) = browser.execute_script(place.format("function"))
    assert points[0] == "points, some held out"
    x, y = np.array(line[1]).T
    expected = fits[[fit]].at_best.outputs(x[:, None])[0, :, 0]
    np.testing.assert_allclose(y, expected, atol=1e-3)
    Select(browser.find_element(By.ID, "picked-ensemble")).select_by_visible_text("classes")
    classes = study.fits("classes")
    fit = int(np.argmin(classes.judged.best_validation))
    ((name, marks),) = browser.execute_script(place.format("metrics"))
    found = np.array([y for _, y in marks], float)
    np.testing.assert_allclose(found, classes.judged.metrics["accuracy"][fit], rtol=3e-4)
    assert name == "accuracy"


def test_what_is_counted_and_drawn_can_be_chosen(browser, judged):
    _, study, page = judged
    _opened(browser, page)
    accuracy_of = study.fits("classes").table["best_accuracy"].to_numpy()
    _reach(browser, browser.find_element(By.ID, "histogram"))
    chart = "return document.getElementById('{}').plot.{}"
    assert browser.execute_script(chart.format("histogram", "x.label")) == "smallest validation loss"
    browser.find_elements(By.CSS_SELECTOR, "input[name=counted]")[2].click()
    assert browser.execute_script(chart.format("histogram", "x.scale")) == "linear"
    (counts,) = browser.execute_script(
        "return document.getElementById('histogram').plot.series.map(s => s.marks.map(m => m.count))"
    )
    assert sum(counts) == len(accuracy_of)
    assert len(browser.find_elements(By.CSS_SELECTOR, "#histogram-of-losses .numbers")) == 1
    _keys(browser, "histogram", Keys.END, shift=[Keys.HOME])
    assert "48 of 48 fits of classes" in browser.find_element(By.ID, "marked").text
    assert "0 of 48 fits of curve" in browser.find_element(By.ID, "marked").text
    _press(browser, "input[name=up]", 2)
    drawn = browser.execute_script(
        "return document.getElementById('scatter').plot.series.find(s => s.name === 'classes').marks.map(m => m.y)"
    )
    np.testing.assert_allclose(drawn, accuracy_of, rtol=1e-5)


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
const written = 'p, a, dt, dd, th, td, h1, h2, h3, h4, legend, label, summary, .verdict';
const made = 'button:enabled, select, input, .count, .told span';
const texts = [...document.querySelectorAll(`${written}, ${made}`)].filter(element => element.offsetParent)
  .map(element => [seen(element, 'color'), back(element)]);
const chart = [...document.querySelectorAll('.canvas text')].map(element => [seen(element, 'fill'), page]);
const probe = document.body.appendChild(document.createElement('i'));
const looks = [...Array(8).keys()].map(look => ((probe.className = `look-${look}`), [seen(probe, 'color'), page]));
return [page, texts, chart, looks];
"""


def _luminance(colour):
    """Relative luminance by WCAG 2.2."""
    channels = np.array([float(number) for number in re.findall(r"[\d.]+", colour)[:3]]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(browser, copy, scheme):
    """Contrast of at least 4.5 to 1 for all text, in charts too, and of 3 to 1 for what is drawn, on light and dark
    pages (WCAG 2.2, level AA)."""
    text = (copy / "claims.csv").read_text().replace(",not tested,", ",differs,", 2)
    (copy / "claims.csv").write_text(text.replace(",not tested,", ",agrees,", 2))
    (copy / "table.parquet").unlink()  # for a notice
    _opened(browser, write_report(copy), scheme=scheme)
    _point_at(browser, "#scatter .canvas .points")
    _told(browser, "scatter")
    page, texts, chart, looks = browser.execute_script(_COLOURS)
    assert (_luminance(page) > 0.5) == (scheme == "light")
    assert len(chart) > 20
    assert len({ink for ink, _ in looks}) == 8
    for least, pairs in ((4.5, [*texts, *chart]), (3, looks)):
        for ink, ground in pairs:
            low, high = sorted([_luminance(ink), _luminance(ground)])
            assert (high + 0.05) / (low + 0.05) >= least, (ink, ground)


def test_without_scripts_all_but_the_charts_is_there(browser, study, page_file):
    claims = pd.read_csv(study / "claims.csv")
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        _open(browser, page_file)
        assert browser.find_element(By.CSS_SELECTOR, "noscript p").is_displayed()
        assert all(chart.size["height"] == 0 for chart in browser.find_elements(By.CLASS_NAME, "chart"))
        assert not browser.find_element(By.ID, "keys").is_displayed()
        assert len(browser.find_elements(By.CSS_SELECTOR, ".claims tbody tr")) == len(claims)
        assert all(image.size["width"] > 200 for image in browser.find_elements(By.TAG_NAME, "img"))
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_texts_from_files_run_nothing(browser, hostile):
    _opened(browser, write_report(hostile))
    for selector in ("[data-table='analysis/curves.csv'] th button", "#scatter .canvas .points"):
        _press(browser, selector)
    assert browser.execute_script("return [window.hacked, document.querySelectorAll('.points').length > 0]") == [
        None,
        True,
    ]
    assert _texts(browser, "[data-table='analysis/curves.csv'] th")[0].startswith("<script>window.hacked")
    assert browser.get_log("browser") == []


def test_charts_fit_the_paper(opened):
    opened.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    widths = "return ['histogram', 'scatter'].map(name => document.querySelector(`#${name} .canvas svg`).clientWidth)"
    assert opened.execute_script(widths) == [680, 680]
    opened.execute_script("window.dispatchEvent(new Event('afterprint'))")
    assert min(opened.execute_script(widths)) > 900
