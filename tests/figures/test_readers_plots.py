"""A reader's own plots show in a kernel whose first figure was one of ours."""

from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient

OURS = {
    "image_grid": "report.image_grid([np.zeros((3, 4, 4))])",
    "style": "with report.style(): plt.close(plt.subplots()[0])",
    "save_figure": "report.save_figure(matplotlib.figure.Figure(), 's', 'n', runs=[], notebook='b', caption='', scale='x', phantom=True)",  # noqa: E501
}
FIRST = "import matplotlib, numpy as np, matplotlib.pyplot as plt; from tlkit import report"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Return what the cells of a fresh kernel put out: ours first, then the reader's."""
    cells = [FIRST, *(f"{code}; None" if "with" not in code else code for code in OURS.values())]
    cells += ["plt.plot([1, 2]);", "import seaborn as sns; sns.lineplot(x=[1, 2], y=[1, 2]);"]
    cells += ["print(plt.isinteractive(), plt.get_backend(), matplotlib.rcParams['font.size'])"]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TLKIT_PAPER", str(tmp_path_factory.mktemp("paper")))
        NotebookClient(book, kernel_name="python3").execute()
    return [cell.outputs for cell in book.cells]


def test_plots_after_ours_show(outputs):
    *_, plotted, drawn, said = outputs
    for found in (plotted, drawn):
        assert [o.output_type for o in found] == ["display_data"] and "image/png" in found[0].data
    assert said[0].text.split() == ["True", "inline", "10.0"]


def test_ours_are_not_shown_by_themselves(outputs):
    assert all(found == [] for found in outputs[: 1 + len(OURS)])
