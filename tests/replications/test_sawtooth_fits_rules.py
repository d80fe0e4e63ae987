"""Every rule about the sawtooth's fits, on made-up data: it can say no."""

import dataclasses

import numpy as np
import pytest
from replications.counterexamples import Case, check, check_complete

from jaxland.problems import sawtooth
from jaxland.replications.sawtooth import knots, settings, smoothing, students, training
from jaxland.replications.sawtooth.measures import wave_shares
from jaxland.replications.sawtooth.overview import judging
from jaxland.replications.sawtooth.overview.reduction import FitSample
from jaxland.replications.sawtooth.statements.fits import BLOCKS, CONCLUSIONS, FITS
from jaxland.statistics import Histogram
from jaxland.studies import Statements

STATEMENTS = Statements(*FITS, *CONCLUSIONS)
RNG = np.random.default_rng(0)
COUNT = 12_000
VARIANCE = 0.0123


def around(value, spread=0.0, count=COUNT):
    return value + spread * RNG.normal(size=count)


SAMPLE = FitSample(
    fit=np.arange(COUNT),
    loss=around(0.0045, 1e-5),
    turns=around(3.0),
    wave=around(0.01, 0.01),
    middle=around(0.01, 0.01),
    largest=around(1.0, 0.1),
    radius=around(10.0, 0.1),
    pairs=around(7.0, 0.1, COUNT // 2),
    cosines=around(0.8, 0.01, COUNT // 2),
    closest=around(4.0, 0.1, BLOCKS),
    lowest=around(0.6, 0.01, BLOCKS),
)


def sample(**changes):
    return dataclasses.replace(SAMPLE, **changes)


def first(count, each):
    """The first fits of a sample."""
    names = ("fit", "loss", "turns", "wave", "middle", "largest")
    return dataclasses.replace(each, **{name: getattr(each, name)[:count] for name in names})


def halves(one, other, share=0.5, count=COUNT):
    """So many of one value, the rest of another."""
    return np.where(np.arange(count) < share * count, one, other)


def only(name, made):
    (found,) = [each for each in made if each.name == name]
    return found


def of_fits(name, *changes):
    def make(changed):
        return lambda: only(name, judging.fit_claims("momentum", sample(**changed), 31, 4.0))

    return Case(*map(make, changes))


def of_distances(name, *changes):
    def make(changed):
        return lambda: only(name, judging.distance_claims("momentum", sample(**changed), 3.0))

    return Case(*map(make, changes))


def of_both(name, *changes):
    """Changes of adadelta's fits against the sample."""

    def make(changed):
        both = {"momentum": first(2_000, SAMPLE), "adadelta": first(2_000, sample(**changed))}
        return lambda: only(name, judging.both_claims(both, VARIANCE))

    return Case(*map(make, changes))


STEPS = np.array([0, 10, 100, 1_000, 10_000, 50_000])


def course(medians=(1, 10, 12, 14, 16, 17), loss=(0.1, 0.02, 0.006, 0.0046, 0.0045, 0.0045), spread=0.0):
    fits = 64
    found = np.tile(np.array(medians, float), (fits, 1)) + spread * RNG.normal(size=(fits, 6))
    return training.Course(STEPS, np.tile(np.array(loss), (fits, 1)), np.rint(found).astype(int))


def of_course(name, *courses):
    return Case(
        *[lambda each=each: only(name, training.course_claims("momentum", each, 7_775, 31)) for each in courses]
    )


def scattered(column, low, high):
    """A course whose fits end half at one loss and half at another after one of the steps."""
    each = course()
    loss = each.loss.copy()
    loss[:, column] = halves(low, high, count=64)
    return dataclasses.replace(each, loss=loss)


def counted(values):
    histogram = Histogram.spanning(-0.5, 999.5, 1000).add(np.asarray(values, float))
    return lambda name: only(name, knots.knot_claims("momentum", histogram, 31, 7_775))


def of_knots(name, *values):
    return Case(*[lambda each=each: counted(each)(name) for each in values])


def school(left=0.001, built=0.36, nearer=1.0, spread=0.0):
    teachers, fits = 32, 4
    apart = np.full((teachers, fits), 6.0)
    own = apart - nearer + spread * RNG.normal(size=(teachers, fits))
    built = np.broadcast_to(built, teachers * fits).copy()
    left = np.broadcast_to(left, (fits, teachers)).T.copy()
    return students.School(np.arange(teachers), left, built, own, apart)


def of_school(name, *schools):
    return Case(*[lambda each=each: only(name, students.school_claims("momentum", each)) for each in schools])


def noisy(learnt=0.04, truth=0.05, inside=0.95, early=0.01, spread=0.0):
    steps, fits = np.array([0, 1_000, 30_000]), 64
    columns = {"inside": inside, "truth": truth, "learnt": learnt}
    found = {key: np.broadcast_to(value, (3, fits)).T.copy() for key, value in columns.items()}
    found["learnt"][:, 1] = early + spread * RNG.normal(size=fits)
    return smoothing.Noisy(steps, **found, parameters=136, points=320)


def of_noise(name, *made):
    return Case(*[lambda each=each: only(name, smoothing.noise_claims("momentum", each)) for each in made])


def either(low, high):
    return halves(low, high, count=64)


def goes_on(*ends):
    def make(end):
        other = course()
        loss = other.loss.copy()
        loss[:, -1] = end
        return lambda: training.goes_on_claim(course(), dataclasses.replace(other, loss=loss))

    return Case(*map(make, ends))


CASES = {
    "less-complex": of_knots("less-complex", [17] * 600, [900] * 600, [17] * 594 + [800] * 6),
    "complexity-grows": of_course(
        "complexity-grows", course(), course((1, 10, 18, 14, 15, 14)), course((1, 10, 12, 11, 13, 14), spread=6.0)
    ),
    "complexity-bounded": of_course(
        "complexity-bounded",
        course(),
        course((1, 10, 2_000, 14, 16, 17)),
        dataclasses.replace(course(), knots=np.tile(either(20, 1_000)[:, None], (1, 6))),
    ),
    "random-smooth": of_course(
        "random-smooth",
        course(),
        course((20, 21, 22, 23, 24, 25)),
        dataclasses.replace(course(), knots=np.tile(either(1, 20)[:, None], (1, 6))),
    ),
    "denoised": of_fits("denoised", {}, {"wave": halves(0.9, 0.0)}, {"wave": halves(0.9, 0.0, 0.05)}),
    "less-complex-than-target": of_knots("less-complex-than-target", [17] * 200, [40] * 200, [17] * 100 + [40] * 100),
    "never-found": of_fits("never-found", {}, {"loss": halves(1e-9, 0.0045)}, {"loss": halves(1e-9, 0.0045, 0.01)}),
    "trained-is-easy": of_school(
        "trained-is-easy", school(), school(left=0.3), school(left=halves(0.01, 0.3, count=32))
    ),
    "constructed-is-hard": of_school(
        "constructed-is-hard", school(), school(built=0.01), school(built=halves(0.01, 0.36, count=128))
    ),
    "minima-similar": of_school("minima-similar", school(), school(nearer=-1.0), school(nearer=0.0, spread=1.0)),
    "perfect-fit": Case(lambda: judging.perfect_claim(1e-14, 320), lambda: judging.perfect_claim(1e-3, 320)),
    "symmetric": Case(
        lambda: judging.symmetric_claim("momentum", 1e-9), lambda: judging.symmetric_claim("momentum", 0.01)
    ),
    "large-values": of_fits("large-values", {}, {"largest": around(5.0)}, {"largest": halves(5.0, 1.0, 0.05)}),
    "one-fit": of_fits("one-fit", {}, {"turns": around(31.0)}, {"turns": halves(3.0, 31.0)}),
    "any-optimizer": Case(
        lambda: settings.any_optimizer_claim("adam", [np.zeros(256), np.full(256, 0.1)]),
        lambda: settings.any_optimizer_claim("adam", [np.zeros(256), np.full(256, 0.9)]),
        lambda: settings.any_optimizer_claim("adam", [np.zeros(256), halves(0.9, 0.0, 0.05, 256)]),
    ),
    "training-points": Case(lambda: judging.points_claim(320), lambda: judging.points_claim(64)),
    "settles": of_course("settles", course(), course(loss=(1, 1, 1, 1, 0.5, 0.5)), scattered(3, 0.0045, 0.009)),
    "local-minimum": of_course(
        "local-minimum", course(), course(loss=(1, 1, 1, 1, 1, 0.5)), scattered(-1, 0.0045, 0.002)
    ),
    "adadelta-goes-on": goes_on(0.004, 0.0048, either(0.004, 0.0048)),
    "adadelta-closer": of_both(
        "adadelta-closer",
        {"loss": halves(0.003, 0.0045, 0.1)},
        {"loss": SAMPLE.loss},
        {"loss": halves(0.003, 0.0045, 3 / COUNT)},
    ),
    "flat-mean": of_fits("flat-mean", {}, {"wave": around(0.3, 0.01)}, {"wave": around(0.1, 1.0)}),
    "wiggle": of_both(
        "wiggle", {"middle": around(0.05, 0.01)}, {"middle": around(0.01, 0.01)}, {"middle": around(0.02, 1.0)}
    ),
    "best-fits": of_both(
        "best-fits",
        {"loss": around(0.003, 1e-5)},
        {"loss": around(0.006, 1e-5)},
        {"loss": RNG.permutation(SAMPLE.loss)},
    ),
    "not-optimal": of_fits("not-optimal", {}, {"loss": around(1e-9)}),
    "spike": of_fits("spike", {}, {"loss": around(0.003)}, {"loss": halves(0.0045, 0.003, 0.25)}),
    "lower-losses": of_both(
        "lower-losses",
        {"loss": around(0.004)},
        {"loss": around(0.006)},
        {"loss": SAMPLE.loss + halves(1e-3, -1e-3, 1_000 / COUNT)},
    ),
    "wider-losses": of_both(
        "wider-losses",
        {"loss": around(0.0045, 1e-4)},
        {"loss": halves(VARIANCE, 0.0045, 0.01)},
        {"loss": RNG.permutation(SAMPLE.loss)},
    ),
    "similar-energies": of_both(
        "similar-energies",
        {},
        {"loss": around(0.002)},
        {"loss": halves(0.0045, 0.0025, 1_000 / COUNT) + around(0, 1e-5)},
    ),
    "all-different": Case(
        lambda: only("all-different", judging.distance_claims("momentum", SAMPLE, 3.0)),
        lambda: only("all-different", judging.distance_claims("momentum", SAMPLE, 1e-6)),
    ),
    "closest-pair": of_distances(
        "closest-pair", {}, {"closest": np.full(BLOCKS, 2.0)}, {"closest": np.linspace(2.0, 5.0, BLOCKS)}
    ),
    "pair-distances": of_distances(
        "pair-distances", {}, {"pairs": np.full(6_000, 9.0)}, {"pairs": halves(7.0, 9.0, count=6_000)}
    ),
    "from-minimum": of_distances("from-minimum", {}, {"radius": around(12.0)}, {"radius": halves(10.0, 12.0)}),
    "one-sided": of_distances(
        "one-sided", {}, {"cosines": around(-0.1, 0.5, 6_000)}, {"cosines": halves(-0.1, 0.8, 0.01, 6_000)}
    ),
    "corner": of_distances("corner", {}, {"lowest": np.full(BLOCKS, 0.3)}, {"lowest": np.linspace(0.3, 0.7, BLOCKS)}),
    "gaussian-too": Case(
        lambda: judging.gaussian_claim(136), lambda: judging.gaussian_claim(3), lambda: judging.gaussian_claim(65)
    ),
    "fewer-parameters": of_noise("fewer-parameters", noisy(), noisy(learnt=0.4), noisy(learnt=either(0.01, 0.5))),
    "generalises": of_noise("generalises", noisy(), noisy(truth=0.9), noisy(truth=either(0.1, 0.9))),
    "time-controls": of_noise("time-controls", noisy(), noisy(early=0.2), noisy(early=0.04, spread=0.1)),
    "smooths": of_noise("smooths", noisy(), noisy(inside=0.1), noisy(inside=either(0.1, 0.9))),
}


@pytest.mark.parametrize("dead", [0.1, 1.0])
def test_a_constant_is_no_denoised_version_of_a_function(dead):
    """From outputs: constants and smooth curves have as little of the wave, and only the latter its rest."""
    target = sawtooth().target
    x = np.linspace(-1, 1, 641)
    smooth = target(x) - target.wave(x)
    dead = np.arange(400) < dead * 400
    curves = np.where(dead[:, None], smooth.mean(), smooth)
    wave, loss = wave_shares(x, target.wave(x), curves), ((curves - target(x)) ** 2).mean(axis=1)
    assert np.abs(wave).max() < 0.01
    assert (wave < 0.5).all()
    each = dataclasses.replace(first(400, SAMPLE), wave=wave, loss=loss)
    assert only("denoised", judging.fit_claims("momentum", each, 31, 4.0)).verdict == "differs"
    alive = dataclasses.replace(each, loss=np.full(400, ((smooth - target(x)) ** 2).mean()))
    assert only("denoised", judging.fit_claims("momentum", alive, 31, 4.0)).verdict == "agrees"


@pytest.mark.parametrize("fits", [2, 3])
def test_fits_too_few_to_be_drawn_from_have_no_interval(fits):
    """Of a few a sample may hold one alone, which does not deviate from itself."""
    losses = np.linspace(0.001, 0.002, fits)
    claim = judging.wider_claim(losses, 2 * losses, variance=0.0123)
    assert (claim.verdict, claim.judged) == ("not tested", "")


@pytest.mark.parametrize("name", CASES)
def test_a_rule_can_say_no(name):
    check(name, STATEMENTS[name], CASES[name])


def test_every_rule_has_its_case():
    check_complete(STATEMENTS, CASES)


def test_few_fits_are_not_judged_and_what_the_source_does_not_say_of_adadelta_is_measured():
    few = {each.name: each.verdict for each in judging.fit_claims("momentum", first(50, SAMPLE), 31, 4.0)}
    assert few.pop("not-optimal") == "agrees"  # of the fits there are
    assert set(few.values()) == {"not tested"}
    made = judging.distance_claims("adadelta", SAMPLE, 3.0)
    assert [each.name for each in made if each.verdict] == ["all-different", "closest-pair", "one-sided"]
    assert sum(not each.verdict for each in made) == 3
