# What a newcomer and CI type. Each target does the set-up it needs; the second time there is nothing to do and it is quick.
# All paths are relative, so that a checkout may lie under any name.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
.PHONY: help demo test lint man bench paces soak fuzz ship schema pins clean packages

python := .venv/bin/python
pip := $(python) -m pip install -qq --no-input --disable-pip-version-check --no-warn-script-location -c .ci/constraints.txt
pytest := $(python) -m pytest

# The real programs that the tests run against: package=program.
packages := openssh-server=sshd openssh-client=ssh rsync=rsync busybox-static=busybox dropbear-bin=dropbear prometheus=promtool \
	socat=socat netcat-openbsd=nc.openbsd zsh=zsh fish=fish mksh=mksh tcsh=tcsh xfsprogs=mkfs.xfs btrfs-progs=mkfs.btrfs \
	podman=podman crun=crun mandoc=mandoc libimage-exiftool-perl=exiftool postgresql=initdb

# What forged is raced against, and what the links need.
rivals := rclone=rclone lftp=lftp iproute2=ip procps=sysctl

# Runs a checker; a clean one says nothing but its name.
check = printf '  %s\n' '$(1)'; out=$$($(2) 2>&1) || { printf '%s\n' "$$out"; exit 1; }

# Campaigns are longer runs, kept out of `make test` by their marker; each kind has its folder.
campaign = if [ -d tests/$(1) ]; then $(pytest) -m campaign tests/$(1) $(ARGS); else echo 'There is nothing in tests/$(1) yet.'; fi

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-6s %s\n", $$1, $$2}' Makefile

demo: .venv/.forged ## see forged at work: a throw-away source, its new files coming home
	@$(python) -m forged demo $(ARGS)

# Three processes on two cores: many tests wait for servers. A file's tests stay together, because they share servers.
test: packages .venv/.dev ## everything CI checks: lint, then the tests (ARGS='-k name' for some)
	@$(MAKE) checkers
	@$(pytest) -n 3 --dist loadfile $(ARGS)

lint: .venv/.dev checkers ## ruff, mypy, the import contracts, the house rules
	@$(call check,house rules,$(pytest) tests/house)

man: .venv/.forged ## write the man pages anew in etc/man (MANDIR=/usr/local/share/man for elsewhere)
	@$(python) -m forged.cli.manpages $(or $(MANDIR),etc/man)

bench: packages .venv/.dev ## how fast, against rsync, rclone, lftp: an hour, as root (ARGS='--sets tiny --links 50ms' for less)
	@.ci/debian $(rivals)
	@$(python) -m tests.bench.media
	@$(python) -m tests.bench.ingest
	@$(python) -m tests.bench.find
	@$(python) -m tests.bench --json build/bench-$$(date +%Y%m%d-%H%M%S).json $(ARGS)

paces: packages .venv/.dev ## how soon a new file is home, what idling costs, how well limits are kept (ARGS='-k name' for some)
	@$(call campaign,bench)

soak: packages .venv/.dev ## hours of it
	@$(call campaign,soak)

fuzz: packages .venv/.fuzz ## hostile bytes, guided by the branches they reach (FORGED_MINUTES=30 for each reader of them)
	@$(call campaign,fuzz)

schema: .venv/.dev ## write etc/forged.schema.json anew, after a change of the configuration's keys
	@$(python) -m forged.config.json_schema > etc/forged.schema.json.new && mv etc/forged.schema.json.new etc/forged.schema.json

ship: packages .venv/.dev ## what is shipped, with a network: the wheel from an index, the image (FORGED_BASE=image for another base)
	@$(call campaign,packaging)

pins: .venv/.dev ## compile .ci/constraints.txt anew
	@$(pip) uv
	@$(python) -m uv pip compile pyproject.toml --upgrade --all-extras --universal --no-header --no-annotate -q -o .ci/constraints.txt

clean: ## remove what these commands made (not the system packages)
	@rm -rf .venv .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage build dist
	@find forged tests -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: checkers
checkers: .venv/.dev
	@$(call check,ruff check,$(python) -m ruff check)
	@$(call check,ruff format,$(python) -m ruff format --check)
	@$(call check,mypy --strict,$(python) -m mypy)
	@$(call check,import contracts,.venv/bin/lint-imports --no-logo)

packages:
	@.ci/debian $(packages)

# Three stamps, because the demo needs less than the tests, and those less than the fuzzer. What is pinned or declared anew is
# installed anew.
.venv/.forged: pyproject.toml .ci/constraints.txt
	@.ci/venv
	@echo 'Installing forged into .venv'
	@$(pip) -e .
	@touch $@

.venv/.dev: pyproject.toml .ci/constraints.txt
	@.ci/venv
	@echo 'Installing forged and its checkers into .venv'
	@$(pip) -e '.[dev]'
	@touch .venv/.forged $@

.venv/.fuzz: .venv/.dev
	@echo 'Installing a fuzzer into .venv'
	@$(pip) -e '.[dev,fuzz]'
	@touch $@
