"""The notebook of the documentation: saved without outputs, it runs from its first cell to its last."""

import resource

import nbformat
import pytest
from helpers import ROOT
from helpers.standins import Reader

PATH = ROOT / "docs/tutorial.ipynb"
# Three minutes of two cores.
SECONDS = 360


def test_it_is_saved_without_outputs():
    notebook = nbformat.read(PATH, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(cells) >= 8
    assert [cell.source for cell in cells if cell.outputs or cell.execution_count] == []


@pytest.mark.slow
def test_it_runs(tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="nbclient is missing: pip install -e '.[dev]'")
    pytest.importorskip("ipykernel", reason="ipykernel is missing: pip install -e '.[dev]'")
    reader = Reader(tmp_path)
    for name in ("PATH", "PYTHONPATH", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, reader.env[name])
    notebook = nbformat.read(PATH, as_version=4)
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    nbclient.NotebookClient(notebook, timeout=1500, resources={"metadata": {"path": str(tmp_path)}}).execute()
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    computed = ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime
    text = "\n".join(
        output.get("text", "") or str(output.get("data", {}).get("text/plain", ""))
        for cell in notebook.cells
        for output in cell.get("outputs", ())
    )
    print(f"{computed:.0f} s computed", text[-3000:], sep="\n")
    # Shell commands that fail do not end a notebook.
    assert "error: " not in text and "Traceback" not in text, text
    top1 = float(text.split("top-1 ")[-1].split(" %")[0])
    # Either modality alone reaches 25 % at best.
    assert top1 > 50
    assert text.count("muted") == text.count("blind") == 1
    images = [
        output for cell in notebook.cells for output in cell.get("outputs", ()) if "image/png" in output.get("data", {})
    ]
    assert len(images) == 3
    assert computed < SECONDS
