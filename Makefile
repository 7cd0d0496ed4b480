# Every target sets up what it needs: `make demo` and `make test` work in a fresh clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DOCS_STAMP := $(VENV)/.docs-installed

.DEFAULT_GOAL := help
CRASHES ?= 1
LIFE ?= 3
SEEDS ?= 1000
SEED_BASE ?= 1
JOBS ?= 2
ROUNDS ?= 100
SECONDS ?= 120

.PHONY: help setup demo fleet-demo test verify fresh-test vm-test explore protocol simulate powerloss kill service-rounds fleet-rounds bench golden docs diagrams dist-check versions-check packages-test lock release lint format pictures fuzz mutation java-test till-verify clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is missing: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	@touch $@

setup: $(STAMP) ## make .venv with everything

demo: $(STAMP) ## one whole payment on an embedded PayMaster and simulated devices
	$(BIN)/sco-pay demo --out out/demo

fleet-demo: $(STAMP) ## 50 simulated lanes, the fleet's server and the office's page; needs PostgreSQL: FOR=seconds
	$(BIN)/sco-fleet demo $(if $(FOR),--for $(FOR))

# Hundreds of tests start a command in a process of its own: none of them should compile the sources once more.
test verify: export PYTHONDONTWRITEBYTECODE =

test: $(STAMP) ## the tests without the long proofs; most of them wait for devices and sockets, so many run at a time
	$(BIN)/python -m pytest -n 4 --dist worksteal

verify: $(STAMP) ## the long proofs of the money logic: every engine within its bounds
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m verify tests/verification tests/fleet

fresh-test: ## the README's two commands in a fresh Debian 12 and 13, as root: DEBIAN=bookworm
	$(PYTHON) tests/fresh/run.py $(DEBIAN)

vm-test: $(STAMP) ## contract suites and payments on real kernel devices, in QEMU: ONLY="words"
	$(BIN)/python tests/verification/vm/run.py $(foreach word,$(ONLY),--only $(word))

simulate: $(STAMP) ## the real lane in simulated time, faults on every wire: SEEDS=n SEED_BASE=m JOBS=n
	$(BIN)/python -m tests.verification.simulate --seeds $(SEEDS) --base $(SEED_BASE) --jobs $(JOBS)

explore: $(STAMP) ## every state of a payment, in wider bounds than verify: CRASHES=n LIFE=n WORSE=1
	$(BIN)/python -m tests.verification.explore --crashes $(CRASHES) --life $(LIFE) $(if $(WORSE),--worse)

protocol: $(STAMP) ## every state of till, service and bank together, in wider bounds than verify; minutes
	$(BIN)/python -m tests.verification.protocol --wider $(if $(LIMIT),--limit $(LIMIT))

powerloss: $(STAMP) ## cut the power, and fail the disk, at every operation of a journal's life
	$(BIN)/python -m tests.verification.powerloss

kill: $(STAMP) ## kill -9 a payment at every point, then at ROUNDS=n random moments
	$(BIN)/python -m tests.verification.kill --rounds $(ROUNDS)

service-rounds: $(STAMP) ## kill till and service at every point, then SEEDS=n with a faulty proxy between them
	$(BIN)/python -m tests.verification.service --seeds $(SEEDS) --base $(SEED_BASE)

fleet-rounds: $(STAMP) ## lanes and the fleet's server with faults on every wire: SEEDS=n SEED_BASE=m; needs PostgreSQL
	$(BIN)/python -m tests.fleet.faults --seeds $(SEEDS) --base $(SEED_BASE)

fuzz: $(STAMP) ## search for input that breaks something: SECONDS=n; coverage-guided where atheris is installed
	$(BIN)/python -m tests.verification.fuzz --seconds $(SECONDS)

mutation: $(STAMP) ## change the money code in every small way: does a test notice?
	$(BIN)/python -m tests.verification.mutation

java-test: $(STAMP) ## build the Java till's client and test it against the service; FORCE=1: fail without a JDK
	SCO_PYTHON=$(abspath $(BIN)/python) FORCE=$(FORCE) till/java/build.sh test $(ONLY)
	$(if $(ONLY),,$(BIN)/python -m pytest -n 2 tests/set10)

till-verify: $(STAMP) ## each fault at each request between a Set Retail 10 till and the service; needs a JDK
	$(BIN)/python -m pytest -n 2 -m verify tests/set10

lint: $(STAMP) ## formatting, lint, strict types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file tests/typing/mypy.ini tests/typing
	$(BIN)/basedpyright --pythonpath $(BIN)/python --project tests/typing
	$(BIN)/lint-imports --no-cache

format: $(STAMP) ## format, and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP) ## every benchmark next to its peer and limit: QUICK=1, ONLY=area, KEEP=1 writes docs/performance.md
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(if $(KEEP),--keep) $(ONLY)

$(DOCS_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group docs
	@touch $@

docs: $(DOCS_STAMP) ## the documentation as a site in out/docs; a warning is an error
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs out/docs
	$(BIN)/python -m sphinx -W --keep-going -q -b html -c docs -t ru docs/ru out/docs/ru
	@echo "out/docs/index.html"

dist-check: $(STAMP) ## build the wheel, install it alone in a new environment, and try it
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dist
	$(BIN)/python tests/dist/check.py

release: $(STAMP) ## every artefact of a release with its checksum in out/release, as root: TAG=vX.Y.Z, QUICK=1: x86-64
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dist
	$(BIN)/python packaging/release.py $(if $(TAG),--tag $(TAG)) $(if $(QUICK),--quick)

packages-test: ## out/release's bundle and .deb in fresh Debians without a network, as root: DEBIAN=bookworm ARCH=arm64
	$(PYTHON) tests/fresh/packages.py out/release $(DEBIAN) $(if $(ARCH),--architecture $(ARCH))

lock: $(STAMP) ## what a lane installs, with hashes, and the notices of others: packaging/lane.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dist
	$(BIN)/python packaging/inventory.py lock

versions-check: $(STAMP) ## the lowest and the newest dependencies on each Python that can be had: PYTHONS="3.11 3.14" ONLY=lowest
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dist
	$(BIN)/python tests/dist/versions.py $(PYTHONS) $(if $(ONLY),--only $(ONLY))

golden: $(STAMP) ## accept the tickets as they are printed now; their test has shown what has changed
	$(BIN)/python -m tests.golden

diagrams: $(STAMP) ## regenerate what the documentation draws and lists from the code
	$(BIN)/python docs/diagrams.py
	$(BIN)/python docs/drawings.py
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/evidence.py

pictures: $(STAMP) ## render the pictures of the README and docs again
	$(BIN)/python docs/pictures.py

clean: ## remove the environment and all that was generated
	rm -rf $(VENV) out build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
