# Commands of the project. `make` prints this help; a line starting with ## describes the target below it.
STUDY ?= boundaries radiologynet
SCALE ?= quick
DATA ?=
PROFILE ?=
FOLDER ?=
BUDGET ?= 30m
PATIENT ?=
ACCEPT ?=
RESULTS ?=
PYTHON ?= python3
TORCH_INDEX ?=
BIN = .venv/bin
export STUDY SCALE DATA PROFILE FOLDER BUDGET PATIENT ACCEPT RESULTS
WHERE = --study "$$STUDY" --scale "$$SCALE" --data "$$DATA"

.DEFAULT_GOAL = help
.PHONY: help setup figures paper site advise course test lab plan status check bench clean clean-runs

help:
	@awk '/^## /{text=substr($$0,4)} /^[a-z-]+:/{if(text){sub(":.*","");printf "make %-11s %s\n",$$0,text;text=""}}' Makefile
	@echo "Variables: STUDY=$(STUDY) SCALE=$(SCALE) (smoke quick course paper) DATA= (phantom real) ACCEPT=1 (fetch open data); TLKIT_DATA = your data"
	@echo "A small environment for a machine without a GPU: make setup TORCH_INDEX=https://download.pytorch.org/whl/cpu"

## install everything into .venv
setup: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install --quiet -c constraints.txt --index-url $(TORCH_INDEX) torch torchvision)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[test]" && touch $@

## make the figures and tables of the studies, and every run they need
figures: setup
	@$(BIN)/python -m tlkit figures $(WHERE) --profile "$$PROFILE"

## set the paper as PDF and HTML, from your own results where there are any, else from paper/reference
paper: setup
	@$(BIN)/python -m tlkit paper --results "$$RESULTS"

## make static pages of paper, notebooks, runs and data sets in paper/site
site: setup
	@$(BIN)/python -m tlkit site --results "$$RESULTS"

## say which pretraining to start from for FOLDER (or DATA) of your own images, in BUDGET
advise: setup
	@$(BIN)/python -m tlkit advise "$${FOLDER:-$$DATA}" --budget "$$BUDGET" --patient "$$PATIENT"

## make the course's copies for students and its solutions, and run both
course: setup
	@$(BIN)/python -m tlkit course

## run the tests on all cores, every notebook at smoke scale included
test: setup
	$(BIN)/python -m ruff check . && $(BIN)/python -m pytest -n auto

## open the notebooks in JupyterLab: copies in work/, which are yours to change
lab: setup
	@$(BIN)/python -m tlkit lab

## list the runs of the studies: done, missing, failed, and the minutes they need
plan: setup
	@$(BIN)/python -m tlkit plan $(WHERE)

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
	rm -rf paper/figures paper/tables paper/build paper/site .pytest_cache .ruff_cache .hypothesis

## delete all runs, phantoms and stores too
clean-runs: clean
	find runs -mindepth 1 ! -name README.md -delete
