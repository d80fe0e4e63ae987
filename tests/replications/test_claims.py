"""The sawtooth study at a scale where the claims of its source can be judged."""

import pytest

import jaxland as jl
from jaxland.replications import SawtoothConfig


@pytest.mark.slow
def test_most_claims_of_the_paper_agree(tmp_path):
    outcome = jl.run("sawtooth", SawtoothConfig(steps=20_000), tmp_path / "s", fits=512)
    verdicts = [claim.verdict for claim in outcome.claims]
    assert "not tested" not in verdicts
    assert verdicts.count("agrees") >= 0.8 * len(verdicts)
