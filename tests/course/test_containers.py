"""The files that open the project without installing: valid, and what they call is there. No image is built here."""

from __future__ import annotations

import json
import re

from tlkit import paths

FOLDER = paths.REPO / ".devcontainer"
MAKE = (paths.REPO / "Makefile").read_text(encoding="utf-8")
README = (paths.REPO / "README.md").read_text(encoding="utf-8")
CONTAINER = (FOLDER / "Containerfile").read_text(encoding="utf-8")
SETUP = "make setup TORCH_INDEX=https://download.pytorch.org/whl/cpu"


def test_both_install_as_the_readme_does():
    told = json.loads((FOLDER / "devcontainer.json").read_text(encoding="utf-8"))
    assert SETUP in README and told["onCreateCommand"] == SETUP and SETUP in CONTAINER
    assert told["settings" if "settings" in told else "customizations"]["vscode"]["settings"][
        "python.defaultInterpreterPath"
    ].endswith("/.venv/bin/python")
    assert re.search(r"^setup:", MAKE, re.M) and "TORCH_INDEX" in MAKE


def test_the_python_is_one_that_the_project_is_for():
    told = json.loads((FOLDER / "devcontainer.json").read_text(encoding="utf-8"))
    for image in (told["image"], re.search(r"^FROM (\S+)", CONTAINER, re.M)[1]):
        version = tuple(map(int, re.search(r":(\d+)\.(\d+)", image).groups()))
        assert version >= (3, 11)


def test_the_container_calls_what_is_there():
    from tlkit.__main__ import parser

    called = re.search(r"-m tlkit (course .+)$", CONTAINER, re.M)[1]
    assert parser().parse_args(called.split()).no_run
    command = json.loads(re.search(r"^CMD (\[.+\])$", CONTAINER, re.M)[1])
    assert command[:3] == [".venv/bin/python", "-m", "tlkit"]
    assert "--ip=0.0.0.0" in parser().parse_args(command[3:]).more
    lines = [x for x in CONTAINER.splitlines() if re.match(r"[A-Z]", x)]
    assert {x.split()[0] for x in lines} <= {"FROM", "RUN", "USER", "WORKDIR", "COPY", "ENV", "EXPOSE", "CMD"}
    assert lines.index("USER student") < lines.index("COPY --chown=student . ."), "nobody works as root"
    (at,) = (i for i, x in enumerate(lines) if x.startswith("WORKDIR "))
    made = next(i for i, x in enumerate(lines) if f"--owner=student {lines[at].split()[1]}" in x)
    assert made < at, "else WORKDIR makes it, for root alone"


def test_what_a_machine_made_stays_out_of_the_image():
    """Docker reads .dockerignore alone, podman either."""
    ignored = (paths.REPO / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {".venv", "runs/*", "!runs/README.md", "work"} <= set(ignored)
    assert not (paths.REPO / ".containerignore").exists(), "podman would read it in place of the other"


def test_the_page_says_what_was_not_tried():
    page = (paths.REPO / "notebooks/course/README.md").read_text(encoding="utf-8")
    assert "Neither image was built" in page and CONTAINER.splitlines()[0].removeprefix("# ") in page
