#!/usr/bin/env bash
# Runs every fuzz target of the packages given (default: all) for FUZZTIME each,
# by default 5 seconds. Fails if it finds no target.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
fuzztime=${FUZZTIME:-5s}
[ $# -gt 0 ] || set -- ./...

log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM

# `go test -list` prints a package's names, then a line "ok package time".
targets=$(go test -list '^Fuzz' "$@" | awk '
	/^Fuzz/ { names[++n] = $1 }
	$1 == "ok" { for (i = 1; i <= n; i++) print $2, names[i]; n = 0 }')
if [ -z "$targets" ]; then
	echo "found no fuzz targets" >&2
	exit 1
fi
echo "$(wc -l <<<"$targets") fuzz targets, $fuzztime each"

# fuzz runs one target. Go may report the end of the time itself as a failure
# ("context deadline exceeded") when the machine is busy; that one is tried once
# more. A real finding is written to testdata and never tried again.
fuzz() {
	local package=$1 name=$2
	for _ in 1 2; do
		go test -run '^$' -fuzz "^$name\$" -fuzztime "$fuzztime" "$package" >"$log" 2>&1 </dev/null && return 0
		grep -q 'context deadline exceeded' "$log" || return 1
		! grep -q 'Failing input written' "$log" || return 1
	done
	return 1
}

passed=0
failed=0
while read -r package name; do
	began=$SECONDS
	if fuzz "$package" "$name"; then
		passed=$((passed + 1))
		execs=$(awk '/execs:/ { for (i = 1; i < NF; i++) if ($i == "execs:") n = $(i + 1) } END { print n + 0 }' "$log")
		echo "ok    $package $name  $execs executions  $((SECONDS - began))s"
	else
		failed=$((failed + 1))
		echo "FAIL  $package $name"
		cat "$log"
	fi
done <<<"$targets"
echo "$passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ]
