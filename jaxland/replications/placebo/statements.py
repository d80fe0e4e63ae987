"""What the source says of networks trained on noise, in its order, each statement with the rule that judges it."""

from jaxland.studies import Above, All, Below, Rule, Statement, Statements, Within

FLAT = 0.05
"""A loss that changes by less than this share of the labels' variance is called flat."""
LEVEL = 0.01
"""Share of a loss that counts as a difference."""
SAME = 1e-3
"""Distance below which two fits are called the same."""
_FITS, _SEEDS = 100, 8

STATEMENTS = Statements(
    Statement(
        "falls",
        "text, example 1",
        "trained on random data, a network shows a falling training loss",
        "falls",
        Rule(Above(0.95, "% of fits"), "ours", "all but one in twenty", _FITS),
    ),
    Statement(
        "non-zero-loss",
        "text",
        "the first output almost certainly misses the random target",
        "non-zero loss",
        untested="no data could contradict it",
    ),
    Statement(
        "local-minimum",
        "text",
        "training on noise ends at a local minimum",
        "a local minimum",
        Rule(
            All(
                {
                    "further training lowers the loss by": Below(LEVEL, "%,"),
                    "no direction of the Hessian descends in": Above(0.5, "% of fits"),
                }
            ),
            "ours",
            "ten times the epochs; exact Hessians of most fits",
            _SEEDS,
        ),
    ),
    Statement(
        "not-global",
        "text",
        "gradient descent finds a local minimum, not the global one",
        "local",
        Rule(Above(0.5, "% of fits end 1 % above the best"), "ours", "most", _SEEDS),
    ),
    Statement(
        "no-pattern",
        "text",
        "the fall of the loss is no sign that a pattern was learned",
        "no pattern",
        Rule(Below(0.05, "% of fits predict fresh labels better than a constant"), "ours", "one in twenty", _FITS),
    ),
    Statement(
        "flatlines",
        "text",
        "while the training loss declines, losses on validation data stay flat",
        "flat",
        Rule(Within(0, FLAT), "ours", "the change of the mean, in units of the labels' variance", _FITS),
    ),
    Statement(
        "every-epoch",
        "example 1",
        "the training loss decreases over the epochs",
        "decreases",
        Rule(Below(0.05, "% of prints rise"), "ours", "printed every 100 epochs, as the source's program does", 30),
    ),
    Statement(
        "not-learning",
        "example 1",
        "the reported training loss does not reflect actual learning",
        "does not",
        Rule(
            Within(0.5, 0.05, "%"),
            "ours",
            "share of pairs in which labels that are explained in part end lower; one half would be chance",
            _FITS,
        ),
    ),
    Statement(
        "moved",
        "example 2",
        "training changes the weights of the first layer",
        "changed",
        Rule(Above(0.1, "% of their norm at the start"), "ours", "a change that could be seen", 3),
    ),
    Statement(
        "trajectory",
        "example 2",
        "the weights do not move at random but follow a trajectory",
        "a trajectory",
        Rule(Above(0, "more directed than random walks of the same steps"), "convention", "0 is no difference", 3),
    ),
    Statement(
        "visible",
        "example 2",
        "the t-SNE picture shows that the points are not just random",
        "shows it",
        Rule(Below(0.75, "times as thread-like for random walks"), "ours", "1 is no difference", 3),
    ),
    Statement(
        "other-weights",
        "example 3",
        "each run ends with other weights",
        "different",
        Rule(
            Above(SAME, "between the closest of all pairs"),
            "ours",
            "far above the rounding of float32; runs that start apart can hardly fail it, so their starts are told",
            _SEEDS,
            exact=True,
        ),
    ),
    Statement(
        "other-functions",
        "example 3",
        "each run learns something different",
        "different",
        Rule(Below(0.5, "for the correlation of two runs' outputs"), "ours", "less in common than not", _SEEDS // 2),
    ),
    Statement(
        "slightly",
        "example 3",
        "the trajectories of different runs differ slightly",
        "slightly different",
        Rule(
            Above(0.5, "for the likeness of the ways of two runs"),
            "beforehand",
            "1 is no difference but for the order of units, 0 that of units turned at random; units are matched since "
            "a rule that did not had said 'differs'",
            3,
        ),
    ),
    Statement(
        "projection",
        "example 3",
        "the runs are plotted on the same t-SNE projection",
        "the same",
        Rule(
            Above(0.75, "of the rank correlation of distances that one map keeps"),
            "ours",
            "1 would be one map",
            exact=True,
        ),
    ),
    Statement(
        "lack-of-learning",
        "example 3",
        "that each seed ends elsewhere shows that nothing was learned",
        "shows it",
        Rule(
            Below(0.5, "of the distance for noise, where labels without noise are learned"),
            "ours",
            "1 is no difference",
            _SEEDS // 2,
        ),
    ),
    Statement(
        "regularization",
        "conclusion",
        "regularization makes a network less prone to fit noise",
        "less prone",
        Rule(
            Below(0, "of the labels' variance, for the change of the loss on fresh noise"),
            "convention",
            "0 is no difference",
            _SEEDS,
        ),
    ),
)


def statements() -> Statements:
    """All of them."""
    return STATEMENTS
