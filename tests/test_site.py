"""The site in Chromium: contrast, keyboard, width, requests. Needs what `browsing` needs, and the extra `docs`."""

import functools
import http.server
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from browsing import chromium, look_at, requests
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
_PAGES = ["index", "notebook", "faq", "studies", "landscape", "gallery", "reference/jaxland.landscape"]

# How many texts can be seen, and those whose contrast with what is behind them is too low (WCAG 2.2, level AA): a point
# is painted with every ground from the outermost in, then with the ink, so that what shines through counts.
_CONTRAST = """
const canvas = document.createElement('canvas');
canvas.width = canvas.height = 1;
const brush = canvas.getContext('2d', { willReadFrequently: true });
const paint = (colour, alpha) => {
  brush.globalAlpha = alpha;
  brush.fillStyle = colour;
  brush.fillRect(0, 0, 1, 1);
};
const luminance = () => {
  const linear = [...brush.getImageData(0, 0, 1, 1).data].map(each => each / 255)
    .map(each => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4));
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const low = [];
let count = 0;
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  const element = node.parentElement;
  const box = element.getBoundingClientRect();
  const seen = element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  if (!node.textContent.trim() || !seen || box.width < 2 || box.height < 2) continue;
  const above = [];
  for (let each = element; each; each = each.parentElement) above.unshift(getComputedStyle(each));
  paint('white', 1);
  for (const style of above) paint(style.backgroundColor, 1);
  const ground = luminance();
  paint(getComputedStyle(element).color, above.reduce((all, style) => all * Number(style.opacity), 1));
  const ink = luminance();
  count += 1;
  const contrast = (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
  if (contrast < 4.5) low.push(`${element.tagName}.${element.className} ${node.textContent.trim()} ${contrast}`);
}
return [count, low];
"""
# What has the focus, whether a ring of two pixels at least is round it, and whether it is seen; a switch is shown by
# the label beside it.
_FOCUSED = """
const focused = document.activeElement;
const shown = focused.matches('.md-option') ? focused.nextElementSibling : focused;
const style = getComputedStyle(shown), box = shown.getBoundingClientRect();
const place = [...document.querySelectorAll('*')].indexOf(focused);
const ring = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
const seen = shown.checkVisibility({ opacityProperty: true, visibilityProperty: true })
  && box.width > 1 && box.height > 1 && box.bottom > 0 && box.top < innerHeight;
return [place, `${focused.tagName}.${focused.className} ${focused.textContent.trim().slice(0, 40)}`, ring, seen];
"""
_REACHABLE = """
const seen = element => element.checkVisibility({ opacityProperty: true, visibilityProperty: true })
  && element.getBoundingClientRect().width > 1 && element.tabIndex >= 0;
return [...document.querySelectorAll('*')].flatMap((element, place) =>
  element.matches('a[href], button, input, select, summary') && seen(element) ? [place] : []);
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of the site, served from this machine."""
    pytest.importorskip("mkdocs", reason="pip install '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    subprocess.run([sys.executable, "-m", "mkdocs", "build", "-q", "--site-dir", str(folder)], cwd=ROOT, check=True)
    serve = functools.partial(_Silent, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


def _open(browser, site, name, scheme="light", **arguments):
    look_at(browser, f"{site}{name}.html", scheme=scheme, **arguments)
    browser.execute_script("localStorage.clear()")  # where the theme keeps which scheme was chosen
    look_at(browser, f"{site}{name}.html", scheme=scheme, **arguments)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", _PAGES)
def test_text_of_the_site_stands_out_from_its_ground(browser, site, name, scheme):
    _open(browser, site, name, scheme)
    assert (
        browser.execute_script("return document.body.dataset.mdColorScheme")
        == {"light": "default", "dark": "slate"}[scheme]
    )
    count, low = browser.execute_script(_CONTRAST)
    assert count > 40
    assert low == []


@pytest.mark.parametrize("name", _PAGES)
def test_pages_of_the_site_fit_the_window_ask_for_nothing_elsewhere_and_report_no_error(browser, site, name):
    for width in (390, 800, 1400):
        _open(browser, site, name, width=width)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert [address for address in requests(browser) if not address.startswith(site)] == []
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("name", ["index", "faq", "studies", "gallery"])
def test_all_of_a_page_is_reached_by_keyboard_and_the_focus_is_seen(browser, site, name):
    _open(browser, site, name)
    wanted = set(browser.execute_script(_REACHABLE))
    assert len(wanted) > 10
    walked = []
    while not walked or not walked[-1][1].startswith("BODY."):
        assert len(walked) < 600
        ActionChains(browser, duration=0).send_keys(Keys.TAB).perform()
        walked.append(browser.execute_script(_FOCUSED))
    walked.pop()
    assert [told for _, told, ring, seen in walked if not (ring and seen)] == []
    assert wanted - {place for place, *_ in walked} == set()


def test_the_first_link_of_a_page_leads_to_its_content(browser, site):
    _open(browser, site, "studies")
    ActionChains(browser, duration=0).send_keys(Keys.TAB, Keys.ENTER, Keys.TAB).perform()
    inside = "return !!document.activeElement.closest('.md-content')"
    assert browser.execute_script(inside)
