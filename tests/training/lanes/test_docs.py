"""The page on lanes shows what the code really generates."""

import contextlib
import io
import re
from pathlib import Path

from jaxland.training.lanes import LARGEST_PROGRAM

PAGE = (Path(__file__).parents[3] / "docs" / "lanes.md").read_text()


def test_the_example_prints_what_the_page_shows():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (shown,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})
    assert printed.getvalue() == shown


def test_the_page_states_the_limit():
    assert f"more than {LARGEST_PROGRAM:,} lines" in PAGE
