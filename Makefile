# OpenMail. `make` alone prints what there is to do.

# The tools of `make check`, each at one version. They are built outside the
# module, so that go.mod names only what the product needs.
GOFUMPT     := mvdan.cc/gofumpt@v0.12.0
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
FUZZTIME ?= 30s
ARGS     ?=

.DEFAULT_GOAL := help

.PHONY: help
help: ## print this
	@awk -F ':.*## ' '/^[a-z0-9%-]+:.*## /{ printf "  make %-17s %s\n", $$1, $$2 }' Makefile

.PHONY: build
build: ## build bin/openmail, static and stripped
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)' -o bin/openmail ./cmd/openmail

.PHONY: demo
demo: build ## start a server, send a mail through it, print its event, go on serving
	./bin/openmail demo $(ARGS)

.PHONY: run
run: build ## start a server with its defaults; ARGS='--http 127.0.0.1:0' adds flags
	./bin/openmail serve $(ARGS)

.PHONY: test
test: test-deps test-go e2e ## everything that one machine can test; installs what that needs where it can

.PHONY: test-deps
test-deps: ## install the programs of others that the tests use, or say which are missing
	@./scripts/install-test-deps.sh

.PHONY: test-go
test-go: ## the Go tests, with the race detector, in random order
	go test -race -shuffle=on ./...

.PHONY: e2e
e2e: build ## scripts against the built binary, with clients that others wrote
	OPENMAIL_BIN="$(CURDIR)/bin/openmail" ./e2e/run.sh $(ARGS)

.PHONY: check
check: fmt vet lint house vuln ## what has to hold before a change is tested

.PHONY: fmt
fmt: ## whether the code is formatted as gofumpt wants it
	@unformatted=$$(find . -name '*.go' -not -path '*/node_modules/*' -exec go run $(GOFUMPT) -l {} +) || exit 1; \
	test -z "$$unformatted" || { echo "not formatted (gofumpt -w):"; echo "$$unformatted"; exit 1; }

.PHONY: vet
vet: ## go vet
	go vet ./...

.PHONY: lint
lint: ## staticcheck, its default checks
	go run $(STATICCHECK) ./...

.PHONY: house
house: ## imports follow the drawing; generated pages are current; documents name what exists; go.mod agrees with itself
	go test -count=1 -run '^TestHouse' .
	go mod verify
	go mod tidy -diff

.PHONY: vuln
vuln: ## known vulnerabilities, where the database can be reached
	@if curl -sf --max-time 10 -o /dev/null https://vuln.go.dev/index/db.json; \
	then go run $(GOVULNCHECK) ./...; \
	else echo "govulncheck: skipped: database not reachable"; fi

.PHONY: generate
generate: ## write the generated pages of docs/ anew
	go test -count=1 -run '^TestHouseGenerated' . -update

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (30s)
	@./scripts/fuzz.sh $(FUZZTIME)

.PHONY: bench
bench: build ## measure everything, print a table
	./bench/run.sh

.PHONY: prove
prove: build ## run every proof of docs/proofs.md, one after the other
	@status=0; for proof in bench/prove-*.sh; do echo "== $$proof"; "$$proof" || status=1; done; exit $$status

prove-%: build ## run one proof: make prove-intake, prove-kill, prove-peers, prove-web, …
	./bench/prove-$*.sh

.PHONY: prove-the-proofs
prove-the-proofs: build ## break the program on purpose, and see that the proofs find it; ARGS='sim kill' names them
	./bench/mutants.sh $(ARGS)

.PHONY: clean
clean: ## remove what was built
	rm -rf bin
