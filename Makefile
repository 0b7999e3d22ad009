# `make book` and `make test` need nothing but Python 3.11 or newer.
PYTHON ?= python3
# The index that torch is installed from. Empty: PyTorch's CPU builds on a Linux without an NVIDIA driver, if their
# index answers; otherwise the index that pip is set up with, as for every other package.
TORCH_INDEX ?=
PORT ?= 8000
BIN := .venv/bin
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check
TORCH := $(shell grep '^torch==' requirements.txt)
NOTEBOOKS := $(wildcard book/*.ipynb)
BROWSER_TESTS := $(wildcard tests/test_browser.py tests/test_tryit_*.py)
APART := $(BROWSER_TESTS) tests/test_colab.py  # not in make test

.PHONY: help book test test-browser pdf slow experiments lab serve clean
help:
	@echo "make book   build the book into _build/html (installs .venv the first time)"
	@echo "make fast   lint, and the tests that take seconds: the reflex after an edit"
	@echo "make test   run the tests, and every notebook"
	@echo "make test-browser  open every page in a browser: formulas, images, sliders, exercises, keyboard, accessibility"
	@echo "make pdf    print the whole book into _build/coursekit.pdf (needs chromium)"
	@echo "make slow   remake the shipped models and compare them with the committed measures"
	@echo "make experiments  remake the measured results of chapters 3 and 5 to 7 that are missing or stale (see experiments/README.md)"
	@echo "make lab    open the notebooks in JupyterLab"
	@echo "make serve  serve the built book at http://localhost:$(PORT)"
	@echo "make clean  remove what was built (not .venv)"
	@echo "make test-colab  run the chapters' copies for Colab where the library is not installed"
	@echo "parts of make test: make lint, notebooks, test-grader; now and then: make coverage, mutants, links, newest"
	@echo "Variables: PYTHON=python3.12   TORCH_INDEX=https://download.pytorch.org/whl/cu130   PORT=8000"

book: .venv/.book
	@echo "== building the book"
	$(BIN)/jupyter-book build . -n -W --keep-going
	@echo "== done: open _build/html/index.html"

test: lint
	@echo "== tests, then every notebook under --nbval"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -W error \
	  $(addprefix --ignore=,$(APART)) tests
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --nbval $(NOTEBOOKS)

# Parts of `make test`, and what is run now and then: the workflows in .github call them.
GRADER_TESTS := tests/attacks tests/test_autograder.py tests/test_cluster.py tests/test_grade.py \
                tests/test_learners_notebooks.py tests/test_release.py tests/test_isolation.py tests/test_submissions.py \
                tests/test_exports.py tests/test_own_exercises.py
.PHONY: lint fast notebooks test-grader test-colab coverage mutants links newest
lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy

fast: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile -W error -m "not slow" tests

notebooks: .venv/.dev
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --nbval $(NOTEBOOKS)

test-grader: .venv/.dev
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -W error $(GRADER_TESTS)

test-colab: .venv/.dev
	$(BIN)/python -m pytest -q -n 2 -W error tests/test_colab.py

# Not pytest --cov: the package is itself a plugin of pytest, imported before --cov begins to measure.
coverage: .venv/.dev
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q -W error $(addprefix --ignore=,$(APART) $(GRADER_TESTS)) tests
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

# MUTANTS: options and names, as MUTANTS="--max-children 1 'coursekit.groups.*'". Without a name: all without a result.
mutants: .venv/.dev
	OMP_NUM_THREADS=1 $(BIN)/mutmut run $(MUTANTS)
	@echo "== what no test noticed; $(BIN)/mutmut show NAME prints the change"
	$(BIN)/mutmut results

links: .venv/.book
	$(BIN)/jupyter-book build . --builder linkcheck

# In a .venv of its own: the newest versions of what the package needs, not those of requirements.txt.
newest:
	$(PYTHON) -m venv _build/newest
	_build/newest/bin/python -m pip install -q -r requirements.txt -r requirements-dev.txt
	_build/newest/bin/python -m pip install -q -U --upgrade-strategy eager -e '.[torch,fast,gym,train,hf,grade,cluster]'
	_build/newest/bin/python -m pytest -q -m "not slow" tests

test-browser: .venv/.dev book
	@$(BIN)/python tools/browser.py axe-core
	@echo "== every page in a browser; with COURSEKIT_SHOTS=1, screenshots go to _build/screenshots"
	$(BIN)/python -m pytest -q -n 2 -W error $(BROWSER_TESTS)

pdf: .venv/.dev book
	$(BIN)/python tools/make_pdf.py

slow: .venv/.dev
	$(BIN)/python experiments/make_checkpoints.py --check

experiments: .venv/.dev
	$(BIN)/python experiments/make.py

lab: .venv/.book
	$(BIN)/jupyter lab book

serve: .venv/.book
	$(BIN)/python -m http.server $(PORT) --directory _build/html

clean:
	rm -rf _build

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "coursekit needs Python 3.11 or newer, and $(PYTHON) is not; try: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	@echo "== making .venv"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.venv/.book: .venv/bin/python requirements.txt pyproject.toml
	@echo "== installing requirements.txt into .venv: a few minutes"
	@index="$(TORCH_INDEX)"; if test -n "$$index"; then $(PIP) $(TORCH) --index-url "$$index"; exit; fi; \
	  index=`$(BIN)/python tools/torch_index.py`; \
	  test -z "$$index" || $(PIP) $(TORCH) --index-url "$$index" 2>/dev/null || true
	$(PIP) -r requirements.txt
	@touch $@

.venv/.dev: .venv/.book requirements-dev.txt
	@echo "== installing requirements-dev.txt into .venv"
	$(PIP) -r requirements-dev.txt
	@touch $@
