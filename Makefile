# Needs Python 3.11 to 3.14, git and make. Everything is installed into .venv, nothing outside this folder.

.DEFAULT_GOAL := help
.PHONY: help replicate replicate-seeds smoke figures report test test-long figure-baselines test-interop test-slurm dist test-dist article crate fuzz mutation docs bench bench-peers scaling coverage environment lock clean
.DELETE_ON_ERROR:

# The interpreter to build the environment from is the first usable one of: $(PYTHON), python3.11, python3. To name
# another one than before builds it again.
PYTHON ?=
# What `make replicate` runs, and where: PROFILE=slurm is a cluster, see docs/cluster.md.
CONFIG ?= config/config.yaml
PROFILE ?= default
# At which seeds `make replicate-seeds` runs the configuration.
SEEDS ?= 101 102 103
# How long each of the two coverage-guided fuzzers of `make fuzz` runs.
SECONDS ?= 600
# Only `make lock` needs uv; it is never needed to run or to test anything.
UV ?= uv

BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip install -qq
# Snakemake's jobs run the python and pma-replicate found first in the PATH.
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Packages installed elsewhere must not be imported, and pip must install into .venv only.
unexport PYTHONHOME PYTHONPATH
unexport PIP_TARGET PIP_PREFIX PIP_ROOT PIP_PYTHON PIP_DRY_RUN PIP_NO_DEPS PIP_CONSTRAINT PIP_REQUIREMENT PIP_EDITABLE \
    PIP_ONLY_BINARY PIP_NO_BINARY PIP_REQUIRE_VIRTUALENV PIP_IGNORE_INSTALLED
# Bytecode is written at first use; without it every job of the pipeline would compile its imports again.
unexport PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_USER := 0
# The matrices are small: several threads of the linear algebra library would make them slower.
export OPENBLAS_NUM_THREADS := 1
# Files are written in UTF-8 whatever the terminal's language is.
export PYTHONUTF8 := 1
# Where the home folder cannot be written, caches are kept in this folder.
ifneq ($(shell test -d "$$HOME" && test -w "$$HOME" && echo yes),yes)
export XDG_CACHE_HOME ?= $(CURDIR)/.snakemake/cache
export MPLCONFIGDIR ?= $(CURDIR)/.snakemake/cache/matplotlib
endif
# WHICH prints the path that identifies an interpreter. OWN is true if .venv was made in this folder by the interpreter
# asked for: a .venv that was copied or moved still has the paths of its old folder, and would run the code there.
WHICH := import os, sys; print(os.path.realpath(sys.executable))
OWN = [ "$$(sed -n 1p .venv/.locked 2>/dev/null)" = '$(CURDIR)' ] && [ -x "$$(sed -n 2p .venv/.locked)" ] \
    && { [ -z '$(PYTHON)' ] || [ "$$(sed -n 2p .venv/.locked)" = "$$('$(PYTHON)' -c '$(WHICH)')" ]; }

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1@\2/p' Makefile | awk -F@ '{ printf "%-20s %s\n", $$1, $$2 }'

replicate: environment ## Run the full replication into results/ and figures/, or another one: CONFIG=config/example.yaml
	@$(BIN)/python workflow/run.py '$(CONFIG)' --progress --workflow-profile profiles/$(PROFILE)

smoke: environment ## Run the same pipeline at toy size, in minutes
	@$(BIN)/python workflow/run.py config/smoke.yaml --progress --workflow-profile profiles/$(PROFILE)

replicate-seeds: environment ## Run all verdicts at three other seeds, and tell which move: SEEDS="101 102 103" (an hour or more)
	@$(BIN)/python workflow/seeds.py '$(CONFIG)' $(SEEDS) -- --workflow-profile profiles/$(PROFILE)

figures: environment ## Draw the figures of a finished run again, from its tables, or of another one: CONFIG=config/smoke.yaml
	@$(BIN)/pma-replicate figures '$(CONFIG)'

report: environment ## Write one HTML page of a finished run, or another one: CONFIG=config/smoke.yaml
	@$(BIN)/snakemake --configfile '$(CONFIG)' --rulegraph | $(BIN)/pma-replicate report '$(CONFIG)' --rulegraph -

article: .venv-article/.installed ## Write the article of a finished run, article.pdf in its results, or of another run: CONFIG=...
	@.venv-article/bin/python article/build.py '$(CONFIG)'

crate: environment ## Pack a finished run as an RO-Crate, into crate/ in its results, or another run: CONFIG=...
	@$(BIN)/python workflow/crate.py '$(CONFIG)'

# Like .venv-bench.
.venv-article/.installed: .venv/.project article/requirements.txt
	@rm -rf .venv-article && $(BIN)/python -m venv --without-pip .venv-article
	@own=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	article=$$(.venv-article/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	echo "import site; site.addsitedir('$$own')" > "$$article/project.pth"
	@$(BIN)/python -m pip --python .venv-article/bin/python install -qq --no-deps -r article/requirements.txt && touch $@

test: environment ## Check style and types, build the documentation, run all tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=60 -m 'not interop and not long and not slurm and not dist'

test-long: environment ## Run the tests that take many minutes or hours
	$(BIN)/pytest -v -s -m long

# pytest exits with a failure after it has written references, which is the purpose here, so the code is ignored.
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

test-interop: .venv-interop/.installed ## Test against MFGLib, Bench-MFG and OpenSpiel (installs PyTorch and JAX into .venv-interop)
	.venv-interop/bin/python -m pytest -m interop tests/interop

# Like .venv-bench, but pip resolves the dependencies, because PyTorch's depend on its build: a CPU build needs none more,
# the build that most package indexes hold for Linux needs some gigabytes of CUDA libraries.
.venv-interop/.installed: .venv/.project tests/interop/requirements.txt
	@rm -rf .venv-interop && $(BIN)/python -m venv --without-pip .venv-interop
	@own=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	interop=$$(.venv-interop/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	echo "import site; site.addsitedir('$$own')" > "$$interop/project.pth"
	@echo 'Installing the other libraries into .venv-interop (some minutes)'
	@$(BIN)/python -m pip --python .venv-interop/bin/python install -qq -r tests/interop/requirements.txt && touch $@

test-slurm: environment ## Test the pipeline through a real Slurm on this machine (as root, with slurm-wlm and munge installed)
	$(BIN)/pytest -q -n 0 -m slurm tests/workflow/test_slurm.py

# The wheel is made from the source distribution, which so is shown to be complete.
dist: environment ## Build the source distribution and the wheel into dist/
	@rm -rf dist build && mkdir dist
	@$(BIN)/python -c 'from setuptools import build_meta; build_meta.build_sdist("dist")' > /dev/null
	@$(BIN)/python -m pip wheel -q --no-deps --no-build-isolation --no-index -w dist dist/*.tar.gz && ls dist/*

test-dist: dist .venv-dist/.installed ## Install what `make dist` built into fresh environments, with and without extras (minutes)
	$(BIN)/pytest -q -n 0 -m dist tests/dist

.venv-dist/.installed: .venv/.project tests/dist/requirements.txt
	@rm -rf .venv-dist && $(BIN)/python -m venv --without-pip .venv-dist
	@$(BIN)/python -m pip --python .venv-dist/bin/python install -qq -r tests/dist/requirements.txt && touch $@

# A module of TESTS in tests/mutation/run.py, and how many of its mutants are drawn at random (all by default).
MODULE ?= operators
SAMPLE ?=

mutation: .venv-mutation/.installed ## Change one module in many small ways and see whether its tests notice: MODULE=operators SAMPLE=100
	@.venv-mutation/bin/python tests/mutation/run.py $(MODULE) $(SAMPLE)

# Like .venv-bench.
.venv-mutation/.installed: .venv/.project tests/mutation/requirements.txt
	@rm -rf .venv-mutation && $(BIN)/python -m venv --without-pip .venv-mutation
	@own=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	mutation=$$(.venv-mutation/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	echo "import site; site.addsitedir('$$own')" > "$$mutation/project.pth"
	@$(BIN)/python -m pip --python .venv-mutation/bin/python install -qq --no-deps -r tests/mutation/requirements.txt && touch $@

# Run the benchmark $(2) with the interpreter of $(1), and write what it prints into its page.
define page
	@echo 'benchmarks/$(2).py' && $(1)/bin/python benchmarks/$(2).py > $(2).md.part && mv $(2).md.part benchmarks/$(2).md && cat benchmarks/$(2).md
endef

bench: .venv-bench/.installed ## Time the simulator, the solvers and imports against their baselines, into benchmarks/*.md
	$(call page,.venv-bench,two_cores)
	$(call page,.venv-bench,simulator)
	$(call page,.venv-bench,agents)
	$(call page,.venv-bench,environments)
	$(call page,.venv-bench,solvers)
	$(call page,.venv-bench,paths)
	$(call page,.venv,startup)

bench-peers: .venv-interop/.installed ## Time the exact methods against MFGLib, OpenSpiel and Bench-MFG, into benchmarks/peers.md (minutes)
	$(call page,.venv-interop,peers)

# If the full replication is finished, the page also has the times and memory of its rules.
scaling: environment ## Measure how costs grow with S, A, N and 1/epsilon, into benchmarks/scaling.md (minutes)
	@$(BIN)/python benchmarks/scaling.py $(wildcard results/full) > scaling.md.part && mv scaling.md.part benchmarks/scaling.md

coverage: environment ## Measure how often the intervals cover, into benchmarks/interval_coverage.md (minutes)
	@$(BIN)/python benchmarks/interval_coverage.py > coverage.md.part && mv coverage.md.part benchmarks/interval_coverage.md

# Imports everything in .venv, and in addition the libraries that benchmarks compare with, which .venv does not have.
.venv-bench/.installed: .venv/.project benchmarks/requirements.txt
	@rm -rf .venv-bench && $(BIN)/python -m venv --without-pip .venv-bench
	@own=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	bench=$$(.venv-bench/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	echo "import site; site.addsitedir('$$own')" > "$$bench/project.pth"
	@if $(BIN)/python -m pip --python .venv-bench/bin/python install -qq --no-deps -r benchmarks/requirements.txt; then touch $@; \
	else echo 'jax and Bench-MFG could not be installed: their columns are left out, see benchmarks/README.md' >&2; fi

environment: .venv/.project ## Set up .venv from requirements.lock (done by the targets above)
	@:

# Only one process sets up the environment at a time: the lock is a symbolic link that names the process, since making a
# link is atomic also where there is no flock. Each stamp is written last, so that a set-up that was interrupted starts
# again the next time. The locked pip and setuptools are installed first and install the rest, so that the result does not
# depend on the versions that Python came with. Two processes install one half of the packages each, which takes half the
# time: every dependency is in the lock, so neither half needs the other.
.venv/.project: requirements.lock pyproject.toml $(if $(shell $(OWN) && echo yes),,another)
	@set -e; start=$$(date +%s); me="$$(uname -n):$$$$"; told=; tries=0; \
	until ln -s "$$me" .venv-lock 2>/dev/null; do \
	    tries=$$((tries + 1)); \
	    if ! holder=$$(readlink .venv-lock); then \
	        [ $$tries -lt 50 ] || { ln -s "$$me" .venv-lock; exit 1; }; sleep 0.2; continue; \
	    fi; \
	    if [ "$${holder%:*}" = "$${me%:*}" ] && ! kill -0 "$${holder##*:}" 2>/dev/null \
	        && ! ps -p "$${holder##*:}" >/dev/null 2>&1; then rm -f .venv-lock; continue; fi; \
	    [ -n "$$told" ] || echo "waiting for another set-up (process $$holder; if there is none: rm .venv-lock)"; \
	    told=yes; sleep 0.2; tries=0; \
	done; \
	trap 'rm -f .venv-lock' EXIT; trap 'exit 130' HUP INT TERM; \
	if ! { $(OWN); } || [ requirements.lock -nt .venv/.locked ]; then \
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
	    which=$$("$$python" -c '$(WHICH)'); \
	    "$$python" -m venv .venv; \
	    awk '/^[^ ]/ { keep = /^(pip|setuptools)==/ } keep' requirements.lock > .venv/installers.txt; \
	    $(PIP_INSTALL) --require-hashes -r .venv/installers.txt; \
	    awk '/^[^ ]/ { i++ } { print > (".venv/half-" i % 2 ".txt") }' requirements.lock; \
	    printf '.venv/half-%s.txt\n' 0 1 \
	        | xargs -n 1 -P 2 $(PIP_INSTALL) --no-deps --require-hashes --no-build-isolation --no-compile -r; \
	    printf '%s\n' '$(CURDIR)' "$$which" > .venv/.locked; \
	    echo "done in $$(($$(date +%s) - start)) s"; \
	fi; \
	if ! [ -e $@ ] || [ pyproject.toml -nt $@ ] || [ .venv/.locked -nt $@ ]; then \
	    $(PIP_INSTALL) --no-deps --no-build-isolation -e .; \
	fi; \
	cp .venv/.locked $@

.PHONY: another

# Keeps the present versions where pyproject.toml allows; after `rm requirements.lock` it takes the newest ones.
lock: ## Rewrite requirements.lock and environment.yml after a change of pyproject.toml
	$(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 --fork-strategy fewest \
	    --extra replication --extra slurm --extra pettingzoo --extra docs --extra test --group build --generate-hashes --no-header --no-annotate -o requirements.lock
	$(or $(PYTHON),python3) tests/environment/write_environment.py

clean: ## Remove .venv, results/, site/ and what a build of the documentation writes into docs/
	rm -rf .venv .venv-lock .venv-bench .venv-interop .venv-mutation .venv-dist .venv-article results site dist docs/experiments
