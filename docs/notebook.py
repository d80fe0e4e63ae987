"""Runs the notebook of these pages again and keeps what comes out in it.

Usage: python docs/notebook.py (a minute; needs `pip install '.[docs]'`)
"""

import tempfile
from pathlib import Path

NOTEBOOK = Path(__file__).resolve().parent / "notebook.ipynb"


def executed():
    """The notebook with what comes out of its cells, in an empty folder."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, 4)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when it was run
    notebook.metadata.pop("language_info", None)
    return notebook


if __name__ == "__main__":
    import nbformat

    nbformat.write(executed(), NOTEBOOK)
    print(f"{NOTEBOOK}: {NOTEBOOK.stat().st_size / 1e3:.0f} kB")
