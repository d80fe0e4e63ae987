"""A study that is not jaxland's: in a file, in a package, in Python; kept, found again, refused where it changed."""

import dataclasses
import json
import re
import shutil
import subprocess
import sys
import textwrap
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import optax
import pandas as pd
import pytest

import jaxland as jl
from jaxland.store import StoreError
from jaxland.store.manifest import sealed
from jaxland.studies import Analysis, Findings, NoSettings, find_study, open_study
from jaxland.studies.engine import make_request
from jaxland.studies.finding import from_origin, origin_of
from jaxland.studies.general.distances import DistanceSettings

pytestmark = pytest.mark.sampled

SOURCE = """
from dataclasses import dataclass
import numpy as np, optax
import jaxland as jl

@dataclass(frozen=True)
class MyConfig:
    steps: int = 20
    rate: float = 0.05

def ensembles(config):
    x = np.linspace(-1, 1, 8)
    problem = jl.Problem(x, np.sin(3 * x))
    optimizer = optax.adam(config.rate)
    return {"adam": jl.Ensemble(jl.mlp([1, 3, 1], "tanh"), problem, optimizer, steps=config.steps)}

STUDY = jl.Study("mine", MyConfig, ensembles, analyses={})
"""


@dataclasses.dataclass(frozen=True)
class Config:
    """Of the study in this module."""

    steps: int = 20
    rates: tuple[float, ...] = (0.05,)


def _ensemble(optimizer=None, steps=20, shift=0.0, **fields):
    x = np.linspace(-1, 1, 8)
    problem = jl.Problem(x, np.sin(3 * x) + shift)
    return jl.Ensemble(jl.mlp([1, 3, 1], "tanh"), problem, optimizer or optax.adam(0.05), steps=steps, **fields)


def ensembles(config):
    """One ensemble a rate."""
    return {f"adam-{rate:g}": _ensemble(optax.adam(rate), config.steps) for rate in config.rates}


STUDY = jl.Study("here", Config, ensembles, analyses={})


def _values(**made):
    """A study of ensembles that are there, without analyses."""
    return jl.Study("values", NoSettings, lambda _: made, analyses={})


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "my_study.py"
    path.write_text(SOURCE)
    return path


@pytest.fixture(scope="module")
def run_once(tmp_path_factory):
    """A file's study, run."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "my_study.py").write_text(SOURCE)
    jl.run(folder / "my_study.py", folder / "run", fits=200)
    return folder


@pytest.fixture
def ran(run_once, tmp_path):
    """Copies of its file and its directory, where they were made."""
    kept = shutil.copytree(run_once, tmp_path / "kept")
    yield run_once / "my_study.py", run_once / "run"
    shutil.rmtree(run_once)
    shutil.copytree(kept, run_once)


def _bytes(path):
    return {str(each.relative_to(path)): each.read_bytes() for each in (path / "fits").rglob("*.parquet")}


def test_its_fits_are_those_of_jl_fit(run_once):
    runs = jl.open(run_once / "run")
    study = find_study(run_once / "my_study.py")
    ensemble = study.ensembles(study.config())["adam"]
    fits = jl.fit(ensemble.network, ensemble.problem, ensemble.optimizer, fits=200, steps=20)
    np.testing.assert_array_equal(runs.params("adam"), fits.params)
    stored = runs.fits("adam")
    for name in (
        "fit",
        "loss",
        "initial_loss",
        "best_loss",
        "best_step",
        "diverged_step",
        "params",
        "trace",
        "snapshots",
    ):
        np.testing.assert_array_equal(getattr(stored, name), getattr(fits, name))
    assert stored.config_hash == fits.config_hash


@pytest.mark.parametrize(
    "fits", [slice(0, 10), slice(60, 70), slice(3, None, 7), slice(-5, None), range(1, 200, 64), range(64, 128), None]
)
def test_fits_are_chosen_by_number(run_once, fits):
    runs = jl.open(run_once / "run")
    everything = runs.params()
    wanted = np.arange(200)[fits] if isinstance(fits, slice) else np.array(range(200) if fits is None else fits)
    np.testing.assert_array_equal(runs.params(fits=fits), everything[wanted])
    assert runs.table("adam", fits)["fit"].tolist() == wanted.tolist()
    assert sum(len(part["fit"]) for part in runs.stream("adam", ["fit"], fits)) == len(wanted)
    assert len(runs.fits(fits=fits)) == len(wanted)


def test_what_cannot_be_chosen_is_refused(run_once):
    runs = jl.open(run_once / "run")
    with pytest.raises(ValueError, match="has no ensemble 'nope'"):
        runs.fits("nope")
    with pytest.raises(ValueError, match=r"keeps no 'trace' of the fits of 'adam'; it has fit, status"):
        runs.trace()
    with pytest.raises(ValueError, match="has 0 of these 10 fits"):
        runs.params(fits=range(300, 310))
    for wrong in (range(5, 0, -1), slice(5, 0, -1)):
        with pytest.raises(ValueError, match="increasing slice or range"):
            runs.params(fits=wrong)
    with pytest.raises(ValueError, match=r"has no ensemble 'adm'; it has adam"):
        runs.params("adm")


def test_reading_needs_no_code(ran):
    file, path = ran
    before = jl.open(path).fits("adam")
    file.unlink()
    for name in [name for name in sys.modules if name.endswith("_my_study")]:
        del sys.modules[name]
    runs = jl.open(path)
    assert "200 fits of 'adam'" in repr(runs)
    assert runs.config == {"steps": 20, "rate": 0.05}
    assert runs.status()["ensembles"]["adam"]["done"] == 200
    assert len(runs.table()) == 200
    np.testing.assert_array_equal(runs.params(), before.params)
    with pytest.raises(StoreError, match=r"(?s)cannot be read: No such file.*--study my_study.py"):
        runs.fits("adam")


def test_it_is_found_again_by_its_file(ran):
    file, path = ran
    store, study, config = open_study(path)
    assert study.name == "mine"
    assert dataclasses.asdict(config) == {"steps": 20, "rate": 0.05}
    assert store.manifest.origin["file"] == str(file)


def test_an_edited_file_is_refused_and_can_be_named(ran):
    file, path = ran
    file.write_text(SOURCE + "# a remark\n")
    with pytest.raises(StoreError, match=r"was edited: its SHA-256 was"):
        open_study(path)
    jl.run(find_study(file), path, fits=210)  # the programs are the same
    assert open_study(path)[0].manifest.fits == 210
    assert jl.open(path).status()["ensembles"]["adam"]["done"] == 210


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("[1, 3, 1]", "[1, 4, 1]", "network"),
        ('"tanh"', '"relu"', "network|optimizer|program"),
        ("np.sin(3 * x)", "np.sin(4 * x)", "targets"),
        ("optax.adam(", "optax.sgd(", "optimizer|program"),
        ("steps=config.steps", "steps=config.steps + 1", "steps"),
        ("np.sin(3 * x))", 'np.sin(3 * x), loss="mean_absolute_error")', "loss|program"),
    ],
)
def test_another_program_is_refused_with_what_differs(ran, old, new, what):
    file, path = ran
    before = _bytes(path)
    file.write_text(SOURCE.replace(old, new))
    with pytest.raises(StoreError, match=rf"(?s)must not be mixed.*adam.*({what})"):
        jl.run(find_study(file), path, fits=210)
    assert _bytes(path) == before


def test_a_study_of_another_name_is_refused(ran):
    _, path = ran
    with pytest.raises(StoreError, match=r"(?s)another configuration.*study: 'mine' there, 'here' asked"):
        jl.run(STUDY, path, fits=200)


def test_no_code_is_executed_from_a_study_directory(ran):
    _, path = ran
    trap = path / "trap.py"
    trap.write_text("raise SystemExit('executed')\n" + SOURCE)
    manifest = json.loads((path / "study.json").read_text())
    from hashlib import sha256

    checksum = sha256(trap.read_bytes()).hexdigest()
    inside, foreign = "from which no code is executed", "was not written by jaxland|study.json cannot be read"
    for origin, message in (
        ({"name": "STUDY", "file": str(trap), "sha256": checksum}, inside),
        ({"name": "STUDY", "file": str(path / "fits" / ".." / "trap.py"), "sha256": checksum}, inside),
        ({"name": "STUDY", "module": "trap"}, inside),
        ({"name": "STUDY", "file": "trap.py", "sha256": checksum}, foreign),
        ({"name": "STUDY", "file": str(trap)}, foreign),
        ({"name": "STUDY", "file": 3}, foreign),
        ({}, foreign),
        ("abc", foreign),
    ):
        (path / "study.json").write_bytes(sealed({**manifest, "origin": origin}))
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(path)
            with pytest.raises(StoreError, match=message):
                open_study(path)


@pytest.mark.parametrize(
    "change",
    [{"fits": "x"}, {"fits": -3}, {"study": 5}, {"ensembles": ["../../x"]}, {"config": None}, {"ensembles": 3}],
)
def test_a_manifest_that_is_none_is_rebuilt(ran, change):
    file, path = ran
    manifest = json.loads((path / "study.json").read_text())
    (path / "study.json").write_text(json.dumps({**manifest, **change}))
    state = jl.open(path).status(quick=True)
    assert state["rebuilt"]
    assert state["ensembles"]["adam"]["done"] == 200
    with pytest.raises(StoreError, match=r"cannot be read, and shards do not tell where the code .*--study"):
        open_study(path)
    assert open_study(path, find_study(file))[1].name == "mine"


@pytest.mark.parametrize(("old", "new"), [("steps: int = 20", "stepz: int = 20"), ("rate: float = 0.05", "")])
def test_a_changed_configuration_is_refused_with_the_directory(ran, old, new):
    file, path = ran
    file.write_text(SOURCE.replace(old, new))
    with pytest.raises(StoreError, match=rf"configuration in {path} is none of the study 'mine' as its code is"):
        open_study(path, find_study(file))
    file.write_text(SOURCE.replace("rate: float = 0.05", "rate: float = 0.05\n    more: int = 1"))
    with pytest.raises(StoreError, match=r"configuration.more: nothing there, 1 asked"):
        jl.run(find_study(file), path, fits=200)


@pytest.mark.slow
def test_ensembles_by_name_are_a_study_too(tmp_path):
    outcome = jl.run({"a": _ensemble(), "b": _ensemble(optax.sgd(0.1))}, tmp_path / "s", fits=8)
    assert {path.name for path in outcome.files} >= {
        "losses.csv",
        "curves.csv",
        "distances.csv",
        "best.csv",
        "losses.png",
    }
    table = pd.read_csv(tmp_path / "s" / "analysis" / "losses.csv")
    assert table["fits"].tolist() == [8, 8]
    captions = json.loads((tmp_path / "s" / "figures" / "captions.json").read_text())
    assert set(captions) == {path.stem for path in outcome.files if path.suffix == ".png"}
    assert f"a {table['q50'][0]:.3g} (8 fits); b {table['q50'][1]:.3g} (8 fits)" in captions["losses"]
    before = _bytes(tmp_path / "s")
    jl.run({"a": _ensemble(), "b": _ensemble(optax.sgd(0.1))}, tmp_path / "s", fits=16)
    assert _bytes(tmp_path / "s").items() > before.items()
    assert pd.read_csv(tmp_path / "s" / "analysis" / "losses.csv")["fits"].tolist() == [16, 16]
    with pytest.raises(StoreError, match="given as a value in Python, which holds its code: make the same call"):
        open_study(tmp_path / "s")
    with pytest.raises(StoreError, match=r"(?s)another configuration.*ensembles: 'a, b' there, 'a' asked"):
        jl.run({"a": _ensemble()}, tmp_path / "s", fits=16)
    with pytest.raises(StoreError, match="must not be mixed"):
        jl.run({"a": _ensemble(shift=1.0), "b": _ensemble(optax.sgd(0.1))}, tmp_path / "s", fits=16)


def test_rows_that_would_not_tell_their_fits_are_not_given(tmp_path):
    study = _values(a=_ensemble())
    jl.run(study, tmp_path / "s", fits=24, shard_fits=8)
    runs = jl.open(tmp_path / "s", study)
    assert len(runs.fits()) == 24
    next((tmp_path / "s" / "fits").rglob("0000000008-*.parquet")).unlink()
    with pytest.raises(ValueError, match=r"has 16 of these 24 fits of 'a', so that rows would not tell"):
        runs.params()
    assert runs.params(fits=slice(16, None)).shape == (8, 10)
    assert [part["fit"][0] for part in runs.stream()] == [0, 16]
    assert runs.fits().fit.tolist() == [*range(8), *range(16, 24)]


def test_ensembles_of_two_number_formats_have_one_table(tmp_path):
    both = {name: _ensemble(dtype=name) for name in ("float32", "float64")}
    jl.run(_values(**both), tmp_path / "s", fits=4)
    table = pd.read_parquet(tmp_path / "s" / "table.parquet")
    assert table["precision"].tolist() == ["float32"] * 4 + ["float64"] * 4
    pd.testing.assert_frame_equal(table, jl.open(tmp_path / "s").table())


@pytest.mark.slow
def test_diverged_and_single_fits_are_analysed(tmp_path):
    one = {"lost": _ensemble(optax.sgd(1e30)), **dict.fromkeys([f"e{each}" for each in range(13)], _ensemble())}
    outcome = jl.run(one, tmp_path / "s", fits=1)
    assert "training.png" in {path.name for path in outcome.files}
    jl.run({"lost": _ensemble(optax.sgd(1e30))}, tmp_path / "t", fits=2)
    assert jl.open(tmp_path / "t").status()["ensembles"]["lost"]["diverged"] == 2


def test_general_analyses_are_right(tmp_path):
    """Beside NumPy, on the parameters that are stored."""
    jl.run({"a": _ensemble(steps=50)}, tmp_path / "s", fits=40)
    runs = jl.open(tmp_path / "s", {"a": _ensemble(steps=50)})
    assert len(runs.fits()) == 40
    losses, params = runs.table("a")["loss"].to_numpy(np.float64), runs.params("a").astype(np.float64)
    found = {
        name: pd.read_csv(tmp_path / "s" / "analysis" / f"{name}.csv")
        for name in ("losses", "best", "curves", "distances")
    }
    assert found["losses"]["q50"][0] == pytest.approx(np.median(losses), rel=1e-6)
    best = found["best"]
    np.testing.assert_array_equal(best["fit"], np.argsort(losses, kind="stable")[:20])
    np.testing.assert_allclose(best["energy"], (params[best["fit"]] ** 2).sum(axis=1), rtol=1e-6)
    curve = found["curves"]
    assert curve["step"].tolist()[0] == 0
    assert curve["step"].tolist()[-1] == 50
    assert curve["loss_median"].iloc[-1] == pytest.approx(np.median(losses), rel=1e-5)
    apart = found["distances"].set_index("distance")
    every = np.linalg.norm(params[:, None] - params[None], axis=2)[np.triu_indices(40, 1)]
    assert apart.loc["parameters", "q50"] == pytest.approx(np.median(every), rel=0.02)
    assert apart.loc["parameters", "largest"] <= every.max() * (1 + 1e-6)
    assert apart.loc["symmetrised", "q50"] < apart.loc["parameters", "q50"]


@pytest.mark.slow
def test_distances_say_where_no_symmetry_is_declared(tmp_path):
    known, said = _ensemble(), []
    network = jl.Network(known.network.init, known.network.apply)
    made = {"a": dataclasses.replace(known, network=network)}
    jl.run(made, tmp_path / "s", fits=4, analyses={"distances": DistanceSettings(fits=4)}, say=said.append)
    assert any("network 'custom' declares no symmetry" in line for line in said)
    table = pd.read_csv(tmp_path / "s" / "analysis" / "distances.csv")
    assert table["distance"].tolist() == ["parameters", "outputs"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", r"my_study.py holds no study. Write `STUDY = "),
        (SOURCE.replace("STUDY =", "A = B =").replace("A =", "A = None\nA ="), None),
        (
            SOURCE.replace("STUDY", "A") + 'B = jl.Study("other", MyConfig, ensembles, analyses={})\n',
            "holds several studies: A, B",
        ),
        ("x = (", r"my_study.py is no Python: line 1"),
        ("import jaxland\nraise RuntimeError('no')", r"my_study.py fails, line 2: RuntimeError: no"),
        ("import nowhere_to_be_found", r"fails, line 1: ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("raise SystemExit(3)", "ended Python when it was read"),
        (SOURCE + "\njl.run(STUDY, 'out', fits=1)\n", r"runs a study while it is read.*__main__"),
        (SOURCE.replace('"mine"', '"sawtooth"'), r"is named 'sawtooth', as is jaxland.replications.sawtooth:STUDY"),
        (SOURCE.replace("MyConfig, ens", "dict, ens"), "config of the study 'mine' must be a dataclass"),
        (
            SOURCE.replace("ensembles, analyses", "{}, analyses"),
            "must be a function from a configuration to a dictionary",
        ),
        (SOURCE.replace('"mine"', '"../mine"'), "cannot name a study"),
    ],
)
def test_files_without_a_study_to_be_had(file, text, message):
    file.write_text(text)
    if message is None:
        assert find_study(file).name == "mine"
        return
    with pytest.raises(ValueError, match=message) as caught:
        find_study(file)
    assert str(file) in str(caught.value)


PLAIN = """
import json, sys
import jaxland as jl
from jaxland.store.manifest import sealed
from jaxland.studies import open_study

path = sys.argv[1]
manifest = json.loads(open(f"{path}/study.json").read())


def told(work):
    try:
        return str(work())
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def changed(**fields):
    open(f"{path}/study.json", "wb").write(sealed({**manifest, **fields}))


for fields in ({"fits": "x"}, {"study": 5}, {"config": None}, {"ensembles": 3}, {"config_hash": 1}, {"fits": True}):
    changed(**fields)
    print(jl.open(path).status(quick=True)["rebuilt"])
for origin in ("abc", [1], {"name": "STUDY", "file": 3}, {"name": 1, "module": "this"}):
    changed(origin=origin)
    print(told(lambda: open_study(path)))


class Config:
    pass


print(told(lambda: jl.Study("a", Config, print)))
print(told(lambda: jl.Study("a", manifest, print)))
print(told(lambda: jl.run(3, "out")))
"""


def test_what_users_see_without_a_type_checker(ran):
    """Here types are checked at run time before jaxland's own refusals are reached; there they are not."""
    _, path = ran
    done = subprocess.run([sys.executable, "-c", PLAIN, path], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[:6] == ["True"] * 6
    assert all(re.match(r"StoreError: the code .* was not written by jaxland: ", line) for line in lines[6:10])
    assert all(line.startswith("TypeError: config of the study 'a' must be a dataclass") for line in lines[10:12])
    assert lines[12] == "TypeError: a study is a jaxland.Study, the name or file of one, or ensembles by name; got 3."


def test_a_name_of_an_installed_study_is_taken(tmp_path):
    with pytest.raises(ValueError, match="the study given is named 'sawtooth', as is jaxland"):
        jl.run(jl.Study("sawtooth", Config, ensembles, analyses={}), tmp_path / "s", fits=4)
    assert not (tmp_path / "s").exists()
    ours = find_study("sawtooth")  # with other analyses it is still that study
    assert make_request(dataclasses.replace(ours, title="ours"), None, tmp_path / "s").study.title == "ours"


def test_references(file):
    study = find_study(file)
    assert find_study(f"{file}:STUDY") is study
    assert find_study("jaxland.replications.sawtooth:STUDY").name == "sawtooth"
    for reference, message in (
        ("sawtoth", r"unknown study 'sawtoth'. Did you mean 'sawtooth'.*jaxland run my_study.py"),
        (f"{file}:MINE", "has no study named MINE; it has STUDY"),
        ("nowhere.at.all:STUDY", "there is no module nowhere.at.all"),
        ("jaxland.networks:STUDY", "has no study named STUDY"),
        ("missing.py", "missing.py cannot be read: No such file"),
    ):
        with pytest.raises(ValueError, match=message):
            find_study(reference)


def test_origins(file, tmp_path):
    assert origin_of(find_study("sawtooth")).module == "jaxland.replications.sawtooth"
    assert origin_of(find_study(file)).file == str(file)
    here = origin_of(STUDY)
    assert here.name == "STUDY"
    assert here.file == __file__
    assert origin_of(jl.Study("nowhere", Config, ensembles, analyses={})) is None
    again = from_origin(origin_of(find_study(file)).to_json(), tmp_path / "run")
    assert again is find_study(file)


_NAMES = iter("ab")


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda config: None, "must be returned by name"),
        (lambda config: {}, "must be returned by name"),
        (lambda: {}, "'changing' fail: TypeError: .* takes 0 positional arguments"),
        (lambda config: {}["a"], r"'changing' fail in .*test_own_study.py, line \d+: KeyError: 'a'"),
        (lambda config: sys.exit(0), r"'changing' fail in .*: SystemExit: 0"),
        (lambda config: {"a": _ensemble(steps=0)}, r"fail in .*, line \d+: ValueError: steps must be"),
        (lambda config: {"a": 1}, "must be jaxland.Ensemble by name; 'a' is int"),
        (lambda config: {"a": _ensemble(snapshots=(0, 3))}, "asks for snapshots"),
        (lambda config: {"a": _ensemble(start=np.ones((3, 10)))}, "describe 3 fits but 4 are asked for"),
        (lambda config: {"a b": _ensemble()}, "cannot name an ensemble"),
        (
            lambda config: {"a": _ensemble(shift=np.random.default_rng().random())},
            "is not the same when it is made again",
        ),
        (lambda config: {"a": _ensemble(seed=int(np.random.default_rng().integers(2**31)))}, "Draw what is random"),
        (lambda config: {next(_NAMES): _ensemble()}, "not the same each time: a at first, then b"),
    ],
)
def test_ensembles_that_are_none_or_change(tmp_path, made, message):
    with pytest.raises((TypeError, ValueError), match=message):
        jl.run(jl.Study("changing", Config, made, analyses={}), tmp_path / "s", fits=4)
    assert not (tmp_path / "s").exists()


@dataclasses.dataclass(frozen=True)
class Odd:
    """A configuration of whatever kind."""

    value: object = 0


class _Unknown:
    pass


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros(3), r"Odd.value holds .*which cannot be kept in study.json"),
        (_Unknown(), "cannot be kept in study.json"),
        ([1, 2], r"Odd.value = \[1, 2\] would come back as \(1, 2\)"),
        ({1: 2}, "would come back as"),
    ],
)
def test_configurations_that_cannot_be_kept(tmp_path, value, message):
    with pytest.raises(TypeError, match=message):
        jl.run(jl.Study("odd", Odd, lambda config: {"a": _ensemble()}, analyses={}), Odd(value), tmp_path / "s", fits=4)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("value", [3, 0.1, np.float64(0.1), "text", None, True, (1, 2), ((1, "a"), ()), float("nan")])
def test_configurations_that_can(tmp_path, value):
    plan = jl.studies.plan(
        jl.Study("odd", Odd, lambda config: {"a": _ensemble()}, analyses={}), Odd(value), tmp_path / "s"
    )
    assert plan.net_steps == 1024 * 20


def test_a_configuration_that_is_needed(tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Needed:
        steps: int

    study = jl.Study("needing", Needed, lambda config: {"a": _ensemble(steps=config.steps)}, analyses={})
    with pytest.raises(TypeError, match=r"'needing' needs a configuration: .*steps"):
        jl.run(study, tmp_path / "s", fits=4)
    with pytest.raises(TypeError, match=r"is configured by Needed; got Odd"):
        jl.run(study, Odd(), tmp_path / "s", fits=4)


def test_analyses_of_its_own(tmp_path):
    def find(context):
        assert context.config == Config()
        shares = {name: [ensemble.steps] for name, ensemble in context.ensembles.items()}
        return Findings({"steps.csv": pd.DataFrame(shares)}, {}, [])

    study = jl.Study("asking", Config, ensembles, analyses={"steps": Analysis(find)})
    outcome = jl.run(study, tmp_path / "s", fits=4)
    assert pd.read_csv(tmp_path / "s" / "analysis" / "steps.csv")["adam-0.05"].tolist() == [20]
    assert outcome.claims == []
    with pytest.raises(ValueError, match=r"unknown analysis 'stps'. Did you mean 'steps'"):
        jl.run(study, tmp_path / "s", fits=4, analyses={"stps": None})


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "module"])
def test_executors_give_the_same_bytes(tmp_path, file, kind):
    """Workers import a study's module, or execute its file."""
    study = {"file": find_study(file), "module": STUDY}[kind]
    jl.run(study, tmp_path / "here", fits=24, shard_fits=8)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        jl.run(study, tmp_path / "there", fits=24, shard_fits=8, executor=executor)
    assert len(_bytes(tmp_path / "here")) == 3
    assert _bytes(tmp_path / "here") == _bytes(tmp_path / "there")


def test_threads_take_what_cannot_travel(tmp_path):
    with ThreadPoolExecutor(2) as executor:
        jl.run(_values(a=_ensemble()), tmp_path / "s", fits=24, shard_fits=8, executor=executor)
    assert jl.open(tmp_path / "s").status()["ensembles"]["a"]["done"] == 24


def test_what_cannot_travel_says_so(tmp_path, monkeypatch):
    class NoPool(Executor):
        def submit(self, *arguments):
            raise AssertionError("nothing may be submitted")

    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(TypeError, match=r"cannot be sent to other processes.*pip install cloudpickle"):
        jl.run(_values(a=_ensemble()), tmp_path / "s", fits=24, executor=NoPool())


def test_two_packages_with_one_name(monkeypatch):
    from importlib.metadata import EntryPoint

    from jaxland.studies import registry

    points = [EntryPoint("twice", f"package_{each}:STUDY", registry.GROUP) for each in "ab"]
    broken = [EntryPoint("broken", "json:dumps", registry.GROUP), EntryPoint("gone", "nowhere:STUDY", registry.GROUP)]
    monkeypatch.setattr(registry, "entry_points", lambda group: points + broken)
    registry._points.cache_clear()
    try:
        with pytest.raises(ValueError, match=r"two installed packages offer a study named 'twice': package_a:STUDY"):
            find_study("twice")
        with pytest.raises(ValueError, match=r"'broken' .* is no jaxland.Study"):
            find_study("broken")
        with pytest.raises(ValueError, match=r"'gone' .* cannot be imported: ModuleNotFoundError"):
            find_study("gone")
    finally:
        registry._points.cache_clear()


def test_a_million_fits_are_planned_without_being_numbered_one_by_one(tmp_path):
    plan = jl.studies.plan(STUDY, tmp_path / "s", fits=1_000_000)
    assert sum(task.stop - task.start for task in plan.tasks) == 1_000_000
    assert len(plan.tasks) < 200


def test_a_study_beside_its_helpers(tmp_path):
    (tmp_path / "helpers_of_mine.py").write_text("STEPS = 7\n")
    text = textwrap.dedent(SOURCE).replace("steps: int = 20", "steps: int = helpers_of_mine.STEPS")
    (tmp_path / "with_helpers.py").write_text("import helpers_of_mine\n" + text)
    assert find_study(tmp_path / "with_helpers.py").config().steps == 7
