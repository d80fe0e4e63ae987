"""An HTML page taken apart, for tests."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """A parsed page: its elements as (name, attributes), and the text outside scripts and styles."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.words, self.programs, self._inside = [], [], [], ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self._inside = tag
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside == "script":
            self.programs.append((self.elements[-1][1], data))
        elif self._inside != "style":
            self.words.append(data)

    @property
    def text(self):
        return " ".join("".join(self.words).split())

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def ids(self):
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]
