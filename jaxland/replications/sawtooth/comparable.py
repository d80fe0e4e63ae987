"""Where the paper's claims can be judged at all."""

from jaxland.replications.sawtooth.config import SawtoothConfig
from jaxland.studies import Claim, judged_unless

LEAST_STEPS, LEAST_FITS = 10_000, 100


def judged_where_comparable(config: SawtoothConfig, claims: list[Claim], fits: int | None = None) -> list[Claim]:
    """The claims as they are, or all marked as not tested where the study is not of the paper's kind.

    Args:
        config: of the study.
        claims: as judged.
        fits: how many finite fits of each optimizer they rest on; None where a few are enough.
    """
    return judged_unless(_not_comparable(config, fits), claims)


def other_example(config: SawtoothConfig) -> str:
    """Why the study is not that of the paper's main example, "" where it is."""
    if config.target != "main" or (config.depth, config.width) != (5, 5):
        return "the claims are about 5 x 5 fits of the main example"
    return ""


def too_small(steps: int, fits: int, least_fits: int, least_steps: int = LEAST_STEPS) -> str:
    """Why fits trained for one analysis are too few or too young to judge, "" where they are not."""
    if steps < least_steps or fits < least_fits:
        return f"claims are judged from {least_steps:,} steps and {least_fits} finite fits"
    return ""


def _not_comparable(config: SawtoothConfig, fits: int | None) -> str:
    """Why nothing can be said of the paper's claims, "" where something can."""
    if other_example(config):
        return other_example(config)
    if not set(config.optimizers) <= {"momentum", "adadelta"}:
        return "the claims are about gradient descent with momentum and adadelta"
    if config.steps < LEAST_STEPS or (fits is not None and fits < LEAST_FITS):
        return f"claims are judged from {LEAST_STEPS:,} steps and {LEAST_FITS} finite fits of each optimizer"
    return ""
