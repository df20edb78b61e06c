# Two commands on a fresh machine: `make demo` and `make test`. Each creates the virtual environment it needs.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
SHARED ?= $(or $(CROSSMARGIN_SHARED),$(shell scripts/shared-folder))

.PHONY: demo test check verify bench soak mutation audit lock clean
.DEFAULT_GOAL := demo

demo: $(VENV)/.runtime
	$(BIN)/crossmargin demo $(if $(SERVE),--serve)

test: $(VENV)/.dev
	CROSSMARGIN_SHARED="$(SHARED)" $(BIN)/python -m pytest -n 2

bench: $(VENV)/.dev
	$(BIN)/crossmargin bench

verify: $(VENV)/.runtime
	@[ -d "$(SHARED)" ] || { echo "verify needs the folder of outside cases: set CROSSMARGIN_SHARED"; exit 1; }
	$(BIN)/crossmargin verify "$(SHARED)/vectors"

# in parts, if one night is too short: CROSSMARGIN_SOAK=2500 (stateful histories), CROSSMARGIN_SEEDS=1000:1250 (simulator),
# CROSSMARGIN_COMMANDS=250000 (replay), CROSSMARGIN_REQUESTS=10000 (generated requests to the service), CROSSMARGIN_KILLS=1:51
soak: $(VENV)/.dev
	HYPOTHESIS_PROFILE=soak CROSSMARGIN_SHARED="$(SHARED)" $(BIN)/python -m pytest -n 2 -m soak

mutation: $(VENV)/.dev
	CROSSMARGIN_SHARED="$(SHARED)" $(BIN)/python scripts/mutation.py --survivors

check: $(VENV)/.dev
	CROSSMARGIN_SHARED="$(SHARED)" scripts/check

$(VENV)/.runtime: requirements/runtime.lock pyproject.toml scripts/setup
	scripts/setup runtime "$(PYTHON)" "$(VENV)"

$(VENV)/.dev: requirements/dev.lock pyproject.toml scripts/setup
	scripts/setup dev "$(PYTHON)" "$(VENV)"

# needs the network: known vulnerabilities are looked up at PyPI
audit: $(VENV)/.dev
	scripts/audit

lock: $(VENV)/.dev
	scripts/lock

clean:
	rm -rf $(VENV) build dist reports
