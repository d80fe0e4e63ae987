"""Figures 8 to 15, and what else is said of paths, spectra, basins, targets and larger networks."""

from jaxland.studies import Above, All, AtLeast, Below, Between, Each, Equals, Rule, Statement, Within

NEAR = 0.15
"""The share of a path that counts as near the global minimum."""
ZERO, SMALL = 1e-4, 1e-3
"""Shares of the largest eigenvalue below which one counts as zero, and as very small. Fits have small gradients, not
none, and the smoothed network is flat along its scalings only up to one over the sharpness: a finer zero would be
neither."""
NEARBY, FAR = 0.1, 1.0
"""Norms of noise: within the first training returns, from the second on it does not."""
FOUND = 0.5
"""Of the smooth fit's error: a fit with less has found teeth."""
CLOSE = 0.1
"""Of the smooth fit's loss: a fit with less is close to a global minimum."""
WIGGLES = 0.1
"""Of the target's knots, and of its wave: a fit with less of both is free of wiggles."""

_PATHS, _FITS = 20, 16
_BANDS = "undecided unless most bands converged, for others are no paths of least energy"

LANDSCAPE: tuple[Statement, ...] = (
    Statement(
        "narrow",
        "section 1",
        "the domain of attraction of the global minimum is very narrow",
        "very narrow",
        Rule(Below(FAR, ", the noise at which half return"), "ours", "a tenth of the source's distance of minima", 100),
    ),
    Statement(
        "flat-valleys",
        "section 1",
        "local minima are joined by long, flat valleys",
        "long, flat valleys",
        Rule(
            Below(0.25, "% above the higher of two minima, for the lowest way between them"),
            "ours",
            "flat is a quarter; heights of bands that have not converged are bounds from above, so that they can agree "
            "and cannot differ",
            10,
        ),
    ),
    Statement(
        "at-minimum",
        "section 4.2",
        "gradient descent ends truly at a numerical local minimum",
        "a local minimum",
        Rule(Below(0.5, "% of paths go down on their first step"), "ours", "half of them", _PATHS),
    ),
    Statement(
        "first-descent",
        "section 4.2",
        "paths from adadelta's fits tend to make a tiny, sharp descent at first",
        "tend to",
        Rule(Above(0.5, "% of paths go down on their first step"), "ours", "'tend' is more than half", _PATHS),
    ),
    Statement(
        "few-points",
        "section 4.2",
        "from 2 to 3 points a segment on, more data have no effect",
        "no effect",
        Rule(Within(0, 0.02, "% change of the error"), "ours", "no effect is less than 2 %", _FITS),
    ),
    Statement(
        "too-high",
        "section 4.4",
        "barriers between local minima and the global minimum are too high for training to climb",
        "too high",
        untested="the source does not say which height training cannot climb; the heights are measured",
    ),
    Statement(
        "dimensions",
        "section 4.6",
        "the weight space has 136 dimensions",
        "136",
        Rule(Equals(136), "source", "its count", exact=True),
    ),
    Statement(
        "flat-then-drop",
        "8",
        "paths are flat until a dramatic drop near the global minimum",
        "flat, then a drop",
        Rule(
            All(
                {
                    "the loss is less than half of the fit's on": Below(0.25, "% of the way, next to W_f"),
                    f"its median before the last {NEAR:.0%} is": Between(0.75, 1.5, "of the fit's"),
                }
            ),
            "ours",
            f"medians of paths; {_BANDS}",
            _PATHS,
        ),
    ),
    Statement(
        "bumpy",
        "8",
        "the flat part is slightly bumpy",
        "slightly bumpy",
        Rule(
            All(
                {
                    "the bumps of a hundredth of the fit's loss are": AtLeast(1),
                    "the highest image is above the fit by": Below(0.25, "% of its loss"),
                }
            ),
            "ours",
            f"medians of paths; {_BANDS}",
            _PATHS,
        ),
    ),
    Statement(
        "shell",
        "8",
        "the unit ball at the global minimum is much smaller than the shell of radius 9.5 to 10.5",
        "much smaller",
        untested="arithmetic in 136 dimensions: no measurement could contradict it",
    ),
    Statement(
        "no-chance",
        "8",
        "the chance of starting in the domain of attraction of the global minimum is essentially 0",
        "0",
        untested="too small to be measured by starts; that no fit arrives there is the statement never-found",
    ),
    Statement(
        "difficult",
        "section 4.6",
        "such a landscape is extremely difficult for any method based on gradients",
        "extremely difficult",
        untested="of all methods; what two of them reach is the statement never-found",
    ),
    Statement(
        "spikes-last",
        "9",
        "the output changes very little on the flat part, and spikes come at the very end",
        "at the very end",
        Rule(
            All(
                {
                    "half of the wave is there only on": Below(0.25, "% of the way, next to W_f"),
                    "on the two thirds next to the fit there is": Below(0.1, "% of the wave"),
                }
            ),
            "ours",
            f"medians of paths; {_BANDS}",
            _PATHS,
        ),
    ),
    Statement(
        "twists",
        "10",
        "near the global minimum the path twists and turns a lot",
        "a lot",
        Rule(
            All(
                {
                    f"on the last {NEAR:.0%} the median turn is": Above(2, "times as large"),
                    "the largest turn of a path is there for": Above(0.5, "% of paths"),
                }
            ),
            "ours",
            f"'a lot' is twice, paired by path, and half is most; {_BANDS}",
            _PATHS,
        ),
    ),
    Statement(
        "interpolated",
        "section 4.6",
        "points interpolated between images have much larger loss",
        "much larger",
        Rule(
            Above(0.25, "% of the fit's loss above both images, for the worst segment of a path"),
            "ours",
            "much is a quarter; median of paths, converged or not, for it is said of points",
            _PATHS,
        ),
    ),
    Statement(
        "relu-hessian",
        "section 4.7",
        "with ReLU the numerical Hessian is neither symmetric nor stable",
        "neither",
        Rule(
            All(
                {
                    "the asymmetry is": Above(0.01, "% of the norm"),
                    "a tenth of the step changes it by": Above(0.1, "%"),
                }
            ),
            "ours",
            "medians of fits",
            8,
        ),
    ),
    Statement(
        "smoothed-output",
        "section 4.7",
        "smoothing ReLU does not measurably change the output",
        "not measurably",
        Rule(Below(0.05, "% of the wave's amplitude"), "ours", "at most, of all networks and points", exact=True),
    ),
    Statement(
        "positive",
        "11",
        "at local minima all eigenvalues are positive",
        "all positive",
        Rule(
            AtLeast(0.95, f"% of fits have none below -{ZERO:g} of the largest"),
            "ours",
            "all is taken as 95 %, and zero is the size that smoothing leaves",
            _PATHS,
        ),
    ),
    Statement(
        "positive-global",
        "11",
        "at the global minimum all eigenvalues are positive",
        "all positive",
        Rule(Equals(0), "ours", f"eigenvalues below -{ZERO:g} of the largest", exact=True),
    ),
    Statement(
        "small",
        "11",
        "at local minima most eigenvalues are very small",
        "most",
        Rule(
            Above(0.5, f"% are below {SMALL:g} of the largest, in the median"),
            "ours",
            "what small is; most is half",
            20,
        ),
    ),
    Statement(
        "small-global",
        "11",
        "at the global minimum most eigenvalues are very small",
        "most",
        Rule(Above(0.5, f"% are below {SMALL:g} of the largest"), "ours", "what small is; most is half", exact=True),
    ),
    Statement(
        "rise-tells-basin",
        "section 4.8",
        "the rise of paths from the global minimum indicates the size of its basin",
        "an indication",
        untested="the source gives no size of either kind to compare",
    ),
    Statement(
        "returns-nearby",
        "12",
        "gradient descent returns to the global minimum from nearby only",
        "nearby only",
        Rule(
            All(
                {
                    f"of noise below {NEARBY:g} those that return are": Above(0.5, "%"),
                    f"beyond {FAR:g}": Below(0.05, "%"),
                }
            ),
            "ours",
            "read from the source's figure",
            100,
        ),
    ),
    Statement(
        "adadelta-never",
        "12",
        "adadelta never finds a perfect fit again",
        "identically zero",
        Rule(Below(0.01, "% return"), "ours", "never is 1 %", 100),
    ),
    Statement(
        "jitter-steps",
        "section 4.8",
        "jitters are trained for 20,000 batches, just as in the main experiment",
        "20,000",
        untested="of the source's own doing, and section 4.2 says 50,000 of the main experiment; fits of both lengths "
        "were made",
    ),
    Statement(
        "random-walks",
        "section 4.8",
        "adadelta may be doing small random walks, so that stopping is unlikely to hit an exact minimum",
        "possible",
        untested="a possibility; no losses of single steps at the end are kept",
    ),
    Statement(
        "many-functions",
        "section 4.9",
        "there are many functions which networks of a size could reproduce and never learn",
        "many",
        untested="of all functions; three of them were tried",
    ),
    Statement(
        "gentle",
        "section 4.9",
        "the main example is not even close to the full complexity of 5 x 5 networks",
        "not even close",
        Rule(Below(0.1, "% of the (5+0) target's knots"), "ours", "a tenth", exact=True),
    ),
    Statement(
        "peaks",
        "13",
        "the 5 x (5+0) sawtooth has 3,125 peaks and valleys",
        "3125",
        Rule(
            Each(Equals(5**5)),
            "source",
            "its count, of straight pieces: turns are one fewer, with both ends one more",
            exact=True,
        ),
    ),
    Statement(
        "reproduced",
        "13",
        "networks reproduce these targets perfectly",
        "perfectly",
        Rule(Below(1e-6), "ours", "rounding, after five layers with large weights", exact=True),
    ),
    Statement(
        "trouble",
        "section 4.9",
        "5 x 5 networks have trouble fitting such targets",
        "trouble",
        Rule(Below(0.1, "% of fits have less than half of the smooth fit's error"), "ours", "", _FITS),
    ),
    Statement(
        "wiggle-free",
        "14",
        "all fits of the 5 x (3+2) target are free of wiggles",
        "all",
        Rule(
            Above(0.95, "% have less than a tenth of its knots and of its wave"), "ours", "all is taken as 95 %", _FITS
        ),
    ),
    Statement(
        "not-by-teeth",
        "14",
        "the deviation is not due to some fits finding the function and some not",
        "not",
        Rule(
            Above(0.5, "% of the variance is left without the fits that find teeth"),
            "ours",
            "more than half; where none finds teeth, which is the statement 'trouble', there is nothing to decide",
            _FITS,
        ),
    ),
    Statement(
        "location",
        "14",
        "the deviation is that of the exact location of the fitted function",
        "location",
        Rule(
            Above(0.5, "% of the variance is left without fits that miss the low frequencies too"),
            "ours",
            "more than half; those whose error is not within a half of the smooth fit's miss them",
            _FITS,
        ),
    ),
    Statement(
        "embedded",
        "section 4.10",
        "weights of 5 x 5 networks can be embedded in those of larger ones",
        "the same function",
        Rule(Below(1e-12, ", the largest change of an output"), "convention", "rounding of float64", exact=True),
    ),
    Statement(
        "many-ways",
        "section 4.10",
        "and in many ways",
        "many",
        untested="a theorem: no measurement could contradict it",
    ),
    Statement(
        "saddles",
        "section 4.10",
        "a larger network tends to turn local minima into saddle points",
        "tends to",
        Rule(Above(0.5, "% of fits gain directions that descend"), "ours", "'tends' is more than half", 8),
    ),
    Statement(
        "further",
        "section 4.10",
        "so that training leads further down",
        "further",
        Rule(
            Above(0.5, "% of embedded fits end below the same fits left as they are"),
            "ours",
            "'tends' is more than half",
            8,
        ),
    ),
    Statement(
        "more-complex",
        "section 4.10",
        "and allows the network to learn more complex functions",
        "more complex",
        Rule(Above(0, "% of the wave more is learnt, in the mean"), "convention", "0 is no difference", 8),
    ),
    Statement(
        "close",
        "15",
        "a larger network comes quite close to a global minimum",
        "quite close",
        Rule(Below(CLOSE, "% of the smooth fit's loss, in the median"), "ours", "a tenth", 8),
    ),
    Statement(
        "size-shown",
        "15",
        "figure 15 shows a 15 x 15 network, as its caption has it, and not one of 10 x 10, as the text has it",
        "15 x 15; 10 x 10",
        untested="the source contradicts itself, and a loss does not tell which network was drawn: that neither size "
        "comes close is the statement close",
    ),
)
