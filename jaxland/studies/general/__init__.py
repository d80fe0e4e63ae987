"""Analyses that suit every study: what a study has that names none of its own."""

from jaxland.studies.lazily import analyses_in

ANALYSES = analyses_in(
    "jaxland.studies.general",
    {
        "losses": "how the losses are distributed in each ensemble",
        "factors": "the losses over the levels of what fits differ in",
        "curves": "the losses of some fits in training",
        "distances": "how far fits lie apart, in parameters and in outputs",
        "best": "the best fits of each ensemble",
    },
)
