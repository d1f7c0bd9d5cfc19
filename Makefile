# make lesson: set up and run the whole lesson.  make test: set up and run all tests.  make lab: open JupyterLab.
# make quick: the everyday tests, without those that train the real model or start whole programs.
# make torture: try to break it for two hours: kills, faults, bad input, many clients.  A table says what was lost.
# make bench: measure how fast it is, next to what people would use otherwise (an hour or two).
# make lock: choose packages anew, with their hashes.  make release-check: ask whether holes are known in them.
# make class-demo: a class of ten learners on this machine (simulated), with the instructor's page to look at.
# Needs Python 3.11 or newer (another one: make PYTHON=python3.13 …). Everything goes into .venv.

PYTHON ?= $(shell for p in python3.12 python3.13 python3.11 python3.14 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
NEEDS := pyproject.toml requirements.lock kernel/kernel.json
# Only files whose SHA-256 stands in requirements.lock are installed, also for building.
PIP := $(BIN)/python -m pip --disable-pip-version-check
LOCKED := --require-hashes --constraint requirements.lock --build-constraint requirements.lock
WANTED := $(BIN)/python dependencies/wanted.py
# PyTorch without what graphics cards need. It is asked for by its own version, because pip, when it checks hashes,
# prefers an index that states them to a folder with files.
SMALL_TORCH = $(shell sed -n 's/^\(torch==[^ ]*\) .*/\1+cpu/p' requirements.lock)

# What the lesson sets in JupyterLab, unless a learner sets it otherwise: nobody is asked about Jupyter's news.
LAB_SETTINGS = .venv/share/jupyter/lab/settings/overrides.d

.PHONY: lesson lab test quick torture bench class-demo format docs notebooks lock release-check clean
.DELETE_ON_ERROR:

lesson: .venv/ready
	@$(BIN)/openai-lesson run

lab: .venv/ready
	@$(BIN)/openai-local bases fetch
	@$(BIN)/jupyter trust notebooks/*.ipynb >/dev/null
	@mkdir -p $(LAB_SETTINGS)
	@echo '{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}' >$(LAB_SETTINGS)/openai-lesson.json
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/jupyter lab --notebook-dir notebooks

test: .venv/ready-for-tests
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/openai-local bases fetch
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not model"
	@$(BIN)/pytest -m model

quick: .venv/ready-for-tests
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not model and not whole"

torture: .venv/ready-for-tests
	@$(BIN)/pytest tests/torture --torture

bench: .venv/ready-for-tests
	@$(BIN)/openai-local bases fetch
	@$(BIN)/python benchmarks/run.py

class-demo: .venv/ready
	@$(BIN)/python benchmarks/class_demo.py

format: .venv/ready-for-tests
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

docs: .venv/ready
	@$(BIN)/python docs/make_api.py

notebooks: lesson
	@cp lesson-run/0*.ipynb notebooks/
	@$(BIN)/python docs/make_pictures.py

lock: .venv/ready
	@$(BIN)/python dependencies/lock.py

release-check: .venv/ready
	@$(BIN)/python dependencies/audit.py

.venv/ready: $(NEEDS)
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and was not found. Install it, or name it: make PYTHON=… $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || { echo "Setting up .venv (once; downloads about 500 MB)"; $(PYTHON) -m venv .venv; }
	@sed -n '/^pip==/,/[^\\]$$/p' requirements.lock | $(PIP) install --quiet --require-hashes --requirement /dev/stdin
	@$(PIP) install --quiet $(LOCKED) --no-deps $(SMALL_TORCH) 2>/dev/null && echo "  $(SMALL_TORCH) is taken" || true
	@rm -f .venv/filled; { $(WANTED) | $(PIP) install $(LOCKED) --requirement /dev/stdin && touch .venv/filled; } | awk ' \
		/^Collecting/ {sub(/[^A-Za-z0-9_.-].*/, "", $$2); print "  fetching " $$2; fflush()} \
		/^Installing/ {print "  installing (this takes a minute or two)"; fflush()}'
	@test -e .venv/filled
	@$(PIP) install --quiet --no-deps --build-constraint requirements.lock --editable .
	@$(BIN)/python -c 'import openai_lesson, openai_command, openai_local'
	@touch $@

.venv/ready-for-tests: .venv/ready
	@$(WANTED) test | $(PIP) install --quiet $(LOCKED) --requirement /dev/stdin
	@touch $@

clean:
	rm -rf .venv lesson-run
