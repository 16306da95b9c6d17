#!/usr/bin/env bash
# Exchanges messages with the official Encryption SDKs: the tests of the module
# interop/. Arguments go to `go test`, as in: scripts/interop.sh -run JavaScript
#
# Without Node.js and npm what needs them is skipped and counted; with CI=true
# that is a failure. With KEYWRIGHT_SOAK=1 every combination is exchanged.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# install_js installs the locked modules unless they stand there already.
install_js() {
	cmp -s package-lock.json node_modules/.keywright-lock && return
	npm ci --ignore-scripts >&2 || return 1
	cp package-lock.json node_modules/.keywright-lock
}

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
	echo "node or npm is not installed"
elif ! (cd interop/js && install_js); then
	echo "installing the modules of interop/js failed: see above"
fi

staticcheck=$(go tool -n staticcheck)
cd interop
go mod tidy -diff || { echo "interop/go.mod does not fit the module it tests: run  cd interop && go mod tidy"; exit 1; }
go vet ./...
"$staticcheck" ./...

timeout=10m
[ "${KEYWRIGHT_SOAK:-}" != 1 ] || timeout=0
../scripts/gotest.sh -count=1 -timeout "$timeout" "$@" ./...
