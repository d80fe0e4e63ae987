import base64
import csv
import gzip
import hashlib
import json
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import optax
import pandas as pd
import PIL.Image
import pytest
from forged import rewritten
from html_page import Page

import jaxland as jl
from jaxland.report import write_report
from jaxland.report.citation import citation
from jaxland.report.page import SCRIPTS
from jaxland.report.tables import rounded
from jaxland.store import StoreError, StudyStore
from jaxland.studies import NoSettings


def _page(study, **arguments):
    return Page(write_report(study, **arguments).read_text())


def test_the_page_holds_every_claim_figure_and_table(study, page):
    claims = pd.read_csv(study / "claims.csv", dtype=str, keep_default_na=False)
    for column in ("statement", "source", "measured", "verdict", "detail"):
        assert all(" ".join(text.split()) in page.text for text in claims[column])
    stems = sorted({path.stem for path in (study / "figures").iterdir() if path.suffix != ".json"})
    assert [f"figures/{stem}" for stem in stems] == [name for name in page.ids if name.startswith("figures/")]
    assert len(page.named("img")) == len(stems) == 9
    assert all(image["alt"] and image["src"].startswith("data:image/") for image in page.named("img"))
    for path in (study / "analysis").iterdir():
        assert f"analysis/{path.name}" in page.ids
    assert "The first 8 of 641 rows" in page.text


def test_the_page_says_what_was_run(study, page):
    manifest = StudyStore.open(study).manifest
    assert "5 x 5 ReLU fits of a sawtooth" in page.text
    assert "Gamst and Walker" in page.text
    for word in (manifest.config_hash, manifest.provenance["versions"], manifest.provenance["device"], "steps", "200"):
        assert word in page.text
    assert "overviewhas no settings" in page.text
    assert "Settings that this run did not use" in page.text
    assert "fused = yes" in page.text
    assert "This report is not complete" not in page.text


def test_the_tally_counts_verdicts_and_signs_stand_beside_colours(copy):
    lines = (
        (copy / "claims.csv").read_text().replace(",not tested,", ",agrees,", 3).replace(",not tested,", ",differs,", 2)
    )
    (copy / "claims.csv").write_text(lines)
    page = _page(copy)
    counts = pd.read_csv(copy / "claims.csv").verdict.value_counts()
    agree, differ, untested = (int(counts[name]) for name in ("agrees", "differs", "not tested"))
    assert min(agree - 3, differ - 2) >= 0
    assert f"{agree} agree, {differ} differ, {untested} not tested" in page.text
    rows = [row["class"] for row in page.named("tr") if "class" in row]
    assert [rows.count(name) for name in ("agrees", "differs", "not-tested")] == [agree, differ, untested]
    text = Page((copy / "report.html").read_text().split('<section id="figures"')[0]).text
    assert [text.count(sign) for sign in ("✓ agrees", "✗ differs", "○ not tested")] == [
        agree + 1,
        2 * differ + 1,  # those that differ are told at once, too
        untested + 1,
    ]


@pytest.mark.slow
def test_all_claims_are_folded_before_the_figures(copy):
    """Of many that differ the first are told, and where the others are; not one is lost."""
    text = (copy / "claims.csv").read_text().replace(",not tested,", ",differs,").replace(",agrees,", ",differs,")
    (copy / "claims.csv").write_text(text)
    html = write_report(copy).read_text()
    claims = html[html.index('<section id="claims"') : html.index('<section id="figures"')]
    before, folded = claims.split("<details", 1)
    judged = (pd.read_csv(copy / "claims.csv").verdict == "differs").sum()
    assert folded.count('id="claim-') >= judged > 6
    assert before.count('href="#claim-') == 5
    assert f"{judged - 4} more that differ" in Page(before).text
    assert "<table" not in before


def test_figures_lead_to_the_claims_about_them(study, page_file):
    judged = pd.read_csv(study / "claims.csv", dtype=str, keep_default_na=False)
    judged = judged[judged.verdict != ""].reset_index(drop=True)
    html = page_file.read_text()
    for label, start in (("7", "figures/figure-07"), ("2", "figures/figure-02")):
        figure = Page(re.search(rf'<figure id="{start}.*?</figure>', html, re.DOTALL)[0])
        about = [index for index, where in enumerate(judged["where"]) if label in where.split(", ")]
        assert about
        assert [link["href"] for link in figure.named("a")] == [f"#claim-{index + 1}" for index in about]
        assert all(" ".join(judged.statement[index].split()) in figure.text for index in about)
        rows = [re.search(rf'<tr class="[^"]*" id="claim-{index + 1}">.*?</tr>', html, re.DOTALL)[0] for index in about]
        assert all(judged.statement[index] in Page(row).text for index, row in zip(about, rows, strict=True))


def test_claims_lead_to_their_figures(page):
    links = [link["href"] for link in page.named("a")]
    assert "#figures/figure-07-distances-to-the-global-minimum" in links
    assert "figure 7, figure 8" in page.text
    assert "section 4.5" in page.text


def test_every_link_leads_into_the_page(page):
    links = [link["href"] for link in page.named("a")]
    assert len(links) > 20
    assert all(link.startswith("#") and link[1:] in page.ids for link in links)


def test_ids_are_unique(page):
    assert len(page.ids) == len(set(page.ids))


def test_the_page_asks_for_nothing_outside_itself(page_file, page):
    for _, attributes in page.elements:
        for name in ("src", "href", "srcset", "data", "action", "poster", "xlink:href"):
            assert re.match("#|data:", attributes.get(name, "#"))
    assert not page.named("link") + page.named("iframe") + page.named("object") + page.named("base")
    (style,) = re.findall("<style>(.*?)</style>", page_file.read_text(), re.S)
    assert not re.search(r"@import|url\(|http|@font-face", style)
    (policy,) = [each["content"] for each in page.named("meta") if "http-equiv" in each]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "http" not in policy


def test_the_policy_allows_the_scripts_of_the_page_and_no_others(page):
    (policy,) = [each["content"] for each in page.named("meta") if "http-equiv" in each]
    programs = [text for attributes, text in page.programs if "type" not in attributes]
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in programs]
    assert re.findall(r"'sha256-([^']+)'", policy) == digests
    assert len(digests) == 1


def test_texts_from_files_are_never_markup(hostile, page):
    attacked = _page(hostile)
    assert "<script>window.hacked" in attacked.text
    assert len(attacked.named("script")) == len(page.named("script")) == 2
    assert len(attacked.named("img")) == len(page.named("img")) + 1
    assert not any("onerror" in attributes for _, attributes in attacked.elements)
    for attributes, text in attacked.programs:
        assert "<script>window.hacked" not in text
        if "type" in attributes:
            assert "<script>window.hacked" in json.dumps(_data(text))


def _data(text):
    return json.loads(gzip.decompress(base64.b64decode(text, validate=True)))


def test_the_page_is_light(page_file, page):
    """Without its figures far below 2 MB, whatever else is in it."""
    text = page_file.read_text()
    figures = sum(len(image["src"]) for image in page.named("img"))
    (data,) = [text for attributes, text in page.programs if "type" in attributes]
    assert len(text) < 1e6
    assert len(text) - figures < 400_000
    assert len(text) - figures - len(data) < 250_000


@pytest.mark.slow
def test_a_page_of_many_heavy_things_is_no_heavier_than_it_may_be(copy):
    """Whatever lies in a directory: 1.2 MB of pictures, 0.8 MB of numbers, 0.3 MB of all else, and its claims."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (300, 400, 3), np.uint8)
    for place in range(30):
        PIL.Image.fromarray(noise).save(copy / "figures" / f"figure-{20 + place}-noise.png")
    numbers = pd.DataFrame(rng.normal(size=(3000, 12)))
    for place in range(12):
        numbers.to_csv(copy / "analysis" / f"heavy-{place}.csv", index=False)
    page = _page(copy)
    assert (copy / "report.html").stat().st_size < 2.3e6 + 3 * (copy / "claims.csv").stat().st_size
    assert len(page.named("img")) == 39
    assert "the file has the rest" in page.text


def test_every_table_is_in_the_page_whole(study, page):
    (text,) = [text for attributes, text in page.programs if "type" in attributes]
    tables = _data(text)["tables"]
    assert sorted(tables) == sorted(f"analysis/{path.name}" for path in (study / "analysis").iterdir())
    for path, table in tables.items():
        with open(study / path, newline="") as file:
            columns, *rows = csv.reader(file)
        cells = [[rounded(cell) for cell in column] for column in zip(*rows, strict=True)]
        assert (table["columns"], table["cells"], table["total"]) == (columns, cells, len(rows))


def test_headings_go_down_a_step_at_a_time_and_tables_have_captions(page):
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert len(page.named("caption")) == len(page.named("table")) > 5


def test_numbers_do_not_break(page_file):
    text = page_file.read_text()
    for number in ("1e-12", "6-8"):
        assert f'<span class="whole">{number}</span>' in text


@pytest.mark.slow
def test_commands_and_their_time_are_told(copy):
    (copy / "logs").mkdir(exist_ok=True)
    line = {"began": "2026-01-02 03:04:05 UTC", "seconds": 200, "version": "9.9", "ended": "done"}
    lines = [{**line, "command": command} for command in ("jaxland run <b>x</b>", "jaxland analyse x")]
    lines.append({"id": "1", "began": "2026-01-03 00:00:00 UTC", "version": "9.9", "command": "jaxland work x"})
    (copy / "logs" / "commands.jsonl").write_text("\n".join(map(json.dumps, lines)))
    page = _page(copy)
    assert "jaxland run <b>x</b>" in page.text
    assert "begun2026-01-02 03:04:05 UTCtook7 min" in page.text
    assert "2026-01-02 03:04:05 UTC3 min9.9donejaxland analyse x" in page.text
    assert "2026-01-03 00:00:00 UTC9.9not toldjaxland work x" in page.text
    with (copy / "logs" / "commands.jsonl").open("a") as file:
        file.write("".join(f"\n{json.dumps(line)}" for line in lines[1:2] * 999))
    assert "2026-01-02 03:04:05 UTC55.6 h9.9donejaxland analyse x (1,000 times)" in _page(copy).text


def test_the_citation_is_that_of_the_repository(page):
    told = (Path(__file__).parents[2] / "CITATION.cff").read_text()
    words = {name: re.search(f'^{name}: "?(.*?)"?$', told, re.M)[1] for name in ("title", "version")}
    (author,) = re.findall(r"^  - name: (.*)$", told, re.M)
    assert citation("") == f"{author}. {words['title']}. Version {words['version']}."
    assert citation("") in page.text
    assert citation("A and B, C (2017).").endswith(".\nA and B, C (2017).")


def test_the_same_directory_gives_the_same_bytes(study, page_file, tmp_path):
    code = "import sys; from jaxland.report import write_report; write_report(*sys.argv[1:])"
    subprocess.run([sys.executable, "-c", code, study, tmp_path / "again.html"], check=True)
    assert (tmp_path / "again.html").read_bytes() == page_file.read_bytes()


def test_the_page_is_written_into_the_study_and_leaves_it_as_it_was(copy):
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    assert write_report(copy) == copy / "report.html"
    after = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    assert after.pop(copy / "report.html").startswith(b"<!DOCTYPE html>")
    assert after == before


def test_a_study_that_is_not_analysed_says_how(copy):
    for name in ("analysis", "figures"):
        shutil.rmtree(copy / name)
    for name in ("claims.csv", "summary.md", "table.parquet"):
        (copy / name).unlink()
    said = []
    page = _page(copy, say=said.append)
    assert said == [f"Not analysed yet: there are no claims, figures and tables. jaxland analyse {copy}"]
    for what in ("claims", "figures", "tables"):
        assert f"No {what} here. Make them with jaxland analyse {copy}" in page.text
    assert "All 64 stored fits are counted." in page.text


def test_a_study_without_fits_says_how_to_go_on(copy):
    for name in ("analysis", "figures", "fits"):
        shutil.rmtree(copy / name)
    (copy / "summary.md").unlink()
    page = _page(copy)
    assert f"Fits are missing: 32 of momentum, 32 of adadelta. Mend it with jaxland resume {copy}" in page.text
    assert "No stored fit has a loss that could be drawn" in page.text
    assert [attributes for attributes, _ in page.programs] == [{}]
    assert not [each for each in page.named("div") if each.get("class") == "chart"]


def test_damage_is_said_and_the_rest_is_shown(copy):
    victim = StudyStore.open(copy).shards("adadelta")[1].path
    victim.write_bytes(victim.read_bytes()[:-1])
    (copy / "claims.csv").write_bytes((copy / "claims.csv").read_bytes()[:-200])
    (copy / "analysis" / "curves.csv").write_bytes(b"")
    (copy / "table.parquet").write_bytes(b"PAR1")
    for path in (copy / "figures").glob("figure-05*"):
        path.write_bytes(b"")
    page = _page(copy)
    assert f"their fits count as missing: {victim.name}. Mend it with jaxland resume {copy}" in page.text
    assert "Fits are missing: 8 of adadelta." in page.text
    assert "8 (8-15)" in page.text
    assert "claims.csv cannot be read." in page.text
    assert "table.parquet cannot be read." in page.text
    assert "figures/figure-05-losses.png, figures/figure-05-losses.svg, analysis/curves.csv." in page.text
    assert len(page.named("img")) == 8


def test_networks_and_commands_that_cannot_be_read_are_named(copy):
    (copy / "networks.json").write_text("{")
    (copy / "logs" / "commands.jsonl").unlink(missing_ok=True)
    (copy / "logs" / "commands.jsonl").mkdir(parents=True)
    assert "are left out: logs/commands.jsonl, networks.json." in _page(copy).text


@pytest.mark.parametrize("lose", [Path.unlink, lambda path: path.write_text("{")], ids=["lost", "damaged"])
def test_a_lost_manifest_is_said(copy, lose):
    lose(copy / "study.json")
    assert "study.json cannot be read; its content was taken from the shards." in _page(copy).text


def test_an_edited_manifest_is_said(copy):
    values = json.loads((copy / "study.json").read_text())
    (copy / "study.json").write_text(json.dumps({**values, "fits": 65}))
    text = _page(copy).text
    told = "study.json was edited or is damaged; its content was taken from the shards. fits: 65 there, 32 in the fits."
    assert told in text


def test_an_old_analysis_is_said(copy):
    StudyStore.open(copy).shards("adadelta")[-1].path.unlink()
    text = _page(copy).text
    assert "The analysis is of 64 fits, and 56 are stored" in text


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("figure,statement,source,measured,verdict\n1,2,3,4,agrees\n", "claims.csv was written by another version"),
        ("where,statement,source,measured,verdict\n1,2,3,4,maybe\n", "claims.csv cannot be read."),
        ("where,statement,source,measured,verdict\n1,2,3\n", "claims.csv cannot be read."),
        (None, "There is no claims.csv."),
    ],
)
def test_claims_that_cannot_be_read(copy, content, told):
    (copy / "claims.csv").unlink()
    if content is not None:
        (copy / "claims.csv").write_text(content)
    text = _page(copy).text
    assert told in text
    assert f"No claims here. Make them with jaxland analyse {copy}" in text


def test_a_study_whose_code_is_not_here_is_shown(copy):
    manifest = json.loads((copy / "study.json").read_text())
    origin = {"module": "of.tomorrow", "name": "STUDY"}
    rewritten(copy, {**manifest, "study": "tomorrow", "title": "a title", "origin": origin})
    text = _page(copy).text
    assert "A title" in text
    assert "All 64 stored fits are counted." in text


def test_what_others_add_is_picked_up(copy):
    pd.DataFrame({"fit": [3, 4], "barrier": [0.25, 1.0]}).to_csv(copy / "analysis" / "barriers.csv", index=False)
    old = copy / "figures" / "figure-05-losses.svg"
    (copy / "figures" / "figure-12-barriers-between-fits.svg").write_bytes(old.read_bytes())
    with open(copy / "claims.csv", "a") as file:
        file.write("12,every pair has a barrier,yes,0.25,agrees,two pairs\n")
    page = _page(copy)
    assert "Figure 12. Barriers between fits" in page.text
    assert "#figures/figure-12-barriers-between-fits" in [link["href"] for link in page.named("a")]
    assert "figure 12" in page.text
    assert "every pair has a barrier" in page.text
    assert "analysis/barriers.csv" in page.ids


def test_diverged_fits_are_counted(tmp_path):
    x = np.linspace(-1, 1, 8)
    ensemble = jl.Ensemble(jl.mlp([1, 2, 1]), jl.Problem(x, x), optax.sgd(1e6), steps=50)
    jl.run(jl.Study("small", NoSettings, lambda config: {"sgd": ensemble}, analyses={}), tmp_path / "s", fits=8)
    diverged = jl.studies.study_status(tmp_path / "s")["ensembles"]["sgd"]["diverged"]
    words = _page(tmp_path / "s").words
    assert diverged > 0
    assert words[words.index("diverged") + 1] == str(diverged)


def test_bad_arguments(study, tmp_path):
    with pytest.raises(ValueError, match=r"a report ends in \.html"):
        write_report(study, tmp_path / "study.json")
    with pytest.raises(ValueError, match="climbs"):
        write_report(study, "../r.html")
    with pytest.raises(StoreError, match="is not a study directory"):
        write_report(tmp_path)
    with pytest.raises(StoreError, match="is not a study directory"):
        write_report(tmp_path / "nothing", tmp_path / "r.html")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(StoreError, match="cannot write"):
        write_report(study, tmp_path / "folder.html")


def test_style_and_program_are_part_of_the_package():
    from importlib.resources import files

    names = {Path(str(file)).name for file in files("jaxland.report").joinpath("scripts").iterdir()}
    assert names == set(SCRIPTS)
    assert files("jaxland.report").joinpath("style.css").is_file()
