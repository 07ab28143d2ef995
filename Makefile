# tau and dreamland. `make` prints the targets.
export CGO_ENABLED = 0
SHELL = /bin/bash

.PHONY: help build sim test vet race bench long big sweep swarm fuzz spec at-rest bench-engine bench-serving sdk builds mutants mutation determinism live torture laptop-audit rehearse bench-up churn figures clean

help: ## print the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

build: ## build bin/dreamland and bin/tau
	go build -o bin/dreamland ./cmd/dreamland
	go build -o bin/tau ./cmd/tau

sim: build ## run the lock race, as in the README
	bin/dreamland sim scenarios/monkey-lock-race.yaml

test: vet ## all checks and tests (under 10 minutes on 2 cores)
	go test -timeout 25m ./...

vet: ## go vet, staticcheck, formatting
	go vet ./...
	go tool staticcheck ./...
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'run: gofmt -w .'; exit 1; }

race: ## all that runs live, under the race detector (needs gcc)
	CGO_ENABLED=1 go test -race -parallel 2 -timeout 25m ./clock/... ./transport/... ./storage/... ./node/... ./services/...
	CGO_ENABLED=1 go test -race -run 'Stampede|Idle|Neighbour' ./wasm/engine

bench: ## the figures of the README
	go test -run '^$$' -bench . -benchtime 1s -cpu 1 ./sim ./scenarios/...
	go test -run '^$$' -bench . -benchtime 1s ./storage/... ./transport/...

at-rest: ## what clouds of 20, 200 and 1,000 nodes send that have nothing to do (a few minutes, most of them for the start of the last)
	go test -run '^$$' -bench AtRest -benchtime 1x ./scenarios

bench-serving: ## functions behind net/http, and a node from its door to functions and files, beside plain net/http, in processor time of the server; ends with lines "ratio NAME-CLIENTS"
	@mkdir -p bin; TAU_SERVING=1 go test -count 1 -timeout 30m -run '^TestServingRatios$$' -v ./wasm/web >bin/serving.txt 2>&1 || { cat bin/serving.txt; exit 1; }
	@TAU_SERVING=1 go test -count 1 -timeout 30m -run '^TestCloudServingRatios$$' -v ./cmd/tau >>bin/serving.txt 2>&1 || { cat bin/serving.txt; exit 1; }
	@grep -E '^(serving|ratio) ' bin/serving.txt

sdk: ## functions in Go that are compiled with our SDK, and with that of tau (a few minutes when the library of Go was not compiled for WebAssembly)
	TAU_TEST_GO_SDK=1 go test -count 1 -timeout 20m -run 'OurSDK|TheirSDK' -v ./wasm/web

bench-engine: ## calls of WebAssembly guests: reset, warm, new, cold, in processor time, with ratios; allocations of a request, and what a function takes in memory
	go test -run '^$$' -bench . -benchtime 20x ./wasm/engine
	go test -run '^$$' -bench Serve -benchtime 20000x ./wasm/web
	go test -run '^$$' -bench Resident -benchtime 1x ./wasm/web

FUZZTIME ?= 10s
fuzz: ## each fuzz target for FUZZTIME (10s), one after the other; stops at the first that fails, with its input in testdata/fuzz
	@set -e; grep -rn --include='*_test.go' -oE '^func Fuzz[A-Za-z0-9]+' . | sort | while IFS=: read -r file _ name; do \
		echo "$${name#func } in $$(dirname $$file)"; \
		go test $$(dirname $$file) -run '^$$' -fuzz "^$${name#func }\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x; \
	done

long: build ## scenarios of weeks (a few minutes)
	bin/dreamland sim --wire direct --quiet scenarios/long/*.yaml

big: build ## a thousand nodes and ten thousand items, and two hundred functions for an hour, on the direct wire, with its processor time (the functions are a minute of that)
	time bin/dreamland sim --wire direct scenarios/big/*.yaml

SEEDS ?= 200
sweep: build ## SEEDS seeds (200) of every scenario on the direct wire; fails as well if a mark in the code was never hit
	bin/dreamland sim --wire direct --seeds $(SEEDS) --quiet --coverage scenarios/*.yaml

SWARM ?= 1..200
swarm: build ## scenarios made by chance, SWARM=FIRST..LAST (1..200); failing ones are kept in bin/swarm-failed
	bin/dreamland swarm $(SWARM) --keep bin/swarm-failed

LIVE ?= scenarios/monkey-crashes.yaml scenarios/renewed-elsewhere.yaml scenarios/data-centre-loses-power.yaml scenarios/dead-holder.yaml scenarios/everybody-moves.yaml scenarios/monkey-paused.yaml
live: build ## the scenarios LIVE (six) on processes of the real world, in real time (20 minutes)
	bin/dreamland live $(LIVE) --quiet

TORTURE ?= 10m
torture: build ## a cloud of processes killed, frozen, wiped and knocked at for TORTURE (10m), then audited; TORTURE_SEED draws the order
	bin/dreamland torture --for $(TORTURE) --seed $(or $(TORTURE_SEED),1)

AUDIT ?= 4m
laptop-audit: ## kill -9 a universe of dreamland up for AUDIT (4m), while somebody pushes and others ask; and begin and end ten of them, looking for what is left
	UP_UNIVERSES=10 go test -count 1 -run '^TestOneAfterTheOther$$' -v ./cmd/dreamland/up
	DREAMLAND_AUDIT=$(AUDIT) go test -count 1 -timeout 2h -run '^TestLaptopAudit$$' -v ./cmd/dreamland

REHEARSALS ?= 1000
rehearse: ## the example of dreamtest, a project's test, in REHEARSALS (1000) simulated clouds (under two minutes of processor time)
	DREAMTEST_SEEDS=$(REHEARSALS) go test -count 1 -timeout 2h -run '^TestSimulated$$' ./dreamtest

bench-up: ## how long dreamland up takes until all nodes of a universe are ready
	go test -run '^$$' -bench Ready -benchtime 10x ./cmd/dreamland/up

churn: build ## a torture of one minute of nodes that are built with the race detector, and end at the first race (needs gcc)
	CGO_ENABLED=1 go build -race -o bin/tau-race ./cmd/tau
	GORACE=halt_on_error=1 bin/dreamland torture --for 1m --tau bin/tau-race

figures: build ## measure a cloud of real nodes, beside what a trial has measured (10 minutes); FIGURES are more flags
	bin/dreamland figures $(FIGURES)

RUNS ?= 20
JOBS ?= 2
LOAD ?= 2
SCENARIOS ?= scenarios/*.yaml bin/swarm/*.yaml
determinism: build ## every event of RUNS runs (20) of SCENARIOS under changing conditions, with LOAD (2) busy threads beside
	bin/dreamland swarm 1..10 --write bin/swarm
	bin/dreamland determinism --runs $(RUNS) --jobs $(JOBS) --load $(LOAD) $(SCENARIOS)

spec: ## the WebAssembly specification's suites, with every module rewritten
	WASM_SPEC=all go test ./wasm/rewrite -run TestSpecification

builds: ## projects in several repositories, built by each toolchain of this machine, and pushes that are to hurt a node (ten minutes; ASSEMBLYSCRIPT is a node_modules with it)
	TAU_BUILDS=1 go test -count 1 -timeout 1h -run '^TestRealBuilds$$' -v ./cmd/tau

mutants: ## break the code on purpose and see the scenarios fail
	scenarios/mutants/run

SAMPLE ?= 100
SEED ?= 1
PKG ?= clock/... transport/... storage/... node/... services/...
mutation: ## SAMPLE mutants (100) by rule of PKG (services/... and others), drawn by SEED (1): which of them does nothing notice?
	go run ./scenarios/mutation -sample $(SAMPLE) -seed $(SEED) -pkg "$(PKG)" $(MUTATION)

clean: ## remove what was built
	rm -rf bin
