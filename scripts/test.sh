#!/usr/bin/env bash
# What `make test` runs: formatting, vet, staticcheck, the Go tests, the client
# suites, and 5 seconds of every fuzz target. It ends with the time of each part
# and one line "N passed, N failed, N skipped", and fails if anything failed.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

total_passed=0 total_failed=0 total_skipped=0
printf '%-12s %7s %7s %8s %8s\n' part passed failed skipped seconds >"$work/table"

# part runs a command as the part NAME. What counts its own tests ends with the
# line that lib.sh's counts reads; anything else is one test. A function called
# here must return its failures: set -e does not hold inside it.
part() {
	local name=$1 status=0 began=$SECONDS passed failed skipped
	shift
	echo
	echo "== $name"
	"$@" 2>&1 | tee "$work/log" || status=$?
	read -r passed failed skipped < <(counts "$work/log")
	if ! grep -qE '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$work/log"; then
		passed=$((status == 0)) failed=$((status != 0)) skipped=0
	elif [ $status -ne 0 ] && [ "$failed" -eq 0 ]; then
		failed=1
	fi
	printf '%-12s %7d %7d %8d %8d\n' "$name" "$passed" "$failed" "$skipped" $((SECONDS - began)) >>"$work/table"
	total_passed=$((total_passed + passed))
	total_failed=$((total_failed + failed))
	total_skipped=$((total_skipped + skipped))
}

format() {
	local unformatted
	unformatted=$(find . -name node_modules -prune -o -name '*.go' -print0 | xargs -0 gofmt -l) || return 1
	[ -z "$unformatted" ] || { printf 'gofmt would change:\n%s\n' "$unformatted"; return 1; }
	for script in .ci/run scripts/*.sh examples/*.sh test/clients/cli/run.sh; do
		bash -n "$script" || return 1
	done
}

# The client suites want a server and are a part of their own.
packages() {
	go list ./... | grep -v '/test/clients/'
}

# Every package runs under the race detector, with -short. A process that it
# watches sleeps for a second before it ends, unless told otherwise, and the
# tests of the command run hundreds.
race() {
	local -x GORACE=atexit_sleep_ms=10
	if [ "$(go env CGO_ENABLED)" = 1 ] && command -v "$(go env CC)" >/dev/null; then
		packages | xargs scripts/gotest.sh -race -short -timeout 20m
	elif ci; then
		echo "the race detector needs a C compiler"
		return 1
	else
		echo "the race detector needs a C compiler: without it this time"
		packages | xargs scripts/gotest.sh -short -timeout 20m
	fi
}

# What a package leaves out when told to be short runs here in full, without the
# race detector's slowdown.
full() {
	local long
	# shellcheck disable=SC2016 # $dir is the template's
	long=$(packages | xargs go list -f '{{$dir := .Dir}}{{range .TestGoFiles}}{{$dir}}/{{.}}
{{end}}{{range .XTestGoFiles}}{{$dir}}/{{.}}
{{end}}' | sed '/^$/d' | xargs grep -l 'testing\.Short()' | xargs -r -n 1 dirname | sort -u)
	[ -n "$long" ] || { echo "no package knows -short"; echo "0 passed, 0 failed, 0 skipped"; return 0; }
	xargs scripts/gotest.sh -timeout 20m <<<"$long"
}

part format format
part vet go vet ./...
part staticcheck go tool staticcheck ./...
part race race
part full full
part clients scripts/clients.sh
part interop scripts/interop.sh
part fuzz scripts/fuzz.sh

echo
cat "$work/table"
echo "$((SECONDS / 60)) minutes $((SECONDS % 60)) seconds"
echo "$total_passed passed, $total_failed failed, $total_skipped skipped"
[ "$total_failed" -eq 0 ]
