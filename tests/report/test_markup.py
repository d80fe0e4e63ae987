from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from jaxland.report.markup import Markup, anchor, element, join

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]))


class _Reader(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


@given(TEXT, TEXT)
def test_any_text_comes_back_from_a_parser_as_text(text, attribute):
    read = _Reader(element("p", text, title=attribute))
    assert read.text == text
    assert read.tags == [("p", {"title": attribute})]


def test_markup_is_nested_and_text_is_escaped():
    assert element("p", "a < b", element("b", "&")) == "<p>a &lt; b<b>&amp;</b></p>"
    assert join(["<", Markup("<br>")], ", ") == "&lt;, <br>"


def test_attributes():
    assert element("img", class_="wide", data_label=None, aria_label="x", width=3) == (
        '<img class="wide" aria-label="x" width="3">'
    )
    assert element("meta", name="viewport") == '<meta name="viewport">'


def test_an_id_holds_no_white_space():
    assert anchor("figures/a b\tc") == "figures/a-b-c"
