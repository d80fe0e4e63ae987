"""A study directory without training: made fits of two ensembles, as a store keeps them."""

import numpy as np

from jaxland.store import Manifest, StudyStore, configuration_hash

CONFIG = {"steps": 10, "rate": 0.01}
ENSEMBLES = ("momentum", "adam")
MANIFEST = Manifest(
    study="demo",
    config=CONFIG,
    config_hash=configuration_hash("demo", CONFIG),
    ensembles=ENSEMBLES,
    fits=10,
    provenance={
        "versions": "jax 1",
        "device": "cpu",
        "precision": "float32",
        "backends": {name: {"name": "lanes"} for name in ENSEMBLES},
        "programs": {"momentum": "0" * 16, "adam": "1" * 16},
    },
    shard_fits=5,
    title="A demonstration",
)


def columns(start, stop):
    """What a shard holds."""
    fit = np.arange(start, stop)
    loss = np.sqrt(fit + 1).astype(np.float32)
    never = np.full(len(fit), -1, np.int32)
    params = np.random.default_rng(start).normal(size=(len(fit), 3)).astype(np.float32)
    losses = {"initial_loss": loss + 1, "loss": loss, "best_loss": loss}
    return {
        "fit": fit,
        "status": np.full(len(fit), "ok"),
        **losses,
        "best_step": never + 9,
        "diverged_step": never,
        "params": params,
    }


def made(path):
    """The directory, with all of its fits."""
    store = StudyStore.create(path, MANIFEST)
    with store.writing():
        for ensemble in ENSEMBLES:
            for start, stop in store.missing(ensemble):
                for begin in range(start, stop, 5):
                    store.commit_shard(ensemble, begin, min(begin + 5, stop), columns(begin, min(begin + 5, stop)))
    store.require_complete()
    return store
