# Needs Python 3.11 to 3.14, git and make. Everything is installed into .venv, nothing outside this folder.

.DEFAULT_GOAL := help
.PHONY: help replicate smoke figures report test test-long figure-baselines test-interop fuzz docs bench environment lock clean
.DELETE_ON_ERROR:

# The interpreter to build the environment from is the first usable one of: $(PYTHON), python3.11, python3.
PYTHON ?=
# What `make replicate` runs.
CONFIG ?= config/config.yaml
# How long each of the two coverage-guided fuzzers of `make fuzz` runs.
SECONDS ?= 600
# Only `make lock` needs uv; it is never needed to run or to test anything.
UV ?= uv

BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip install -qq
# Snakemake's jobs run the python and pma-mfg found first in the PATH.
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Nothing installed elsewhere may leak into the environment.
unexport PYTHONHOME PYTHONPATH
# Bytecode is written at first use; without it every job of the pipeline would compile its imports again.
unexport PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_USER := 0
# Small matrices: threads of the linear algebra library would only get into each other's way.
export OPENBLAS_NUM_THREADS := 1

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1@\2/p' Makefile | awk -F@ '{ printf "%-20s %s\n", $$1, $$2 }'

replicate: environment ## Run the full replication into results/ and figures/, or another one: CONFIG=config/example.yaml
	@$(BIN)/python workflow/run.py '$(CONFIG)'

smoke: environment ## Run the same pipeline at toy size, in minutes
	@$(BIN)/python workflow/run.py config/smoke.yaml

figures: environment ## Draw the figures of a finished run again, from its tables, or of another one: CONFIG=config/smoke.yaml
	@$(BIN)/pma-mfg figures '$(CONFIG)'

report: environment ## Write one HTML page of a finished run, or another one: CONFIG=config/smoke.yaml
	@$(BIN)/snakemake --configfile '$(CONFIG)' --rulegraph | $(BIN)/pma-mfg report '$(CONFIG)' --rulegraph -

test: environment ## Check style and types, then run all tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow/rules
	$(BIN)/snakemake --lint
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m 'not interop and not long'
	$(BIN)/python -m sphinx -W --keep-going -q -j auto -E docs site

test-long: environment ## Run the tests that take many minutes or hours
	$(BIN)/pytest -v -s -m long

# pytest calls it a failure when it has written a reference, which is the purpose here.
figure-baselines: environment ## Renew what the figures are compared with, after an intended change: look at the difference
	-@$(BIN)/pytest -q tests/figures/test_figures.py -k test_numbers --force-regen
	@$(BIN)/pytest -q tests/figures/test_figures.py -k 'test_picture and not compared' -o addopts= --mpl-generate-path=tests/figures/baseline
	@git status --short tests/figures

# Findings are left in files crash-..., to be given to tests/fuzz/coverage_guided.py again.
fuzz: environment ## Look for hostile input that is answered wrongly: 600 s each, or another time: SECONDS=60
	FUZZ_EXAMPLES=2000 $(BIN)/pytest -q tests/fuzz
	$(BIN)/python tests/fuzz/coverage_guided.py configuration $(SECONDS)
	$(BIN)/python tests/fuzz/coverage_guided.py arrays $(SECONDS)

docs: environment ## Build the documentation into site/, to be opened in a browser; warnings are errors
	@$(BIN)/python -m sphinx -W --keep-going -q -j auto docs site && echo 'open site/index.html'

test-interop: .venv-interop/.installed ## Test against MFGLib and Bench-MFG (installs PyTorch and JAX into .venv-interop)
	.venv-interop/bin/python -m pytest -m interop tests/interop

# Like .venv-bench. With its dependencies, because PyTorch's depend on the build: none more for the CPU, some gigabytes of
# CUDA libraries for what most package indexes hold for Linux.
.venv-interop/.installed: .venv/.project tests/interop/requirements.txt
	@rm -rf .venv-interop && $(BIN)/python -m venv --without-pip .venv-interop
	@own=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	interop=$$(.venv-interop/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	echo "import site; site.addsitedir('$$own')" > "$$interop/project.pth"
	@echo 'Installing the other libraries into .venv-interop (some minutes)'
	@$(BIN)/python -m pip --python .venv-interop/bin/python install -qq -r tests/interop/requirements.txt && touch $@

bench: .venv-bench/.installed ## Time the simulator and the solvers against their baselines
	@.venv-bench/bin/python benchmarks/simulator.py
	@.venv-bench/bin/python benchmarks/agents.py
	@.venv-bench/bin/python benchmarks/solvers.py

# Sees everything in .venv, and has the benchmarks' alternatives on top: they stay out of the project's environment.
.venv-bench/.installed: .venv/.project benchmarks/requirements.txt
	@rm -rf .venv-bench && $(BIN)/python -m venv --without-pip .venv-bench
	@own=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	bench=$$(.venv-bench/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	echo "import site; site.addsitedir('$$own')" > "$$bench/project.pth"
	@if $(BIN)/python -m pip --python .venv-bench/bin/python install -qq --no-deps -r benchmarks/requirements.txt; then touch $@; \
	else echo 'jax could not be installed: its columns are left out, see benchmarks/README.md' >&2; fi

environment: .venv/.project ## Set up .venv from requirements.lock (done by the targets above)
	@:

# Each stamp is written last, so a set-up that was interrupted starts afresh the next time. The locked pip and
# setuptools go first and install the rest, so that it does not depend on the versions Python came with.
.venv/.locked: requirements.lock
	@set -e; start=$$(date +%s); \
	rm -rf .venv; \
	usable='import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))'; \
	python=; \
	for candidate in $(PYTHON) python3.11 python3; do \
	    if "$$candidate" -c "$$usable" 2>/dev/null; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	    echo "error: needs Python 3.11 to 3.14 with its venv module (Debian, Ubuntu: apt install python3.11-venv);" \
	        "to name one: make PYTHON=/path/to/python3.11 ..." >&2; \
	    exit 1; \
	fi; \
	printf 'Installing the locked environment into .venv (about a minute) ... '; \
	"$$python" -m venv .venv; \
	awk '/^[^ ]/ { keep = /^(pip|setuptools)==/ } keep' requirements.lock > .venv/installers.txt; \
	$(PIP_INSTALL) --require-hashes -r .venv/installers.txt; \
	$(PIP_INSTALL) --require-hashes --no-build-isolation --no-compile -r requirements.lock; \
	touch $@; \
	echo "done in $$(($$(date +%s) - start)) s"

.venv/.project: .venv/.locked pyproject.toml
	@$(PIP_INSTALL) --no-deps --no-build-isolation -e . && touch $@

# Keeps the present pins where pyproject.toml allows; `rm requirements.lock` first to bring all up to date.
lock: ## Rewrite requirements.lock and environment.yml after a change of pyproject.toml
	$(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 --fork-strategy fewest \
	    --extra pipeline --extra slurm --extra pettingzoo --extra docs --extra test --group build --generate-hashes --no-header --no-annotate -o requirements.lock
	$(or $(PYTHON),python3) tests/environment/write_environment.py

clean: ## Remove .venv, results/ and site/
	rm -rf .venv .venv-bench .venv-interop results site
