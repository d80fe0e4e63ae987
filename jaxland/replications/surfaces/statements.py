"""What the tutorial says of loss landscapes, in its order, each statement with the rule that judges it."""

from jaxland.studies import Above, AtMost, Below, Between, Each, Equals, Rule, Statement, Statements, Within

NONCONVEX = 0.01
"""Surfaces that rise by more than this share of their range above their convex envelope are called not convex."""
_SURFACES, _FITS = 100, 100
_ALL = "all but one in a hundred would be all; of the surfaces that not-convex counts, those of the last layer"
_STUCK = Rule(Above(0.01, "% of starts"), "ours", "one in a hundred", _FITS)
_OVERCOMES = Rule(Below(0, "% of starts more than with gradient descent"), "convention", "0 is no difference", _FITS)
_CONVEX = Rule(AtMost(1e-9, "of the range above the convex envelope"), "convention", "rounding", exact=True)

STATEMENTS = Statements(
    Statement(
        "weights",
        "text",
        "the network has 784 * 50 + 50 * 500 + 500 * 10 = 69,200 weights",
        "69,200",
        Rule(Equals(69_200), "source", exact=True),
    ),
    Statement(
        "node-numbers",
        "text",
        "the two weights come from the 250th and 251st node of the second hidden layer",
        "250th and 251st",
        Rule(Equals(250), "source", "its program's first node, counted from 1", exact=True),
    ),
    Statement(
        "output-digit",
        "text",
        "the 6th output neuron stands for the digit 5",
        "5",
        Rule(Equals(5), "source", exact=True),
    ),
    Statement(
        "pixels",
        "text",
        "divided by 255, pixels from 0 to 255 lie in the range from 0 to 1.2",
        "0 to 1.2",
        Rule(Within(1.2, 0.05, "for the largest"), "source", "its digits", exact=True),
    ),
    Statement(
        "rms",
        "text",
        "the cost is the root mean square error",
        "root mean square",
        Rule(
            Within(1, 0.01, "for the program's cost over the root mean square error"),
            "source",
            "1 is equal",
            exact=True,
        ),
    ),
    Statement(
        "mean-of-sums",
        "text",
        "the cost is the average over samples of the sum of squared errors of the 10 outputs",
        "average sum",
        Rule(Within(1, 1e-9, "for the program's cost over that average"), "source", "1 is equal", exact=True),
    ),
    Statement(
        "reproducible",
        "text",
        "the seed guarantees reproducible results",
        "guaranteed",
        Rule(Equals(0), "source", "of weights drawn twice, none differs", exact=True),
    ),
    Statement(
        "features",
        "3",
        "with 100 samples the surface has local lows, plateaus, ridges or saddles, and a lowest place",
        "seen in the picture",
        Rule(
            Each(Above(0)),
            "source",
            "minima but one, saddles, height above the convex envelope and plateau",
            exact=True,
        ),
    ),
    Statement(
        "not-convex",
        "3, 7, 8",
        "surfaces over two weights of a neural network show typical features of non-convex landscapes",
        "typical features of non-convex landscapes",
        Rule(
            Each(
                Above(0.5, f"% of surfaces, those more than {NONCONVEX:.0%} of their range above their convex envelope")
            ),
            "ours",
            "most, over every pair of weights; a bounded cost that saturates is hardly ever convex, so that this can "
            "hardly fail; which features, lows tells",
            _SURFACES,
        ),
    ),
    Statement(
        "lows",
        "3, 7, 8",
        "several local minima are typical of such surfaces",
        "typical features",
        Rule(Each(Above(0.5, "% of surfaces have two or more")), "ours", "most, over every pair of weights", _SURFACES),
    ),
    Statement(
        "linear-regression",
        "section Gradient descent",
        "linear regression has a smooth, convex landscape",
        "convex",
        _CONVEX,
    ),
    Statement(
        "logistic-regression",
        "section Gradient descent",
        "logistic regression has a smooth, convex landscape",
        "convex",
        _CONVEX,
    ),
    Statement(
        "barriers",
        "section Gradient descent",
        "such barriers slow down the achievement of the global minimum and even prevent it",
        "believed",
        Rule(Above(0.05, "% of starts do not reach the lowest cost"), "ours", "one in twenty", _FITS),
    ),
    Statement(
        "gradient",
        "section Gradient descent",
        "the program's dw2 holds the partial derivatives of the cost",
        "its comment",
        Rule(Within(1, 0.01, "for dw2 over the derivative"), "source", "1 is equal", exact=True),
    ),
    Statement(
        "routes",
        "5, 6",
        "from three starting points close together descent takes different routes, to different costs",
        "three routes, different scores",
        Rule(Above(0.01, "of the range between any two last costs"), "ours", "what can be seen", exact=True),
    ),
    Statement(
        "cost-range",
        "5",
        "costs of the descents and of the surface about them lie between 4.75 and 4.802",
        "4.75 to 4.802 (axis of the picture)",
        Rule(Between(4.7, 4.802, "for the lowest cost"), "source", "the axis of its picture", exact=True),
    ),
    Statement(
        "falls",
        "section Gradient descent",
        "with a rate of 10 the cost of the two weights falls slightly with every epoch",
        "every epoch",
        Rule(AtMost(1e-12, "of the largest cost, for the largest rise"), "convention", "rounding", exact=True),
    ),
    Statement(
        "change-a-lot",
        "section Gradient descent",
        "the two weights change a lot",
        "a lot",
        Rule(Above(1, "deviation of the weights as drawn"), "ours", exact=True),
    ),
    Statement(
        "minor-adjustments",
        "section Gradient descent",
        "among all weights, they would be adjusted little",
        "only minor adjustments",
        Rule(Below(0.1, "of the way alone"), "ours", exact=True),
    ),
    Statement("stuck-minimum", "5, 6", "gradient descent can get stuck at local minima", "in both animations", _STUCK),
    Statement("stuck-saddle", "5, 6", "gradient descent can get stuck at saddle points", "in both animations", _STUCK),
    Statement("stuck-plateau", "5, 6", "gradient descent can get stuck at plateaus", "in both animations", _STUCK),
    Statement(
        "not-all",
        "section Gradient descent",
        "not all landscapes are so non-convex in the window",
        "not all",
        Rule(Below(0.99, "% are not convex"), "ours", _ALL, _SURFACES),
    ),
    Statement(
        "deeper",
        "section Gradient descent",
        "the deeper the network, the less convex the landscape",
        "highly non-convex for deep networks",
        Rule(
            Each(Above(0, "with each hidden layer")),
            "ours",
            "0 is no difference; that all four must rise: the height above the convex envelope, and the shares that "
            "are not convex, have a saddle, and have two minima",
            _SURFACES,
        ),
    ),
    Statement("adagrad", "section Gradient descent", "adagrad overcomes some of these obstacles", "some", _OVERCOMES),
    Statement("adam", "section Gradient descent", "adam overcomes some of these obstacles", "some", _OVERCOMES),
    Statement(
        "representative",
        "7, 8",
        "the two surfaces of the second layer are a representative sample of those met",
        "two pictures",
        untested="the seeds of the two pictures are not told, nor how they were chosen",
    ),
    Statement(
        "vgg",
        "1",
        "the landscape of a VGG network of 56 layers is one of high relief",
        "picture of others",
        untested="a network of that size, and pictures to train it on, are beyond this study",
    ),
    Statement(
        "rare-minima",
        "section Gradient descent",
        "local minima are very rare in many dimensions",
        "cited from others",
        untested="a plane cannot tell: what is a minimum in it may be a saddle beside it; spectra of the sawtooth "
        "study look at all dimensions",
    ),
    Statement(
        "saddles-worse",
        "section Gradient descent",
        "saddles can be more of a problem in optimization than local minima",
        "cited from others",
        untested="of two weights a plane shows too little of what saddles of all weights do",
    ),
    Statement(
        "overfitting",
        "section Gradient descent",
        "costs of local minima are low enough, and lower ones would overfit",
        "cited from others",
        untested="two weights of a network that is not trained cannot overfit",
    ),
)


def statements() -> Statements:
    """All of them."""
    return STATEMENTS
