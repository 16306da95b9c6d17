#!/usr/bin/env bash
# What `make soak` runs: the long forms of the tests, for a machine that has a
# night to spare.
#
#	CHECKS    generated cases of each property test, default 1000000
#	FUZZTIME  time of each fuzz target, default 10m
#
# KEYWRIGHT_SOAK=1 tells the other tests to take their long form: a thousand
# kills, large data.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
export KEYWRIGHT_SOAK=1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
failed=0

# step runs a command as the step NAME, whatever became of the others.
step() {
	local name=$1 began=$SECONDS result=ok
	shift
	echo
	echo "== $name"
	"$@" || { result=FAIL failed=$((failed + 1)); }
	printf '%-5s %6d s  %s\n' $result $((SECONDS - began)) "$name" >>"$work/table"
}

# Packages with property tests: only these know the flag -rapid.checks.
properties=$(go list -f '{{.ImportPath}} {{.TestImports}} {{.XTestImports}}' ./... | awk '/pgregory\.net\/rapid/ { print $1 }')
rest=$(go list ./... | grep -v '/test/clients/' | grep -vxF "${properties:-none}")

# shellcheck disable=SC2086 # both are lists of import paths
{
	[ -z "$properties" ] || step properties scripts/gotest.sh -count=1 -timeout 0 $properties -rapid.checks="${CHECKS:-1000000}"
	step tests scripts/gotest.sh -count=1 -timeout 0 $rest
}
step interop scripts/interop.sh
step fuzz env FUZZTIME="${FUZZTIME:-10m}" scripts/fuzz.sh

echo
cat "$work/table"
[ $failed -eq 0 ]
