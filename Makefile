# FlashQ. `make` or `make help` lists the targets. Works with GNU Make 3.81 (macOS) and later.

BIN := node_modules/.bin
QUIET := --no-fund --no-audit --loglevel=error
SOURCES := $(shell find src sdk/typescript/src -name '*.ts')
BUILD_FILES := package.json tsconfig.json tsconfig.build.json sdk/typescript/package.json sdk/typescript/tsconfig.json
# Kept by npm: newer than package-lock.json when what it names is installed.
INSTALLED := node_modules/.package-lock.json
BUILT := dist/.built
COMPOSE := docker compose --file deploy/compose.yaml
COMPOSE_IS_THERE = docker compose version >/dev/null 2>&1 || \
	{ echo "make $@ needs Docker with its Compose plugin, which is not here. make persist needs neither."; exit 1; }

.PHONY: help install build run persist dev stop up down check format kernel docs test stress chaos bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

install: $(INSTALLED) ## install what package-lock.json names, when it changed

build: $(BUILT) ## build the server and the client, when their sources changed

run: export HTTP ?= 1
run: $(BUILT) ## start the server with its HTTP API; settings by environment: PORT=7000 make run
	@mkdir -p .cache/run && echo $$$$ > .cache/run/$$$$ && exec node dist/main.js

persist: export DATABASE_URL = embedded
persist: run ## make run, with jobs kept in a private PostgreSQL below DATA_DIR (./data)

dev: $(INSTALLED) ## the same, restarted whenever a source changes
	@exec node scripts/dev.mjs

stop: ## stop what make run and make dev started in this checkout
	@node scripts/stop.mjs

up: ## start PostgreSQL with Docker Compose (deploy/compose.yaml), and say how to use it
	@$(COMPOSE_IS_THERE)
	@$(COMPOSE) up --detach --wait
	@echo "PostgreSQL runs. Use it: DATABASE_URL=postgres://flashq:flashq@127.0.0.1:$${POSTGRES_PORT:-5432}/flashq make run"

down: ## stop it; its data stays
	@$(COMPOSE_IS_THERE)
	@$(COMPOSE) down

check: $(BUILT) ## format and lint (Biome), types (tsc), dead code (knip)
	@$(BIN)/biome check --error-on-warnings .
	@$(BIN)/tsc -p tsconfig.json --noEmit
	@$(BIN)/knip

format: $(INSTALLED) ## format and repair what Biome can
	@$(BIN)/biome check --write .

kernel: $(INSTALLED) ## compile the kernels that scan jobs and pack batches, when their sources changed
	@node scripts/build-kernel.mjs

docs: $(INSTALLED) ## write docs/configuration.md and docs/cli.md from the sources
	@$(BIN)/vitest run --project unit test/unit/docs.test.ts --update

test: check ## everything a change must pass; the last line is "N passed, N failed"
	@$(BIN)/vitest run --project unit --project integration

stress: $(BUILT) ## sustained load on a built server, about a minute
	@$(BIN)/vitest run --project stress

chaos: $(BUILT) ## random faults for minutes, other ones each time; CHAOS_SEED=n again
	@$(BIN)/vitest run --project chaos

bench: $(BUILT) ## measure; see bench/
	@$(BIN)/tsc -p bench/tsconfig.json
	@node dist-bench/run.js

clean: ## remove what was built
	@rm -rf dist dist-bench sdk/typescript/dist coverage

$(INSTALLED): package-lock.json
	@echo "Installing packages"
	@npm ci $(QUIET)
	@touch $@

$(BUILT): $(INSTALLED) $(SOURCES) $(BUILD_FILES)
	@echo "Building the server and the client"
	@npm run --silent build
	@touch $@
