"""A small study, analysed once for all tests of the report; those that change it take a copy."""

import json
import shutil

import pytest
from forged import rewritten
from html_page import Page

from jaxland.report import write_report

SCRIPT = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"


@pytest.fixture(scope="session")
def study(finished_sawtooth, tmp_path_factory):
    return shutil.copytree(finished_sawtooth.path, tmp_path_factory.mktemp("report") / "study")


@pytest.fixture
def copy(study, tmp_path):
    return shutil.copytree(study, tmp_path / "study")


@pytest.fixture(scope="session")
def page_file(study, tmp_path_factory):
    return write_report(study, tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture(scope="session")
def page(page_file):
    return Page(page_file.read_text())


@pytest.fixture
def hostile(copy):
    """A study whose every text tries to run a script."""
    row = ",".join(['"1"', *[f'"{SCRIPT}"'] * 3, "agrees", f'"{SCRIPT}"'])
    (copy / "claims.csv").write_text(f"where,statement,source,measured,verdict,detail\n{row}\n")
    (copy / "analysis" / "curves.csv").write_text(f'"{SCRIPT}",b\n"{SCRIPT}",1\n')
    figure = (copy / "figures" / "figure-05-losses.svg").read_text()
    (copy / "figures" / "figure-99-<script>window.hacked=1<.svg").write_text(
        figure.replace("<defs>", "<script>window.parent.hacked = 1</script><defs>", 1)
    )
    manifest = json.loads((copy / "study.json").read_text())
    manifest["config"]["target"] = SCRIPT
    manifest["provenance"]["device"] = SCRIPT
    manifest["provenance"]["backends"]["momentum"]["name"] = SCRIPT
    rewritten(copy, manifest)
    return copy
