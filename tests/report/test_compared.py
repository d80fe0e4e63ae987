"""Two studies side by side: what differs is said, what is the same is not."""

import json
import re
import shutil

import pandas as pd
import pytest
from forged import rewritten
from html_page import Page

import jaxland as jl
from jaxland.replications import SawtoothConfig
from jaxland.report import write_comparison
from jaxland.report.compared import differing_settings, paired_claims
from jaxland.report.contents import read_contents
from jaxland.store import StoreError


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """The same study with other settings, fewer fits and other versions."""
    out = tmp_path_factory.mktemp("other") / "longer"
    return jl.run("sawtooth", SawtoothConfig(steps=300, optimizers=("momentum",)), out, fits=16).path


@pytest.fixture(scope="module")
def compared(study, other, tmp_path_factory):
    return write_comparison(study, other, tmp_path_factory.mktemp("compared") / "page.html")


def test_settings_that_differ_are_told_and_no_others(study, other):
    found = {pair.name: pair[1:] for pair in differing_settings(read_contents(study), read_contents(other))}
    assert found["steps"] == ("200", "300")
    assert found["fits"] == ("32", "16")
    assert found["optimizers"] == ("momentum, adadelta", "momentum")
    assert found["backends.adadelta.name"][1] is None
    assert {"seed", "width", "study", "versions", "device"}.isdisjoint(found)


def test_verdicts_stand_side_by_side(study, other):
    pairs = paired_claims(*map(read_contents, (study, other)))
    tables = [pd.read_csv(path / "claims.csv", keep_default_na=False) for path in (study, other)]
    counts = [table["verdict"].ne("").sum() for table in tables]
    assert sum(pair.first is not None for pair in pairs) == counts[0]
    assert sum(pair.second is not None for pair in pairs) == counts[1]
    assert len(pairs) == counts[0] > counts[1]  # those of adadelta are in one study alone
    both = next(pair for pair in pairs if pair.first and pair.second)
    assert (both.first.of, both.first.statement) == (both.second.of, both.second.statement)


def test_the_page_holds_both(study, other, compared):
    page = Page(compared.read_text())
    for text in ("study: adadelta", "longer: momentum", "What differs", "not there", "median"):
        assert text in page.text
    images = len(page.named("img"))
    assert images == sum(len(read_contents(path).figures) for path in (study, other))
    assert "figures/figure-05-losses" in page.ids
    assert len(page.ids) == len(set(page.ids))
    links = [link["href"] for link in page.named("a")]
    assert all(link.startswith("#") and link[1:] in page.ids for link in links)


@pytest.mark.slow
def test_verdicts_that_changed_are_counted(copy, tmp_path):
    changed = shutil.copytree(copy, tmp_path / "changed")
    text = (changed / "claims.csv").read_text()
    (changed / "claims.csv").write_text(text.replace(",not tested,", ",differs,", 2))
    page = Page(write_comparison(copy, changed).read_text())
    assert re.search(r"2 of \d+ verdicts are not the same\.", page.text)
    rows = [row.get("class") for row in page.named("tr")]
    assert rows.count("changed") == 2
    assert "Settings, versions and devices are the same." in page.text


@pytest.mark.slow
def test_a_study_compared_with_itself_by_another_name_says_nothing_twice(copy):
    text = Page(write_comparison(copy, copy).read_text()).text
    assert "study (1) and study (2)" in text
    assert re.search(r"0 of \d+ verdicts are not the same\.", text)


@pytest.mark.slow
def test_texts_from_files_are_never_markup(hostile, study, tmp_path):
    attacked = Page(write_comparison(study, hostile, tmp_path / "page.html").read_text())
    assert "<script>window.hacked" in attacked.text
    assert len(attacked.named("script")) == 2
    assert not any("onerror" in attributes for _, attributes in attacked.elements)


def test_studies_without_fits_and_analyses_are_compared(copy, study, tmp_path):
    for name in ("analysis", "figures", "fits"):
        shutil.rmtree(copy / name)
    for name in ("summary.md", "claims.csv"):
        (copy / name).unlink()
    bare = shutil.move(copy, tmp_path / "bare")
    said = []
    text = Page(write_comparison(study, bare, tmp_path / "page.html", said.append).read_text()).text
    assert said == [f"bare: Fits are missing: 32 of momentum, 32 of adadelta. jaxland resume {bare}"]
    assert "bare is not complete" in text
    nothing = Page(write_comparison(bare, bare, tmp_path / "page.html").read_text())
    assert "None of the two has figures." in nothing.text
    assert not [attributes for attributes in nothing.named("div") if attributes.get("class") == "chart"]


@pytest.mark.slow
def test_the_same_directories_give_the_same_bytes(study, other, compared, tmp_path):
    assert write_comparison(study, other, tmp_path / "again.html").read_bytes() == compared.read_bytes()


def test_bad_arguments(study, tmp_path):
    with pytest.raises(ValueError, match=r"a report ends in \.html"):
        write_comparison(study, study, tmp_path / "study.json")
    with pytest.raises(StoreError, match="is not a study directory"):
        write_comparison(study, tmp_path)


@pytest.mark.slow
def test_another_study_is_no_obstacle(copy, study, tmp_path):
    manifest = json.loads((copy / "study.json").read_text())
    rewritten(copy, {**manifest, "study": "tomorrow", "title": "a title", "origin": {"module": "m", "name": "S"}})
    text = Page(write_comparison(study, copy, tmp_path / "page.html").read_text()).text
    assert "A title" in text
    assert "studysawtoothtomorrow" in text
