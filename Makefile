# Everything starts here: `make help` lists it.

LABS := two_tenants three_tier eip vm
LAB ?= two_tenants
PYTEST_ARGS ?=
VENV := .venv/bin
# What neither asks a database nor a server anything: seconds. `slow` and the like are left out.
FAST := tests/unit tests/pipeline tests/southbound tests/oracle
# Debian's Python: the only one that has Mininet.
SYSTEM_PYTHON := /usr/bin/python3
export PYTHONDONTWRITEBYTECODE := 1

# Root is needed for namespaces. sudo takes the environment away, where labs have their directory too.
ifneq ($(shell id -u),0)
    SUDO := sudo env PYTHONDONTWRITEBYTECODE=1 $(addprefix VPCCTL_LABS_DIR=,$(VPCCTL_LABS_DIR))
endif

.DEFAULT_GOAL := help
.PHONY: help need-root need-lab install lab up down test test-worlds test-fast lint format clean bench bench-quick

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

# First of all: who cannot go on should not wait for packages before being told.
need-root: ## Say so when neither root nor sudo is there
	@[ "$$(id -u)" = 0 ] || command -v sudo >/dev/null || { \
	    echo "make $(MAKECMDGOALS): needs root (network namespaces) and there is no sudo:" \
	        "run it as root" >&2; exit 1; }

# Nothing is to be installed for a lab that is none.
need-lab: ## List the labs when LAB is none of them
	@$(if $(filter $(LAB),$(LABS)),:,echo "make: there is no lab $(LAB); LAB may be: $(LABS)" >&2; exit 2)

install: ## Install what is missing: Debian packages and the virtual environment
	@.ci/install

lab: need-root need-lab install ## Run a lab from start to end: LAB=two_tenants (as it is without), three_tier, eip or vm
	$(SUDO) $(SYSTEM_PYTHON) -m mininet_labs.$(LAB) run

up: need-root need-lab install ## Start the same lab and leave it running, with the API on 127.0.0.1
	$(SUDO) $(SYSTEM_PYTHON) -m mininet_labs.$(LAB) up

down: need-root need-lab ## End what `make up` started
	$(SUDO) $(SYSTEM_PYTHON) -m mininet_labs.$(LAB) down

test: need-root install ## Run every test (needs root)
	$(SUDO) $(VENV)/python -m pytest -n 3 --dist loadgroup $(PYTEST_ARGS)

test-worlds: install ## Compare many more random worlds with the oracle than `make test` does (an hour)
	TEST_WORLDS=12 $(VENV)/python -m pytest -n 3 --dist loadgroup tests/oracle $(PYTEST_ARGS)

test-fast: install ## Run the tests that take seconds: no root, switch, server or database
	$(VENV)/python -m pytest -n auto -m "not root and not postgres and not slow and not ovs" $(FAST) $(PYTEST_ARGS)

lint: install ## Check style, types and the direction of imports
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/pyright
	$(VENV)/lint-imports

format: install ## Format the code
	$(VENV)/ruff format .
	$(VENV)/ruff check --fix-only --quiet .

clean: ## Remove what was made here, the virtual environment too
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

include bench/bench.mk
