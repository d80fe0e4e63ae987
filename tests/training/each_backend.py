"""A trainer of each backend and form, for tests that ask the same of all of them; nothing is measured."""

from jaxland.training.lanes import LanesTrainer, machine
from jaxland.training.lanes.tuning import VERSION
from jaxland.training.xla import XlaTrainer

# Points are taken together from step 8 on: so there are steps of both kinds.
FORMS = {
    "lanes": {"form": "straight"},
    "lanes, points together": {"form": "straight", "compress": 8},
    "lanes, loops over units": {"form": "loops"},
}
TRAINERS = (*FORMS, "xla")


def make_trainer(name, ensemble, tile=2):
    """The trainer of a name in `TRAINERS`."""
    if name == "xla":
        return XlaTrainer(ensemble)
    target = machine.host()
    lanes = target.vector_bytes // ensemble.number_format.itemsize
    settings = {"lanes": lanes, "tile": tile, "fused": target.fused, "kernel": VERSION}
    return LanesTrainer(ensemble, {**settings, **FORMS[name]})
