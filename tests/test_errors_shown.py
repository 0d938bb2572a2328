"""What a reader sees of the project's errors: in a notebook the message alone, in a script the traceback as ever."""

from __future__ import annotations

import subprocess
import sys

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell

from tlkit.config import ConfigError, TlkitError

FAILS = "def inner():\n    raise ConfigError('--label dx: expected a column.\\n  --label a')\ninner()"


@pytest.fixture
def shell():
    yield InteractiveShell()
    InteractiveShell.clear_instance()


def test_a_notebook_shows_the_message_alone(shell, capsys):
    shell.run_cell("from tlkit.config import ConfigError")
    result = shell.run_cell(FAILS)
    told = capsys.readouterr().out
    assert isinstance(result.error_in_exec, ConfigError)
    assert told.strip() == "ConfigError: --label dx: expected a column.\n  --label a"
    shell.run_cell("1 / 0")
    assert "Traceback" in capsys.readouterr().out, "those of others stay as they are"


def test_a_script_shows_where_it_was_raised():
    code = f"from tlkit.config import ConfigError\n{FAILS}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Traceback" in done.stderr and "in inner" in done.stderr
    assert "--label dx: expected a column." in done.stderr


def test_every_error_of_the_project_is_shown_so():
    class Later(TlkitError, ValueError):
        pass

    assert Later("what helps")._render_traceback_() == ["Later: what helps"]


def test_papermill_fails_and_records_it(tmp_path):
    import papermill

    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(f"from tlkit.config import ConfigError\n{FAILS}")]
    )
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "python3", "language": "python"}
    nbformat.write(notebook, tmp_path / "in.ipynb")
    with pytest.raises(papermill.PapermillExecutionError) as error:
        papermill.execute_notebook(tmp_path / "in.ipynb", tmp_path / "out.ipynb", progress_bar=False)
    assert (error.value.ename, "expected a column" in error.value.evalue) == ("ConfigError", True)
    outputs = [o for cell in nbformat.read(tmp_path / "out.ipynb", 4).cells for o in cell.get("outputs", ())]
    kept = next(o for o in outputs if o.output_type == "error")
    assert kept.ename == "ConfigError"
    assert kept.traceback == ["ConfigError: --label dx: expected a column.\n  --label a"]
