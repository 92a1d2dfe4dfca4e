"""The smoke notebook runs from top to bottom, offline, on the embedded models."""

from __future__ import annotations

import ast
import json
import tempfile
from pathlib import Path

import nbformat
import pytest

from biollm_widgets.kernels import own_kernel

NOTEBOOK = Path(__file__).resolve().parents[1] / "lessons" / "start_here.ipynb"


def test_it_is_a_valid_notebook_without_stored_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None
            compile(cell.source, str(cell.id), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.slow
def test_it_runs_from_top_to_bottom_and_says_that_its_data_and_models_are_stand_ins(tmp_path, monkeypatch):
    pytest.importorskip("ipykernel", reason="Running a notebook needs ipykernel (make test installs it).")
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    monkeypatch.setenv("BIOLLM_MODELS", "embedded")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with tempfile.TemporaryDirectory() as sockets:
        kernel = own_kernel(AsyncKernelManager(), sockets)
        NotebookClient(notebook, km=kernel, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    by_id = {cell.id: cell for cell in notebook.cells}

    def text(cell_id: str) -> str:
        outputs = by_id[cell_id].outputs
        return "".join(out.get("text") or out.get("data", {}).get("text/plain", "") for out in outputs)

    # The first example.
    assert "Stand-in for zhihan1996/DNABERT-2-117M" in text("model")
    assert "59 bases became" in text("tokens")
    assert "SIMULATED" in text("data")
    assert "1000 sequences, 192 numbers each" in text("embed")
    assert "random weights, logistic regression" in text("classify")
    assert "better than always saying 0" in text("finetune")
    assert "Finished at step 375 of 375" in text("finetune")  # what the view of the training says in plain text
    assert "naive Bayes" in text("one")
    assert (tmp_path / "coding_model" / "results" / "run" / "eval_results.json").is_file()

    # The second.
    assert "Stand-in for nferruz/ProtGPT2" in text("generate")
    assert "10 proteins, " in text("generate") and "Seed 1." in text("generate")
    assert "residues a token" in text("text")
    assert "design_10" in text("judge") and "gravy" in text("judge")
    assert text("shuffle").count("surprise the model less than their shuffled copies") == 2
    assert "MKTAYIAKQRQISFVKSHFSRQDILDLWIYHTQGYFPDWQNY" in text("motif").replace("\n", "")
    assert text("take") == "(['designs.fasta', 'designs_settings.json'], 10)"
    job = json.loads(next((tmp_path / "alphafold3_jobs").iterdir()).read_text())
    assert job["dialect"] == "alphafold3" and job["sequences"][0]["protein"]["unpairedMsa"] == ""
