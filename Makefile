# Each target works from a fresh clone with Python 3.11+ and nothing else; `make venv` is only the set-up.
PYTHON ?= python3
WORKERS ?= 2
VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip install --disable-pip-version-check
READY := $(VENV)/.ready
READY_DEV := $(VENV)/.ready-dev
UNFINISHED := $(VENV)/.unfinished

.PHONY: venv demo test
venv: $(READY)

demo: venv
	$(VENV)/bin/rarl demo

test: export OMP_NUM_THREADS = 1
test: $(READY_DEV)
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy
	$(RUN) -m pytest -n $(WORKERS) --dist worksteal

# An installation that was cut short leaves its mark behind: the next one then starts from an empty folder.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("rarl needs Python 3.11 or newer: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(if $(wildcard $(UNFINISHED)),--clear) $(VENV)
	@touch $(UNFINISHED)
	$(PIP) torch==2.13.0 -c requirements.lock
	$(PIP) -r requirements.lock
	$(PIP) --no-deps --no-build-isolation -e .
	@rm $(UNFINISHED)
	@touch $@

$(READY_DEV): requirements-dev.lock $(READY)
	@touch $(UNFINISHED)
	$(PIP) -r requirements-dev.lock -c requirements.lock
	@rm $(UNFINISHED)
	@touch $@
