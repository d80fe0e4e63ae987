"""What the document says of its small network, in its order, each statement with the rule that judges it."""

from typing import Literal

from jaxland.studies import (
    Above,
    All,
    AtLeast,
    Below,
    Between,
    Criterion,
    Each,
    Equals,
    Rule,
    Stated,
    Statement,
    Statements,
    Within,
)

ALIKE = 0.1
"""Largest relative difference of the incoming weights of units that learn almost the same thing."""
LEAST = 30
"""Executions from which on statements about executions are judged."""


def _exact(criterion: Criterion, basis: Literal["source", "convention", "ours"], why: str) -> Rule:
    """Of one run, which no sample stands behind."""
    return Rule(criterion, basis, why, exact=True)


def _printed(name: str, where: str, text: str, number: str) -> Statement:
    return Statement(name, where, text, number, _exact(Equals(number), "source", "all digits that it prints"))


_ALIKE_RULE = _exact(
    Below(ALIKE, "% between the incoming weights of any two units"), "ours", "for 'almost exactly the same'"
)
_SHAPE = _exact(Above(0.95), "ours", "correlation of two courses, the smallest of those compared")
_OVERFLOW = _exact(Stated("an error is not finite"), "source", "its 'overflow'")
_SIMILAR = Rule(Above(0.9), "ours", "for 'very similar': cosine of two courses with matched units, the median", LEAST)
_MORE_OFTEN = Rule(Above(0.5, "%"), "ours", "of 'all' most executions", LEAST)

STATEMENTS = Statements(
    Statement(
        "universal",
        "section 2.3",
        "two layers approximate any continuous function over an interval as closely as is wanted",
        "a theorem",
        untested="a theorem of others, which no run could contradict",
    ),
    Statement(
        "gradients",
        "equations 1, 2",
        "the gradients of the loss",
        "equations 1 and 2",
        _exact(Below(1e-12), "convention", "rounding of float64, relative to the largest entry of the gradient"),
    ),
    Statement(
        "size-of-data",
        "section 2.5",
        "divided by their number, loss and gradient do not depend on how many data there are",
        "independent",
        untested="of the expectation it is true by definition; that of a sample's spread the document does not speak",
    ),
    Statement(
        "reproducible",
        "section 3",
        "with the standard random numbers the experiments give exactly the same results",
        "exactly",
        _exact(
            Equals(0), "source", "its 'exactly': epochs from the earliest rise of (f1, 3, 1) to the latest, in float64"
        ),
    ),
    Statement(
        "time-3",
        "section 3",
        "the learning loop takes 14 s for 1,000 epochs with h = 3",
        "14 s",
        untested="of a notebook on a machine that is not named",
    ),
    Statement(
        "time-8",
        "section 3",
        "the learning loop takes 21 s for 1,000 epochs with h = 8",
        "21 s",
        untested="of a notebook on a machine that is not named",
    ),
    Statement(
        "stable-750",
        "figure 3",
        "f1, h = 3, rate 1: during the first 750 epochs learning is very stable",
        "750",
        _exact(AtLeast(750), "source", "its epoch; the loss has risen when it exceeds its smallest by a hundredth"),
    ),
    Statement(
        "epoch-755",
        "figure 3",
        "f1, h = 3, rate 1: the error begins to oscillate after epoch 755",
        "epoch 755",
        Rule(Within(755, 7.55), "ours", "a hundredth of its epoch; the median over orders of summation", 16),
    ),
    Statement(
        "drop",
        "figure 3",
        "f1, h = 3, rate 1: a shocking drop in performance",
        "shocking",
        _exact(Above(2, "times the smallest error at the end"), "ours", "for 'shocking'"),
    ),
    Statement(
        "new-numbers",
        "figure 3",
        "f1, h = 3, rate 1: with new data and weights the instability comes at another epoch",
        "another",
        Rule(Above(10, "epochs"), "ours", "standard deviation of the epoch over executions", LEAST),
    ),
    Statement(
        "grows",
        "section 4.1",
        "f1, h = 3, rate 2: the error grows to 2.7e4",
        "2.7e4",
        _exact(Equals("2.7e+04"), "source", "the two digits that it prints"),
    ),
    Statement("overflow-f1", "section 4.1", "f1, h = 3, rate 5: an overflow", "overflow error", _OVERFLOW),
    Statement(
        "same-course",
        "figure 4, conclusion 4",
        "f1, h = 3: a tenth of the rate and ten times the epochs give approximately the same curves, without the "
        "instability",
        "approximately the same",
        _exact(
            All({"the largest difference is": Below(0.1, "%"), "the loss never rises": Stated()}),
            "ours",
            "a tenth for 'approximately', of errors at corresponding epochs",
        ),
    ),
    Statement(
        "faster",
        "section 4.1",
        "f1, h = 3: rate 1 reaches a good result much faster than rate 0.1",
        "much faster",
        _exact(Above(5, "times the epochs at rate 0.1"), "ours", "half of the ratio of the rates; error 0.001"),
    ),
    Statement(
        "duplicates-3",
        "figure 4",
        "f1, h = 3, rate 0.1, 10,000 epochs: both hidden units have the same weights, in and out",
        "the same",
        _ALIKE_RULE,
    ),
    Statement(
        "remove",
        "section 4.1",
        "f1, h = 3: without H1 and with V0 doubled the output is the same",
        "the same output",
        _exact(Below(0.01, "% of the spread of the output"), "ours", "largest change of the output over the interval"),
    ),
    Statement(
        "two-are-enough",
        "section 4.1",
        "f1: with h = 2 instead of 3 the performance does not drop, it improves slightly",
        "improves slightly",
        _exact(Between(0.5, 1, "times the error"), "ours", "half the error would not be slight"),
    ),
    Statement(
        "v-doubles",
        "figure 5",
        "f1: V0 almost doubles from h = 3 to h = 2",
        "almost doubles",
        _exact(Between(1.6, 2, "times"), "ours", "a fifth less than twice for 'almost'"),
    ),
    Statement(
        "shape-2", "figure 5", "f1: U00, U01 and V[h-1] keep their shape from h = 3 to h = 2", "the same shape", _SHAPE
    ),
    Statement(
        "magnitude-2",
        "figure 5",
        "f1: U00, U01 and V[h-1] are larger with h = 2 than with h = 3",
        "increased",
        _exact(Each(Above(1, "times")), "convention", "1 is no change; magnitudes after 1,000 epochs"),
    ),
    Statement("shape-5", "figure 5", "f1: the weights keep their shape from h = 3 to h = 5", "the same shape", _SHAPE),
    Statement(
        "duplicates-5",
        "figure 5",
        "f1, h = 5, rate 0.1, 1,000 epochs: all hidden units learn almost exactly the same thing",
        "almost exactly",
        _ALIKE_RULE,
    ),
    Statement(
        "magnitude-5",
        "figure 5",
        "f1: U00, U01 and V0 are smaller with h = 5 than with h = 3",
        "decreased",
        _exact(Each(Below(1, "times")), "convention", "1 is no change; magnitudes after 1,000 epochs"),
    ),
    Statement(
        "bias-less",
        "figure 5",
        "f1: V[h-1] changes less than the other weights from h = 3 to h = 5",
        "to a lesser degree",
        _exact(
            Below(1, "times the smallest change of the others"),
            "ours",
            "by each of three readings of 'degree', ratios by their logarithms",
        ),
    ),
    *(
        _printed(f"error-{hidden}", "section 4.1", f"f1, h = {hidden}, rate 0.1: the error after 1,000 epochs", text)
        for hidden, text in ((2, "0.0051"), (3, "0.0068"), (5, "0.0100"), (8, "0.0121"))
    ),
    Statement(
        "slower-with-size",
        "section 4.1, conclusion 5a",
        "f1: with more hidden units more epochs are needed for the same results",
        "more",
        Rule(Each(Above(1, "times the loss of the next smaller size")), "convention", "1 is no change; paired", LEAST),
    ),
    Statement(
        "cost",
        "section 4.1, conclusion 5a",
        "an epoch is more expensive with more hidden units",
        "more expensive",
        _exact(
            Each(Above(1, "times the operations of the next smaller size")),
            "convention",
            "1 is no change; operations of the compiled gradient",
        ),
    ),
    Statement(
        "fails",
        "section 4.2, conclusion 2",
        "f2, h = 3, rate 0.1: what is good for f1 completely fails",
        "completely fails",
        _exact(Above(0.5, "% of the error at the start"), "ours", "most of the error is left"),
    ),
    Statement(
        "stagnates-3",
        "section 4.2",
        "f2, h = 3: quick learning in the beginning, then stagnation",
        "stagnation",
        _exact(Below(0.05, "% of the gain comes after epoch 300"), "ours", "for 'stagnation'"),
    ),
    Statement(
        "too-few-units",
        "section 4.2, conclusion 5b",
        "f2: the complexity of 3 hidden units is too low, and 8 give much better results",
        "much better",
        Rule(
            Above(10, "times the loss with h = 8"), "ours", "for 'much better'; of executions at their best rate", LEAST
        ),
    ),
    Statement(
        "larger-is-better",
        "figure 6",
        "f2: more hidden units improve the results drastically",
        "drastically",
        _exact(
            All({"h = 6 has": Below(0.1, "of the error of h = 3"), "h = 8 has": Below(1, "times that of h = 6")}),
            "ours",
            "a tenth for 'drastically'; of the document's runs, and of the medians of new executions",
        ),
    ),
    Statement(
        "smaller-rate-needed",
        "section 4.2",
        "a rate of 0.1 gives stable learning of f1, and is too large for f2",
        "an even smaller rate",
        Rule(
            All({"of f1 there rise": Below(0.05, "%"), "of f2": Above(0.5, "%")}),
            "ours",
            "5 % and most of executions with h = 8",
            LEAST,
        ),
    ),
    Statement(
        "alike-300",
        "section 4.2",
        "f2, h = 8: up to epoch 300 units 0, 2 and 3 are equal and unit 1 is opposite",
        "equal",
        _exact(Equals(1), "source", f"one different unit of four at 100, 200 and 300, within {ALIKE:.0%}"),
    ),
    Statement(
        "split-later",
        "section 4.2, conclusion 5b",
        "f2, h = 8: then the units differ completely",
        "completely",
        _exact(Equals(4), "source", "four different units of four at the end"),
    ),
    Statement("overflow-f2", "section 4.2", "f2, h = 8, rate 1.5: an overflow", "overflow error", _OVERFLOW),
    Statement(
        "unstable-7",
        "figure 7",
        "f2, h = 8, rate 1: a high instability",
        "high",
        _exact(Above(0.1, "% of the epochs rise"), "ours", "for 'high'"),
    ),
    Statement(
        "sensible-7",
        "figure 7",
        "f2, h = 8, rate 1: something sensible is learned",
        "something sensible",
        _exact(Below(0.5, "% of the first error"), "ours", "median of the last 100 epochs"),
    ),
    Statement(
        "half-rate",
        "section 4.2, conclusion 4",
        "f2, h = 8: rate 0.05 gives the same learning as 0.1, two times slower",
        "2",
        _exact(Each(Between(1.7, 2.3, "times the epochs")), "ours", "15 % for 'two times', at errors of 50 to 2"),
    ),
    Statement(
        "half-rate-stable",
        "section 4.2, conclusion 4",
        "f2, h = 8: rate 0.05 is stable",
        "stable",
        Rule(
            Below(0.05, "% of executions rise"), "ours", "5 %, and as many epochs as executions have, 1,200 here", LEAST
        ),
    ),
    Statement(
        "stagnates-8",
        "section 4.2, conclusion 5b",
        "f2, h = 8, rate 0.05: from epoch 8,000 to 10,000 the error improves by less than 0.1 %",
        "less than 0.1 %",
        _exact(Between(0, 0.001, "%"), "source", "its number"),
    ),
    _printed("error-10000", "section 4.2", "f2, h = 8, rate 0.05: the error after 10,000 epochs", "1.0156"),
    Statement(
        "before-it-oscillates",
        "section 4.2",
        "f2, h = 8, rate 0.1: the error before it oscillates",
        "1.0889",
        Rule(Within(1.0889, 0.001), "ours", "a thousandth; the median over orders of summation", 16),
    ),
    Statement(
        "halves",
        "section 4.2",
        "f2, rate 0.05, 10,000 epochs: h = 12 instead of 8 halves the error",
        "half",
        _exact(Between(0.4, 0.6, "of it"), "ours", "a fifth for 'half'"),
    ),
    Statement(
        "v-similar",
        "figure 8",
        "f2, h = 8: V evolves similarly in new executions",
        "very similar",
        _SIMILAR,
    ),
    Statement(
        "u-similar",
        "figure 8, conclusion 6",
        "f2, h = 8: U evolves similarly in new executions, but for exchanged units and signs",
        "very similar",
        _SIMILAR,
    ),
    Statement(
        "varies",
        "figure 8, conclusion 6",
        "f2, h = 8, rate 0.1: results vary a lot from one execution to another",
        "a lot",
        Rule(Above(2, "times"), "ours", "the third quartile of the loss over the first", LEAST),
    ),
    Statement(
        "data-matter-more",
        "section 4.2, conclusion 6",
        "the randomness of the data has more impact than that of the initial weights",
        "more",
        Rule(Above(0.5, "% of the two variances"), "convention", "half is equal", 8),
    ),
    Statement(
        "both-more",
        "section 4.2",
        "the impact is significantly higher with new data and new weights than with either alone",
        "significantly higher",
        Rule(Above(1.1, "times the variance with new data"), "ours", "a tenth for 'significantly'", 8),
    ),
    Statement(
        "larger-weights",
        "footnote 5",
        "with larger initial weights their randomness has more impact",
        "more",
        Rule(Above(0, "less of the two variances due to data"), "convention", "0 is no change", 8),
    ),
    Statement(
        "quality-of-data",
        "section 4.2",
        "the initialization of the weights is good, the quality of the data is what to be careful about",
        "good",
        untested="a recommendation that follows from the statement before, not a measurement",
    ),
    Statement(
        "unpredictable",
        "section 4.1, conclusion 1",
        "the first hundreds of epochs do not make the following ones predictable",
        "not predictable",
        Rule(
            Below(0.5),
            "ours",
            "Youden's index of a detector that sees only the past, 0 for chance and 1 for certainty; of the loss, "
            "which the document sees, and of the sharpness, which it does not",
            LEAST,
        ),
    ),
    Statement(
        "sudden-for-both",
        "conclusion 3",
        "for both targets some rates are stable at first, and then training suddenly begins to oscillate",
        "both targets",
        Rule(
            Each(Above(0.05, "%")),
            "ours",
            "5 % of executions, at the size and rate of 64 that other executions choose; 'suddenly' is a rise of a "
            "hundredth after epoch 50, whatever follows it",
            LEAST,
        ),
    ),
    Statement(
        "landscape-changes",
        "section 4.1, conclusion 3",
        "a rate that is good at first is too large for a later, steeper region",
        "the landscape changes",
        untested="a theorem: below 2 / sharpness no step raises the loss, so every sudden rise comes with a steeper "
        "region",
    ),
    Statement(
        "adaptive",
        "conclusion 3",
        "an adaptive learning rate is needed",
        "needed",
        untested="the document leaves it to its second experiment",
    ),
    Statement(
        "duplicates",
        "conclusion 5a",
        "f1: all hidden units learn the same thing",
        "all",
        _MORE_OFTEN,
    ),
    Statement(
        "trade-off",
        "conclusion 5c",
        "few units learn fast and have a limited potential, more units learn slower and get further",
        "a trade-off",
        untested="its two halves are judged above: slower-with-size and too-few-units",
    ),
    Statement(
        "inefficient",
        "conclusion 7",
        "the algorithm takes a significant amount of time for a simple function",
        "not efficient",
        untested="no number or comparison is given that could be met or missed",
    ),
    Statement(
        "no-overfitting",
        "figure 9",
        "f1, h = 3, rate 1: the error on the training set follows a similar curve, so the drop is not overfitting",
        "similar",
        _exact(
            All({"the correlation is": Above(0.98), "the training error ends": Above(2, "times its lowest")}),
            "ours",
            "for 'similar': of the logarithms of both errors",
        ),
    ),
)


def statements() -> Statements:
    """All of them."""
    return STATEMENTS
