# make lab     the lessons in JupyterLab, in an environment of their own
# make test    what must hold before a change lands
# make help    the rest

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# What the learners' cluster holds (the Day4-pt-251 kernel), beside the newest of everything in .venv.
DAY4 := .venv-day4
# The cluster's Python is 3.10: make matrix DAY4_PYTHON=python3.10, where there is one with a torch.
DAY4_PYTHON ?= $(PYTHON)
# For which `make wheels` asks.
PYTHONS := 3.10 3.11 3.12 3.13 3.14
# A Jupyter server whose front end of anywidget is older than the kernel's: the browser tests start one.
OTHER_FRONT_END := $(VENV)/anywidget-0.9.21
TYPESCRIPT := 7.0.2
TSC := $(VENV)/typescript-$(TYPESCRIPT)/node_modules/.bin/tsc
SOURCES := biollm_widgets training benchmarks docs tests

.PHONY: help lab test quick check check-javascript corpus day4 matrix constraints wheels benchmarks docs pictures dist embedded-dna embedded-dna-table embedded-protein embedded-protein-table clean

help:
	@echo "make lab           install into .venv and open JupyterLab on the first lesson"
	@echo "make test          install what the tests need, check style and types, run every test"
	@echo "make quick         the tests that take seconds"
	@echo "make check         style and types alone"
	@echo "make corpus        every hostile submission through the grader (about seven minutes; make test runs a part)"
	@echo "make day4          the quick tests on transformers 4.50.3 (the cluster's versions)"
	@echo "make matrix        the same, and then on the newest"
	@echo "make wheels        ask the registry whether every package has a wheel for aarch64 (takes a connection)"
	@echo "make benchmarks    every figure that the README quotes (about an hour)"
	@echo "make docs          the pages in docs/reference, from the docstrings"
	@echo "make pictures      the pictures in docs/images, taken in JupyterLab (needs a Chromium)"
	@echo "make embedded-dna GENOME=file.fna.gz    pretrain the embedded DNA model anew (an hour or two)"
	@echo "make embedded-dna-table GENOME=file.fna.gz CODING=file.csv    measure it again for its README"
	@echo "make embedded-protein PROTEINS='a.fasta.gz b.fasta.gz'    pretrain the embedded protein model anew (an hour and a half)"
	@echo "make embedded-protein-table PROTEINS='...'    measure it again for its README"
	@echo "make dist          the wheel, in dist/, of what is committed"
	@echo "make constraints   resolve constraints.txt again (needs uv)"

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "This needs Python 3.10 or newer; name one: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.lab: pyproject.toml setup.cfg constraints.txt | $(VENV)/bin/python
	$(PIP) -e '.[lab,finetune]'
	touch $@

$(VENV)/.dev: pyproject.toml setup.cfg constraints.txt | $(VENV)/bin/python
	$(PIP) -e '.[dev]'
	touch $@

$(DAY4)/.dev: pyproject.toml setup.cfg constraints-day4.txt
	$(DAY4_PYTHON) -m venv $(DAY4)
	$(DAY4)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-day4.txt -e '.[finetune,matrix]'
	touch $@

# Not of constraints.txt, which pins the kernel's. What cannot be fetched is skipped by its test, and is a failure in CI.
$(OTHER_FRONT_END): | $(VENV)/bin/python
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $@ anywidget==0.9.21

lab: $(VENV)/.lab
	$(BIN)/biollm lab

check: $(VENV)/.dev check-javascript
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy

# The widgets' JavaScript carries its types in comments. TypeScript is fetched once, and passed over where it cannot be.
check-javascript: | $(VENV)/bin/python
	@[ -x $(TSC) ] || npm install --silent --no-audit --no-fund --prefer-offline --fetch-timeout=30000 --prefix $(VENV)/typescript-$(TYPESCRIPT) typescript@$(TYPESCRIPT) || true
	@if [ -x $(TSC) ]; then echo "$(TSC) --project tsconfig.json"; $(TSC) --project tsconfig.json; else \
		echo "TypeScript is not here (it takes npm and, once, a connection): the types of the widgets' JavaScript were not checked."; \
		[ -z "$$CI" ]; fi

# A process a core, each with one thread: more would only wait for each other. A file's tests stay together, for what
# they share. The browser tests have their own processes enough.
PYTEST := -m pytest -n 2 --dist loadfile

test: check $(DAY4)/.dev $(OTHER_FRONT_END)
	OMP_NUM_THREADS=1 $(BIN)/python $(PYTEST) -m "not browser" --durations=10
	$(BIN)/python -m pytest -m browser --durations=10

quick: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python $(PYTEST) -m "not browser and not slow"

corpus: $(VENV)/.dev
	BIOLLM_WHOLE_CORPUS=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/grading/test_corpus.py

day4: $(VENV)/.dev $(DAY4)/.dev
	OMP_NUM_THREADS=1 $(DAY4)/bin/python $(PYTEST) -m "not browser and not slow"

matrix: day4
	OMP_NUM_THREADS=1 $(BIN)/python $(PYTEST) -m "not browser and not slow"

benchmarks: $(VENV)/.dev
	$(BIN)/python -m benchmarks.importing
	$(BIN)/python -m benchmarks.embed
	$(BIN)/python -m benchmarks.finetune
	$(BIN)/python -m benchmarks.generate
	$(BIN)/python -m benchmarks.token_view
	$(BIN)/python -m benchmarks.training_progress
	$(BIN)/python -m benchmarks.protein_panel
	$(BIN)/python -m benchmarks.grading

docs: $(VENV)/.dev
	$(BIN)/python -m docs.reference

# Nothing is downloaded but what the registry says of each package; it takes a connection. 2.28 is the C library of
# Debian 10 and newer: the container's, of Ubuntu 22.04, is newer.
wheels: $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet uv
	@for python in $(PYTHONS); do \
		$(BIN)/uv pip compile pyproject.toml --extra lab --extra finetune --extra grading --python-version $$python \
			--python-platform aarch64-manylinux_2_28 --only-binary :all: --no-header --no-annotate --quiet \
			--upgrade --output-file $(VENV)/wheels.txt || exit 1; \
		echo "Python $$python on aarch64: a wheel for each of $$(wc -l < $(VENV)/wheels.txt) packages."; \
	done

pictures: $(VENV)/.dev
	$(BIN)/python -m docs.pictures

embedded-dna: $(VENV)/.dev
	$(BIN)/python -m training.pretrain_dna --genome $(GENOME) --out output/dna
	$(BIN)/python -m training.pack_dna output/dna biollm_widgets/models/embedded/dna

embedded-dna-table: $(VENV)/.dev
	$(BIN)/python -m training.evaluate_dna --genome $(GENOME) --coding $(CODING)

embedded-protein: $(VENV)/.dev
	$(BIN)/python -m training.pretrain_protein --proteins $(PROTEINS) --out output/protein
	$(BIN)/python -m training.pack_protein output/protein biollm_widgets/models/embedded/protein

embedded-protein-table: $(VENV)/.dev
	$(BIN)/python -m training.evaluate_protein --proteins $(PROTEINS)

constraints: $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet uv
	echo 'torch==2.13.0' > $(VENV)/torch.txt
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra grading --universal --python-version 3.10 \
		--constraint $(VENV)/torch.txt --no-header --no-annotate --quiet -o $(VENV)/resolved.txt
	{ echo "# What the tests ran with, for Python 3.10 and newer; made by 'make constraints'."; \
	  grep -vE '^(nvidia|cuda|triton)' $(VENV)/resolved.txt; } > constraints.txt

# From a copy of what git tracks, as from a clean clone: leftovers of the working tree do not get in.
dist: $(VENV)/.dev
	rm -rf build/clone && mkdir -p build/clone
	git archive HEAD | tar -x -C build/clone
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation -w dist build/clone

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
