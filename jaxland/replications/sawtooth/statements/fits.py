"""Sections 1 to 4.5 and figures 1 to 7: what is said of the fits themselves; and the conclusions."""

from jaxland.studies import Above, All, AtLeast, Below, Each, Equals, Rule, Statement, Within

SMOOTH_LOSS = 0.0045
"""Of the smooth fit, as the source has it."""
NEAR = 0.05
"""Relative distance within which a loss is that of the smooth fit."""
PAIRS, FROM_MINIMUM, CORNER = (6.0, 8.0), (9.5, 10.5), 0.6
"""The source's distances of pairs and from the global minimum, and its smallest dot product."""
HALF_THE_WAVE = 0.5
"""A fit with less of the wave does not hold the sawtooth."""
SMOOTH = 0.5
"""Relative distance of a loss from the smooth fit's beyond which a fit is not the smooth part of its target."""
BLOCKS = 8
"""Of fits, each with its own extremes of a million pairs: as many as an interval of 95 % needs, and two to spare."""
SAME = 1e-3
"""Distance below which two fits are the same, and loss, in units of the smooth fit's, below which one is perfect."""

_NO_DIFFERENCE = "0 is no difference"
_EXTREME_FITS = BLOCKS * 1_500
"""So that each block has a million pairs."""

FITS: tuple[Statement, ...] = (
    Statement(
        "less-complex",
        "section 1",
        "trained networks are far less complex than their architecture allows",
        "vastly less",
        Rule(
            Below(0.1, "% of the possible knots, at the 99 % quantile of fits"), "ours", "'vastly' has no number", 500
        ),
    ),
    Statement(
        "complexity-grows",
        "section 1",
        "complexity increases smoothly with training time",
        "increases smoothly",
        Rule(
            All(
                {
                    "from step 10 on a fit gains": Above(0, "knots in the mean"),
                    "in no three-fold of the steps it changes by less than": AtLeast(-1, "knot"),
                    "the largest such change is": Below(0.75, "% of the whole rise"),
                }
            ),
            "ours",
            "a rise is above 0; what 'smoothly' means was set by us",
            32,
        ),
    ),
    Statement(
        "complexity-bounded",
        "section 1",
        "at no time of the training is complexity near what the architecture allows",
        "much less",
        Rule(Below(0.1, "% of the possible knots, for the most a fit has at any step, in the median"), "ours", "", 32),
    ),
    Statement(
        "random-smooth",
        "section 1",
        "randomly initialised networks have smooth output of low complexity",
        "smooth",
        Rule(Below(0.25, "of the target's knots, in the median"), "ours", "a quarter", 32),
    ),
    Statement(
        "denoised",
        "section 1",
        "local minima are a de-noised version of the function, without its high frequencies",
        "removed",
        Rule(
            All(
                {
                    "the wave, but for less than half of it, is gone in": Above(0.95, "% of fits"),
                    "the rest of the function, to half of the smooth fit's loss, is there in": Above(0.95, "% of them"),
                }
            ),
            "ours",
            "'always' is taken as 95 %; the second part since a constant has no wave either",
            100,
        ),
    ),
    Statement(
        "less-complex-than-target",
        "section 1",
        "so that they have fewer knots than the function they are fitted to",
        "fewer",
        Rule(Below(1, "of the target's knots, in the median"), "source", "fewer", 100),
    ),
    Statement(
        "never-found",
        "section 1",
        "it is essentially impossible to reach a global minimum in training",
        "impossible",
        Rule(Below(0.01, "% of fits reach a thousandth of the smooth fit's loss"), "ours", "'essentially' is 1 %", 100),
    ),
    Statement(
        "trained-is-easy",
        "section 1",
        "a second network is easily trained to the output of a trained one",
        "relatively easy",
        Rule(Below(0.05, "% of the teacher's variance is left, in the median"), "beforehand", "a twentieth", 16),
    ),
    Statement(
        "constructed-is-hard",
        "section 1",
        "a network constructed to produce a complex output is difficult for another of its architecture to train to",
        "difficult",
        Rule(Above(0.2, "% of its variance is left, in the median"), "beforehand", "a fifth", 100),
    ),
    Statement(
        "minima-similar",
        "section 1",
        "good local minima of the two networks are similar",
        "likely to be similar",
        Rule(Above(0, "nearer to its own teacher than to others"), "convention", _NO_DIFFERENCE, 16),
    ),
    Statement(
        "only-as-output",
        "section 2",
        "the only way to produce such a function is as the output of the network itself",
        "only way",
        untested="that there is no other way cannot be measured",
    ),
    Statement(
        "perfect-fit",
        "1, section 2",
        "the constructed network W_f fits its target perfectly",
        "loss 0",
        Rule(Below(1e-12), "convention", "rounding of float64", exact=True),
    ),
    Statement(
        "unused-units",
        "section 2",
        "many units on the right are unused, so that the network is larger than it needs to be",
        "many",
        untested="a remark on the construction, true of it by definition",
    ),
    Statement(
        "smaller-degenerate",
        "section 2",
        "networks much smaller than 5 x 5 tend to be degenerate",
        "degenerate",
        untested="the source says neither which networks nor what degenerate means",
    ),
    Statement(
        "symmetric",
        "section 3",
        "scaling units and exchanging them leaves the output unchanged",
        "unchanged",
        Rule(Below(1e-5, "for the output that changes most"), "ours", "rounding: outputs are below 1", exact=True),
    ),
    Statement(
        "symmetry-group",
        "section 3",
        "there are (N!)^K permutations of units",
        "(N!)^K",
        untested="a theorem: no measurement could contradict it",
    ),
    Statement(
        "large-values",
        "section 3",
        "the hand-made W_f has unusually large values",
        "unusually large",
        Rule(
            Above(0.95, "% of fits have no value as large, before symmetrisation"),
            "ours",
            "unusual is what 5 % exceed",
            100,
        ),
    ),
    Statement(
        "smoother-paths",
        "section 3",
        "symmetrisation makes paths in weight space slightly smoother",
        "slightly smoother",
        untested="all paths here are between symmetrised points",
    ),
    Statement(
        "symmetrisation-no-matter",
        "section 3",
        "and does not fundamentally affect the observations",
        "not affected",
        untested="all distances and paths here are between symmetrised points",
    ),
    Statement(
        "one-fit",
        "2, section 4.1",
        "a fit is smooth where f is not",
        "smooth",
        Rule(Below(0.5, "of the turns of f, in the median"), "ours", "half of them", 100),
    ),
    Statement(
        "any-optimizer",
        "section 4.1",
        "which optimizer one uses and how long one trains does not much matter: fits look like that",
        "not much",
        Rule(
            Each(Above(0.95, "% of fits hold less than half of the wave")),
            "ours",
            "at each of the steps looked at; 'always' is taken as 95 %; constants, which have no wave either, count",
            100,
        ),
    ),
    Statement(
        "training-points",
        "section 4.2",
        "knots and nine points between each two of them are 320 points",
        "320",
        Rule(Equals(320), "source", "its count", exact=True),
    ),
    Statement(
        "settles",
        "section 4.2",
        "after a few hundred steps the model appears to be stable",
        "a few hundred steps",
        Rule(Below(1.1, "times the last loss after 1,000 steps, in the median"), "ours", "10 %", 32),
    ),
    Statement(
        "local-minimum",
        "section 4.2",
        "tens of thousands of steps more of gradient descent only show that a local minimum was found",
        "a local minimum",
        Rule(Above(0.95, "% of the loss after 10,000 steps is left, in the median"), "ours", "'stays' is 5 %", 32),
    ),
    Statement(
        "adadelta-goes-on",
        "section 4.2",
        "with so many steps adadelta does a little better than gradient descent",
        "a little better",
        Rule(Above(0, "% more of the loss after 10,000 steps is lost by adadelta"), "convention", _NO_DIFFERENCE, 32),
    ),
    Statement(
        "adadelta-closer",
        "section 4.2",
        "adadelta is more likely to stumble closer to the global minimum",
        "more likely",
        Rule(
            Above(0, "% more of its fits have less than three quarters of the smooth fit's loss"),
            "ours",
            "0 is no difference, but three quarters are ours; closer in loss, for in parameters it is further",
            100,
        ),
    ),
    Statement(
        "flat-mean",
        "3",
        "the mean fit is flat and does not hold the sawtooth",
        "flat",
        Rule(Within(0, 0.1, "% of the wave"), "ours", "1 would be the whole wave", 100),
    ),
    Statement(
        "wiggle",
        "3",
        "the mean fit of adadelta has a slight wiggle in the middle, that of gradient descent has none",
        "wiggle",
        Rule(
            Above(0.01, "% more of the wave is in it on |x| < 0.3"), "ours", "a hundredth of the wave can be seen", 100
        ),
    ),
    Statement(
        "best-fits",
        "4",
        "the best fit of adadelta is better than that of gradient descent",
        "adadelta < gradient descent",
        Rule(Above(0), "convention", f"{_NO_DIFFERENCE}; best losses of {BLOCKS} blocks of fits", 100 * BLOCKS),
    ),
    Statement(
        "not-optimal",
        "4",
        "and cannot quite find an optimum",
        "above 0",
        Rule(Above(SAME, "of the smooth fit's loss"), "ours", "less would be an optimum", exact=True),
    ),
    Statement(
        "smooth-loss",
        "section 4.4",
        "the loss of the smooth fit is about 0.0045",
        "0.0045",
        untested="the amplitude of our target, which the source does not tell, was chosen to give this number",
    ),
    Statement(
        "spike",
        "5",
        "losses have a large spike at the smooth fit",
        "0.0045",
        Rule(Above(0.25, "% of fits are within 5 % of it"), "ours", "'large' is a quarter", 100),
    ),
    Statement(
        "lower-losses",
        "5",
        "adadelta does better",
        "adadelta < gradient descent",
        Rule(Above(0, "for gradient descent's median loss less adadelta's"), "ours", f"medians; {_NO_DIFFERENCE}", 100),
    ),
    Statement(
        "wider-losses",
        "5",
        "its losses have a wider variance",
        "adadelta > gradient descent",
        Rule(
            Above(1, "times the standard deviation, without dead fits"),
            "ours",
            "1 is no difference, but fits that are constant under either optimizer are left out",
            100,
        ),
    ),
    Statement(
        "similar-energies",
        "section 4.4",
        "the energies of minima found by either optimizer are fairly similar",
        "fairly similar",
        Rule(Below(1.25), "ours", "medians, the larger over the smaller", 100),
    ),
    Statement(
        "all-different",
        "section 4.5",
        "no two fits are the same after symmetrisation",
        "none",
        Rule(Above(SAME), "ours", "the closest pair looked at; less would be the same", exact=True),
    ),
    Statement(
        "closest-pair",
        "6",
        "the smallest distance of a million pairs is about 4",
        "4",
        Rule(Within(4, 0.5), "source", "its digit", _EXTREME_FITS),
    ),
    Statement(
        "pair-distances",
        "6",
        "local minima are 6 to 8 from each other",
        "6-8",
        Rule(Above(0.5, "% of pairs"), "ours", "the source's range; of its 'all' more than half", 100),
    ),
    Statement(
        "from-minimum",
        "7, 8",
        "most local minima are 9.5 to 10.5 from the global minimum",
        "about 10",
        Rule(Above(0.5, "% of fits"), "source", "its range; 'most' is more than half", 100),
    ),
    Statement(
        "one-sided",
        "section 4.5",
        "local minima are all to one side of the global minimum: no dot products of directions are negative",
        "none",
        Rule(Below(0.01, "% of pairs"), "ours", "'none' is 1 %", 500),
    ),
    Statement(
        "corner",
        "section 4.5",
        "the smallest dot product of unit directions from the global minimum to local minima is about 0.6",
        "0.6",
        Rule(Within(CORNER, 0.05), "source", "its digit", _EXTREME_FITS),
    ),
    Statement(
        "gaussian-too",
        "section 4.5",
        "a Gaussian cloud in as many dimensions, seen from one of its points, has no negative dot products either",
        "the same property",
        Rule(Above(0.95, "% of clouds"), "ours", "'will have' is 95 %", 100),
    ),
)

CONCLUSIONS: tuple[Statement, ...] = (
    Statement(
        "fewer-parameters",
        "abstract",
        "the empirical complexity of fitted networks is vastly less than a count of parameters suggests",
        "vastly less",
        Rule(
            Below(0.5, "of the noise that as many free linear parameters learn"),
            "beforehand",
            "1 is what the count suggests; 'vastly' is half",
            32,
        ),
    ),
    Statement(
        "generalises",
        "abstract",
        "and this implicit regularisation is beneficial for generalisation",
        "beneficial",
        Rule(Below(1), "ours", "1 is the error against the truth of as many free linear parameters", 32),
    ),
    Statement(
        "time-controls",
        "section 5",
        "training time controls how complex the output of a network can be",
        "controls",
        Rule(Above(0, "% more of the noise is learnt later"), "convention", _NO_DIFFERENCE, 32),
    ),
    Statement(
        "smooths",
        "section 5",
        "networks of moderate size smooth their data rather than reproduce them",
        "smooth",
        Rule(Above(0.5, "% of the noise is left in the data's errors"), "ours", "0 is to reproduce them", 32),
    ),
    Statement(
        "oracle",
        "section 5",
        "with an oracle for global optima smaller models would be regularised in the same way",
        "the same sort",
        untested="there is no such oracle",
    ),
)
