"""What the source says of backpropagation, in its order, each statement with the rule that judges it."""

from jaxland.studies import Above, All, AtLeast, Below, Equals, Rule, Stated, Statement, Statements, Within

SOURCE_EPOCHS = 300_000
"""How many the source's a takes at least."""
NEAR, SAME = 0.05, 1e-6
"""Distances within which a point is the source's, and one that is known exactly."""

_FASTER = Rule(
    Above(0, "successes in 1,000 epochs or evaluations more than descent"), "convention", "0 is no difference", 24
)
_UNSTABLE = Rule(
    Above(2, "times from the lowest error of the last 96 epochs to the highest"), "ours", "1 is rest", exact=True
)

STATEMENTS = Statements(
    Statement(
        "heuristics-two-weights",
        "introduction",
        "heuristics such as momentum and varying rates speed up descent in two weights",
        "faster",
        _FASTER,
    ),
    Statement(
        "heuristics-seven", "introduction", "heuristics speed up descent in all seven parameters", "faster", _FASTER
    ),
    Statement(
        "rescaling",
        "introduction",
        "rescaling variables speeds up descent",
        "faster",
        untested="the source names it and does not say which variables to scale, or how",
    ),
    Statement(
        "optimization-two-weights",
        "introduction",
        "standard numerical optimisation is faster than steepest descent in two weights",
        "faster",
        _FASTER,
    ),
    Statement(
        "optimization-seven",
        "introduction",
        "standard numerical optimisation is faster than steepest descent in all seven parameters",
        "faster",
        _FASTER,
    ),
    Statement(
        "slow",
        "introduction",
        "the basic algorithm may take days or weeks in training",
        "days or weeks",
        untested="of applications the source does not name, on machines of its time",
    ),
    Statement(
        "lms",
        "drawbacks",
        "the LMS algorithm, of a single linear layer, is guaranteed to reach the least mean squared error if its rate "
        "is not too large",
        "guaranteed",
        untested="a theorem: no measurement could contradict it",
    ),
    Statement(
        "single-layer",
        "drawbacks",
        "the error of a single layer is quadratic: constant curvature and a single stationary point",
        "constant",
        untested="a theorem: no measurement could contradict it",
    ),
    Statement(
        "global-minimum",
        "equation 1",
        "the parameters that make the target are a minimum, where the error is zero",
        "error 0",
        Rule(
            All({"the error is": Below(1e-20), "the smallest eigenvalue": Above(0)}),
            "convention",
            "rounding of float64",
            exact=True,
        ),
    ),
    Statement(
        "sum-is-mean",
        "drawbacks",
        "the performance index is the sum of squared errors, which equals the mean",
        "sum = mean",
        Rule(Equals(1), "source", "equal means a factor of 1", exact=True),
    ),
    Statement(
        "not-quadratic",
        "contour map",
        "the error is not quadratic: its curvature varies drastically over the plane",
        "drastically",
        Rule(Above(10, "times from the 5 % to the 95 % quantile"), "ours", "1 for a quadratic function", exact=True),
    ),
    Statement(
        "other-minimum",
        "contour map",
        "there is more than one minimum: another near w1 = 0.88, w2 = 38.6",
        "(0.88, 38.6)",
        Rule(Stated(f"one of them lies within {NEAR:g} of the source's"), "source", "its digits", exact=True),
    ),
    Statement(
        "one-rate",
        "contour map",
        "a constant learning rate does not suit the whole process",
        "cannot suit",
        Rule(
            Above(10, "times as long for slow starts (95 %) as for quick ones (5 %)"),
            "ours",
            "at the rate at which most arrive",
            100,
        ),
    ),
    Statement(
        "flat-regions",
        "contour map",
        "flat regions are common",
        "common",
        Rule(Above(0.5, "% of the plane below a tenth of the largest gradient"), "ours", exact=True),
    ),
    Statement(
        "large-inputs",
        "contour map",
        "when inputs are large the surface is very flat",
        "very flat",
        Rule(
            Below(0.5, "times the median gradient of the source's inputs"),
            "ours",
            "inputs 10 times as large",
            exact=True,
        ),
    ),
    Statement(
        "biases-symmetric",
        "contour map of the biases",
        "the map is symmetric: the two minima are mirror images",
        "(-5, 5) and (5, -5)",
        Rule(Stated(f"there are two minima, one the source's, mirrored to {SAME:g}"), "source", exact=True),
    ),
    Statement(
        "biases-saddle",
        "contour map of the biases",
        "between the two minima there is a saddle, at b1 = (0, 0)",
        "saddle at (0, 0)",
        Rule(Stated(f"a stationary point of index 1 lies within {SAME:g} of the origin"), "source", exact=True),
    ),
    Statement(
        "biases-start",
        "contour map of the biases",
        "so zero biases are not good initial values",
        "not good",
        untested="the statement before in other words: from a stationary point nothing moves",
    ),
    Statement(
        "large-starts",
        "text",
        "with large initial values learning begins in a very flat region",
        "very flat",
        Rule(
            Above(10, "times the gradient, for values from [-1, 1] over those from [-20, 20]"), "ours", "medians", 1_000
        ),
    ),
    Statement(
        "several-guesses",
        "text",
        "trying several initial guesses is a good idea, though impractical where training takes days or weeks",
        "a good idea",
        Rule(
            AtLeast(0.5, "%, the chance that one of five guesses reaches the global minimum"),
            "ours",
            "five guesses, an even chance; at every rate and window looked at; of days or weeks nothing here can say",
            100,
        ),
    ),
    Statement(
        "small-starts",
        "text",
        "small random initial values, from -1 to 1, are a good choice",
        "common",
        Rule(
            Above(0, "% more of them reach the global minimum than of those from the rectangle"),
            "convention",
            "0 is no difference",
            100,
        ),
    ),
    Statement(
        "a-slow",
        "a",
        "from (-4, -4) at rate 1 the entire process takes more than 300,000 epochs",
        "> 300,000",
        Rule(Above(SOURCE_EPOCHS, "epochs"), "source", "for every end from an error of 1e-6 to rounding"),
    ),
    Statement(
        "a-plateau",
        "a",
        "the flat region takes a great part of the process",
        "a great part",
        Rule(Above(0.5, "% of the epochs until the error is 1e-6"), "ours", "more than any other part", exact=True),
    ),
    Statement(
        "b-other-minimum",
        "b",
        "from (-4, 10) it converges to another minimum, not to the global one",
        "local minimum",
        Rule(Below(NEAR, "from the minimum at (0.8828, 38.619)"), "ours", "its digits", exact=True),
    ),
    Statement(
        "b-error",
        "b",
        "there the error is not 0",
        "above 0",
        Rule(Within(0.0022786, 1e-4), "ours", "the error of that minimum, known by Newton's method", exact=True),
    ),
    Statement("c-unstable", "c", "at rate 100 the algorithm is unstable", "unstable", _UNSTABLE),
    Statement(
        "c-no-decrease",
        "c",
        "its error does not decrease after some iterations",
        "does not decrease",
        Rule(Above(1, "times the lowest error, at its end"), "source", "no decrease", exact=True),
    ),
    Statement(
        "larger-rate",
        "c",
        "in the flat region a larger learning rate is required",
        "larger",
        Rule(Above(10, "times as fast at rate 40 as at rate 1"), "ours", "out of the flat region of a", exact=True),
    ),
    Statement(
        "stability-ends",
        "text",
        "a large learning rate makes the algorithm unstable, as 1 does not and 100 does",
        "between 1 and 100",
        Rule(
            All({"the highest rate at rest is": Above(1), "it is": Below(100)}), "source", "its two rates", exact=True
        ),
    ),
    Statement(
        "figures-of-b-and-c",
        "b, c",
        "the error curves of b and c, and their paths, are as drawn",
        "drawn",
        untested="the source's pictures have no numbers to compare with",
    ),
)


def statements() -> Statements:
    """All of them."""
    return STATEMENTS
