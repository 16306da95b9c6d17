#!/bin/sh
# Runs `go test -json` with the given arguments, shows one line per package and
# the whole output of what failed, and ends with "N passed, N failed, N skipped".
# Tests and subtests count one each; a package that fails outside a test (it
# does not build, it panics) counts as one failure.
set -u
log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM

go test -json "$@" >"$log"
status=$?
awk -f "$(dirname "$0")/gotest.awk" "$log" || status=1
exit $status
