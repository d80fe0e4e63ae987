"""How to cite jaxland; what `CITATION.cff` in its repository says."""

from jaxland._version import __version__

AUTHORS = "The jaxland developers"
TITLE = "jaxland: ensembles of small networks by the hundred thousand, and the loss landscape they reveal"


def citation(source: str) -> str:
    """A line for jaxland, and one for the source of a study where it has one."""
    own = f"{AUTHORS}. {TITLE}. Version {__version__}."
    return f"{own}\n{source.rstrip('.')}." if source else own
