"""The page on lanes shows what the code really generates."""

import re

from documents import ROOT, blocks, run

from jaxland.training.lanes import LARGEST_PROGRAM

PAGE = (ROOT / "docs" / "lanes.md").read_text()


def test_the_examples_print_and_state_what_comes_out(capsys):
    names: dict = {}
    compared = sum(run(code, names) for code in blocks("docs/lanes.md"))
    assert compared == 2
    assert capsys.readouterr().out == "".join(re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL))


def test_the_page_states_the_limit():
    assert f"more than {LARGEST_PROGRAM:,} lines" in PAGE
