# `make help` lists what there is. On a fresh Debian machine with Go and make
# none of these needs another step first.

# Arguments for the server of `make run`, as in: make run ARGS='--listen :4599 --tls-auto'
ARGS =

.PHONY: help build run test clients fuzz bench soak clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 10

build: ## build bin/keywright
	CGO_ENABLED=0 go build -trimpath -o bin/keywright ./cmd/keywright

run: build ## start a server on ./keywright-data; ARGS are further flags
	@exec bin/keywright server --data keywright-data $(ARGS)

test: ## all tests, after installing what they need; under 25 minutes on two cores
	@scripts/install.sh
	@scripts/test.sh

clients: build ## only boto3, aws-sdk-go-v2, JavaScript and the AWS CLI against a server
	@KEYWRIGHT=bin/keywright scripts/clients.sh

fuzz: ## only the fuzz targets; FUZZTIME=5s each
	@scripts/fuzz.sh

bench: ## measure the server; ARGS are further flags
	@go run ./internal/bench $(ARGS)

soak: ## the long forms: a million generated cases, a thousand kills, hours of fuzzing
	@scripts/install.sh
	@scripts/soak.sh

clean: ## remove what was built, never data
	rm -rf bin test/clients/js/node_modules interop/js/node_modules
