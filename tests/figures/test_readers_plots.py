"""A reader's own plots show in a kernel whose first figure was one of ours."""

from __future__ import annotations

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbclient import NotebookClient

from tlkit import report

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
    assert said[0].text.split() == ["True", "module://matplotlib_inline.backend_inline", "10.0"]


def test_ours_are_not_shown_by_themselves(outputs):
    assert all(found == [] for found in outputs[: 1 + len(OURS)])


def test_no_drawing_of_the_report_changes_anything():
    """What is set before is set after: the folder's fixture looks."""
    history = pd.DataFrame({"epoch": [0, 1], "loss": [2.0, 1.0]})
    fig = report.curves({"run": history})
    report.image_grid([np.zeros((3, 4, 4))], ["a"], [np.ones((4, 4))])
    report.save_figure(fig, "s", "n", runs=[], notebook="b", caption="c", scale="smoke", phantom=True)


def test_nothing_is_left_where_drawing_fails():
    with pytest.raises(ValueError), report.style():
        raise ValueError
