"""What Gamst and Walker say, in their order, each statement with the rule that judges it."""

from jaxland.replications.sawtooth.statements.fits import CONCLUSIONS, FITS
from jaxland.replications.sawtooth.statements.landscape import LANDSCAPE
from jaxland.studies import Statements

STATEMENTS = Statements(*FITS, *LANDSCAPE, *CONCLUSIONS)


def statements() -> Statements:
    """All of them."""
    return STATEMENTS
