# The commands people run and the commands CI runs are the same.
PYTHON ?= python3
BIN := .venv/bin
# tests at a time: most of them wait
WORKERS ?= 4

SLOW := $(if $(THOROUGH),,and not slow)
export THOROUGH
# the program of the server that the lab, the demo and the tests start: make test REDIS_SERVER=/usr/bin/redis-server
export REDIS_SERVER
# what pytest makes of the test modules is kept: five workers would each make it again
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo demo-tasks lab lab-quick bench install test check coverage mutants profile tox screenshots schema lock \
	compose-test clean

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  REDIS_SERVER=/path/to/redis-server, or packaged, names the server that these start"

demo: .venv/run.stamp  ## both services on a server of their own, without Docker; Ctrl-C ends it
	@exec $(BIN)/python -m lab demo $(if $(SECONDS),--seconds $(SECONDS))

demo-tasks: .venv/run.stamp  ## the worked application as a story, without Docker: under 60 s
	@exec $(BIN)/python -m lab tasks

lab: .venv/run.stamp  ## every pattern through every fault, measured: under 20 minutes; SEED=7, RUNNER=threads or loop
	@exec $(BIN)/python -m lab faults $(if $(SEED),--seed $(SEED)) $(if $(RUNNER),--runner $(RUNNER)) $(if $(OUT),--out $(OUT))

lab-quick: .venv/run.stamp  ## the few faults that tell most, in under 90 s
	@exec $(BIN)/python -m lab faults --quick $(if $(SEED),--seed $(SEED))

install: .venv/dev.stamp  ## everything that developing needs, in .venv

test: .venv/dev.stamp  ## the tests but for those that need Docker, in about 10 minutes; THOROUGH=1 adds the slow ones
	@[ -n "$(THOROUGH)" ] || echo "without the slow tests: make test THOROUGH=1 runs them as well"
	@# first those that measure time, alone; ALONE=no leaves them out
	$(if $(filter no,$(ALONE)),,$(BIN)/python -m pytest -m "alone and not compose $(SLOW)" $(TESTS) || [ $$? = 5 ])
	$(BIN)/python -m pytest -m "not alone and not compose $(SLOW)" -n $(WORKERS) --dist worksteal $(TESTS) || [ $$? = 5 ]

check: .venv/dev.stamp  ## format, lint, types, architecture
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	cd examples/orders && MYPYPATH=.:../../shared ../../$(BIN)/mypy --strict --explicit-package-bases *.py
	$(BIN)/lint-imports

bench: .venv/run.stamp  ## how fast it is, beside others: PEERS=no ONLY=drain OUT=folder ROUNDS=3
	@exec $(BIN)/python -m lab bench --peers $(or $(PEERS),yes) $(addprefix --only ,$(ONLY)) \
		$(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(OUT),--out $(OUT))

screenshots: .venv/dev.stamp  ## photograph the dashboard anew into docs/screenshots: needs chromium
	@exec $(BIN)/python -m lab.screenshots

schema: .venv/run.stamp  ## write docs/message.schema.json and docs/asyncapi.json anew from the model
	$(BIN)/python -m townpost.schema

coverage: .venv/dev.stamp  ## which branches no test takes, about 20 minutes; TESTS=folder
	rm -f .coverage .coverage.*
	@# measured, everything is half as fast: a test of time may fail, and counts all the same
	-$(BIN)/coverage run -m pytest -m "alone and not compose $(SLOW)" $(TESTS)
	-$(BIN)/coverage run -m pytest -m "not alone and not compose $(SLOW)" -n $(WORKERS) --dist worksteal $(TESTS)
	@$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
	$(BIN)/coverage report --include "shared/townpost/patterns/*" --fail-under 95

mutants: .venv/dev.stamp  ## change the pure modules a little and see whether a test fails: nine in ten, about 5 minutes
	$(BIN)/python tests/mutants.py

profile: .venv/dev.stamp  ## a flame graph of a subscriber at work, profile.svg: PATTERN=stream
	$(BIN)/python -m lab.profile

tox: .venv/dev.stamp  ## the tests on every Python from 3.11 on that is installed, and in Docker if IMAGE=python:3.14-slim
	$(if $(IMAGE),$(in-container),$(BIN)/tox run $(if $(TESTS),-- $(TESTS)))

compose-test: .venv/dev.stamp  ## the tests that need a Docker engine
	$(BIN)/python -m pytest -m compose tests/compose

lock: .venv/bin/python  ## pin all dependencies anew, with hashes
	$(BIN)/python -m pip install -qq uv
	$(call compile,requirements/base.lock,--extra cli)
	$(call compile,requirements/dashboard.lock,--extra cli --extra dashboard)
	$(call compile,requirements/tasks.lock,--extra cli --extra tasks --extra tracing)
	$(call compile,requirements/demo.lock,--extra cli --extra demo --extra dashboard --extra tasks)
	$(call compile,requirements/dev.lock,--extra cli --extra dev --extra demo --extra dashboard --extra tasks --extra tracing)
	$(call compile,requirements/bench.lock,--extra cli --extra bench)
	$(call compile,lab/bench/locks/saq.lock,,lab/bench/locks/saq.in)
	$(call compile,lab/bench/locks/arq.lock,,lab/bench/locks/arq.in)
	$(call compile,lab/bench/locks/ardiq.lock,--python-version 3.12,lab/bench/locks/ardiq.in)

clean:  ## remove what these commands made
	rm -rf .venv .venv-peers .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .tox .coverage .coverage.* \
		profile.svg

define compile
$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
	$(if $(findstring --python-version,$(2)),,--python-version 3.11) $(2) --output-file $(1) $(or $(3),pyproject.toml)
endef

define pip-install
$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes --requirement $(1)
endef

# as any user and without git: what is found in the folder is copied, so that nothing is written there
define in-container
docker run --rm --init --volume "$(CURDIR):/from:ro" --workdir /townpost $(IMAGE) sh -c '\
	cp -r /from/[!.]* /from/.env.example /from/.dockerignore . && \
	pip install --quiet --disable-pip-version-check --root-user-action ignore --require-hashes --requirement requirements/dev.lock && \
	PYTHONPATH=shared python -m pytest -m "not alone and not compose $(SLOW)" -n $(WORKERS) --dist worksteal $(TESTS)'
endef

# the library is found where it stands, from any folder: what is installed would have to be installed anew
define library-path
echo '$(CURDIR)/shared' >"$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/townpost.pth"
endef

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Townpost needs Python 3.11 or newer: make PYTHON=/path/to/python3 ..." >&2; exit 2; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "no virtual environment could be made: on Debian and Ubuntu, apt-get install python3-venv" >&2; exit 2; }

.venv/run.stamp: requirements/demo.lock | .venv/bin/python
	@echo "installing what the demo needs into .venv"
	@$(call pip-install,$<)
	@$(library-path)
	@touch $@

.venv/dev.stamp: requirements/dev.lock | .venv/bin/python
	@echo "installing what developing needs into .venv"
	@$(call pip-install,$<)
	@$(library-path)
	@touch $@ .venv/run.stamp
