# `make demo` and `make test` do all of their own set-up, in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-all check docs speed labels study entries clean

demo: $(VENV)/.installed
	$(BIN)/gifd-bench run demo --output runs/demo

# The fast tests; test-all runs the slow ones too.
test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n 2 -m 'not slow and not nightly'

test-all: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n 2

# The documentation as a site: open build/site/index.html.
docs: $(VENV)/.installed-test
	$(BIN)/python -m mkdocs build --quiet

# Lint, spelling, types and import contracts.
check: $(VENV)/.installed-test
	$(BIN)/codespell
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# What a gradient evaluation takes, written into docs/speed.md, and what the engine costs around an inversion.
speed: $(VENV)/.installed
	$(BIN)/gifd-bench speed --attacks ig ggl gifd --markdown docs/speed.md
	$(BIN)/python -m tests.speed.engine 100 1000 10000

# How many labels each rule finds on trained victims, as in docs/labels.md; GIFD_BENCH_DATA names the data folder.
labels: $(VENV)/.installed-test
	$(BIN)/python -m tests.labels.accuracy

# The tables of docs/study.md and docs/study-variations.md; GIFD_BENCH_DATA names the data folder. It takes about eleven
# hours on two cores, and goes on where it was interrupted.
STUDIES ?= study_convnet study_resnet18 study_convnet_2000 study_resnet18_2000 study_defenses_convnet study_defenses_resnet18 study_batches_convnet study_batches_resnet18 study_trained study_ood study_priors study_ablation study_ablation_resnet18 study_plus
EARLY = runs/priors/early/early.safetensors
$(EARLY): | $(VENV)/.installed-test
	$(BIN)/gifd-bench train-prior priors/cifar10 --name=early --data="$$GIFD_BENCH_DATA" --held_back=null --steps=500 --output=runs/priors/early

study: $(VENV)/.installed-test $(EARLY)
	set -e; for study in $(STUDIES); do \
	    $(BIN)/gifd-bench run $$study --pack 8 --output runs/$$study; \
	    $(BIN)/gifd-bench show runs/$$study --format csv > docs/results/$$study.csv; \
	done
	$(BIN)/python -m tests.docs.study

# The project's own entries of the board, with the tuned recipes; ENTRIES="--track photos-v1 --jobs 2" for some of them.
entries: $(VENV)/.installed
	$(BIN)/gifd-bench leaderboard renew $(ENTRIES)

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or newer is needed, not " + sys.version.split()[0] if sys.version_info < (3, 10) else 0)'
	$(PYTHON) -m venv $(VENV)

# A strict editable install links file by file, which mypy and import-linter follow; a file that is added or removed
# is seen after the next install, hence the list of files.
SOURCES := build/sources.txt
PACKAGE_FOLDERS := api benchmark common configs leaderboard priors tasks
EDITABLE := -e . --config-settings editable_mode=strict

$(SOURCES): FORCE
	@mkdir -p build
	@find $(PACKAGE_FOLDERS) -type f -not -path '*/__pycache__/*' -not -path '*/entries/*' | sort > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

FORCE:

$(VENV)/.installed: $(VENV)/bin/python setup.cfg pyproject.toml $(SOURCES)
	$(BIN)/python -m pip install --disable-pip-version-check $(EDITABLE)
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --disable-pip-version-check $(subst -e .,-e '.[test]',$(EDITABLE))
	touch $@
