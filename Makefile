# One command for each thing people do here; `make help` lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
CLIENT := cli/agent/plugin-client

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types layers bench wheel client clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml hatch_build.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "error: cannot make a virtual environment; on Debian: apt install python3-venv" >&2; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(CLIENT): $(wildcard cli/agent/*.c cli/agent/*.h) cli/agent/Makefile
	@command -v cc >/dev/null || { echo "error: a C compiler is needed; on Debian: apt install gcc libc6-dev" >&2; exit 1; }
	$(MAKE) --no-print-directory -C cli/agent plugin-client

client: $(CLIENT) ## build the static client

demo: $(STAMP) $(CLIENT) ## open cc-tui on a scratch project with a busy agent
	@$(BIN)/cc-tui --demo

test: $(STAMP) $(CLIENT) ## run every test that can run here
	$(BIN)/pytest -n auto --dist loadgroup --no-loadscope-reorder

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

layers: $(STAMP)
	$(BIN)/lint-imports

check: lint types layers test ## everything that must hold before a change lands

bench: $(STAMP) $(CLIENT) ## measure, natively and through the wrappers, in one run
	$(BIN)/python -m tests.bench

wheel: $(STAMP) ## build the wheel, with client and default policies inside
	$(BIN)/python -m build --wheel

clean: ## remove what was built
	rm -rf $(VENV) build dist $(CLIENT) cli/agent/plugin-client-asan
