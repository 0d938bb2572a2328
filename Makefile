# Commands of the project. `make` prints this help; a line starting with ## describes the target below it.
STUDY ?= boundaries radiologynet
SCALE ?= quick
DATA ?=
PYTHON ?= python3
BIN = .venv/bin
WHERE = --scale $(SCALE) $(if $(DATA),--data $(DATA))

.DEFAULT_GOAL = help
.PHONY: help setup figures test lab plan status check bench clean clean-runs

help:
	@awk '/^## /{text=substr($$0,4)} /^[a-z-]+:/{if(text){sub(":.*","");printf "make %-11s %s\n",$$0,text;text=""}}' Makefile
	@echo "Variables: STUDY=$(STUDY) SCALE=$(SCALE) (smoke quick course paper) DATA= (phantom real); TLKIT_DATA = your data"

## install everything into .venv
setup: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet -c constraints.txt -e ".[test]" && touch $@

## make the figures and tables of the studies, and every run they need
figures: setup
	@$(foreach study,$(STUDY),$(BIN)/python -m tlkit figures --study $(study) $(WHERE) &&) true

## run the tests on all cores, every notebook at smoke scale included
test: setup
	$(BIN)/python -m ruff check . && $(BIN)/python -m pytest -n auto

## open the notebooks in JupyterLab
lab: setup
	$(BIN)/jupyter lab notebooks

## list the runs of the studies: done, missing, failed, and the minutes they need
plan: setup
	@$(foreach study,$(STUDY),$(BIN)/python -m tlkit plan --study $(study) $(WHERE) &&) true

## list the runs in runs/
status: setup
	@$(BIN)/python -m tlkit status

## show whether this machine has what the project needs
check: setup
	@$(BIN)/python -m tlkit check

## time the project against what one would use instead (installs the rivals)
bench: setup
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[bench]" && $(BIN)/python -m benchmarks

## delete generated figures and tables (runs stay)
clean:
	rm -rf paper/figures paper/tables .pytest_cache .ruff_cache .hypothesis

## delete all runs, phantoms and stores too
clean-runs: clean
	find runs -mindepth 1 ! -name README.md -delete
