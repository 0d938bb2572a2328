"""A notebook in a real browser: opened in JupyterLab, all its cells run, and what they show."""

from __future__ import annotations

import json
import secrets
from typing import Any

from lab_server import IDLE, Lab

EVERY = 250  # milliseconds between two looks: a look at each frame would cost more than what the page does
OPEN = "path => { window.jupyterapp.commands.execute('docmanager:open', {path, factory: 'Notebook'}); }"
SHOWN = f"path => {IDLE} && window.jupyterapp.shell.currentWidget.context.path === path"
IN_FRONT = ".jp-NotebookPanel:not(.lm-mod-hidden)"
OUTPUTS = """() => window.jupyterapp.shell.currentWidget.content.widgets
  .filter(cell => cell.model.type === 'code').map(cell => cell.model.outputs.toJSON())"""
FINISHED = """() => {
  const panel = window.jupyterapp.shell.currentWidget;
  const cells = panel.content.widgets.filter(cell => cell.model.type === 'code');
  const failed = cells.some(cell => cell.model.outputs.toJSON().some(o => o.output_type === 'error'));
  const idle = panel.sessionContext.session.kernel.status === 'idle';
  return failed || (idle && cells.every(cell => cell.model.executionCount));
}"""


def open_lab(page: Any, lab: Lab) -> None:
    """Open JupyterLab once, with no tab: opening it costs more than a notebook in it."""
    page.goto(lab.url(f"lab/workspaces/{secrets.token_hex(4)}"))
    page.wait_for_function("window.jupyterapp?.shell", polling=EVERY)
    page.evaluate("window.jupyterapp.restored")


def run_all(page: Any, path: str) -> list[list[dict[str, Any]]]:
    """Open a notebook in the lab of the page, run all its cells, and return the outputs of each code cell."""
    page.evaluate(OPEN, path)
    page.wait_for_function(SHOWN, arg=path, polling=EVERY)
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_function(FINISHED, polling=EVERY)
    return page.evaluate(OUTPUTS)


def pictures(outputs: list[list[dict[str, Any]]]) -> int:
    data = [output.get("data", {}) for cell in outputs for output in cell]
    return sum("image/png" in told or "<img " in str(told.get("text/html")) for told in data)


def text(outputs: list[list[dict[str, Any]]]) -> str:
    return json.dumps(outputs, ensure_ascii=False)
