"""Every Python block of the documentation pages runs, in order, and states values that come out."""

import matplotlib.pyplot as plt
from documents import blocks, run


def test_the_landscape_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    compared = sum(run(code, names) for code in blocks("docs/landscape.md"))
    plt.close("all")
    assert compared >= 9
    assert (tmp_path / "landscape.png").stat().st_size > 10_000
