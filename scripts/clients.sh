#!/usr/bin/env bash
# Runs the client suites of test/clients against a real server, over HTTP and
# over TLS, and prints a table of them.
#
#	scripts/clients.sh [python|go|js|cli]...
#
# A client that is not installed is skipped and counted; with CI=true that is a
# failure. KEYWRIGHT names a built binary, otherwise bin/keywright is built.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

suites=("$@")
[ ${#suites[@]} -gt 0 ] || suites=(python go js cli)
if [ -z "${KEYWRIGHT:-}" ]; then
	KEYWRIGHT=bin/keywright
	go build -o "$KEYWRIGHT" ./cmd/keywright
fi

# Nothing of the caller's configuration may reach the suites or the server.
for name in $(compgen -e AWS_ || true; compgen -e KEYWRIGHT_ || true); do unset "$name"; done
export AWS_CONFIG_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true
export AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1
export KEYWRIGHT_TEST_SIGNATURES=1

work=$(mktemp -d)
server=""
stop() {
	if [ -n "$server" ]; then
		kill "$server" 2>/dev/null || true
		wait "$server" 2>/dev/null || true
		server=""
	fi
}
trap 'stop; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# start starts a server with the further flags given and sets endpoint to its
# URL. The server prints that once it listens.
start() {
	"$KEYWRIGHT" server --data "$data" --listen 127.0.0.1:0 --operator-listen off "$@" >"$data.out" 2>"$data.err" &
	server=$!
	for _ in $(seq 100); do
		endpoint=$(sed -n 's/^endpoint: //p' "$data.out")
		[ -z "$endpoint" ] || return 0
		kill -0 "$server" 2>/dev/null || break
		sleep 0.1
	done
	echo "the server did not start:" >&2
	cat "$data.out" "$data.err" >&2
	exit 1
}

# missing prints why suite $1 cannot run, and nothing if it can.
missing() {
	case $1 in
	python) python_with boto3 >/dev/null || echo "boto3 for Python 3 is not installed" ;;
	go) command -v go >/dev/null || echo "go is not installed" ;;
	cli) command -v aws >/dev/null || echo "the aws command is not installed" ;;
	js)
		if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
			echo "node or npm is not installed"
		elif ! install_js; then
			echo "installing the modules of test/clients/js failed: see above"
		fi
		;;
	*) echo "no such suite" ;;
	esac
}

# install_js installs the locked modules unless they stand there already.
install_js() {
	local at=test/clients/js
	cmp -s "$at/package-lock.json" "$at/node_modules/.keywright-lock" && return
	(cd "$at" && npm ci --ignore-scripts) >&2 || return 1
	cp "$at/package-lock.json" "$at/node_modules/.keywright-lock"
}

# run runs suite $1 with the environment of one transport.
run() {
	case $1 in
	python) "$(python_with boto3)" test/clients/python/run.py ;;
	go) scripts/gotest.sh -count=1 ./test/clients/gosdk ;;
	js) node test/clients/js/run.mjs ;;
	cli) test/clients/cli/run.sh ;;
	esac
}

declare -A absent
for suite in "${suites[@]}"; do
	absent[$suite]=$(missing "$suite")
	[ -z "${absent[$suite]}" ] || echo "$suite: ${absent[$suite]}"
done

total_passed=0 total_failed=0 total_skipped=0
table=$work/table
printf '%-8s %-9s %7s %7s %8s %8s\n' client transport passed failed skipped seconds >"$table"
for transport in http tls; do
	data=$work/$transport
	flags=()
	[ $transport = http ] || flags=(--tls-auto)
	start ${flags[@]+"${flags[@]}"}
	export KEYWRIGHT_TEST_ENDPOINT=$endpoint AWS_SHARED_CREDENTIALS_FILE=$data/credentials
	if [ $transport = tls ]; then
		export AWS_CA_BUNDLE=$data/ca.pem NODE_EXTRA_CA_CERTS=$data/ca.pem
	fi
	for suite in "${suites[@]}"; do
		log=$work/$suite-$transport.log
		began=$SECONDS
		if [ -z "${absent[$suite]}" ]; then
			echo
			echo "== $suite over $transport"
			status=0
			run "$suite" 2>&1 | tee "$log" || status=$?
			read -r passed failed skipped < <(counts "$log")
			# A suite that counts no failure and yet fails has died on the way.
			[ $status -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
		elif ci; then
			passed=0 failed=1 skipped=0
		else
			passed=0 failed=0 skipped=1
		fi
		printf '%-8s %-9s %7d %7d %8d %8d\n' "$suite" "$transport" "$passed" "$failed" "$skipped" $((SECONDS - began)) >>"$table"
		total_passed=$((total_passed + passed))
		total_failed=$((total_failed + failed))
		total_skipped=$((total_skipped + skipped))
	done
	stop
done

echo
cat "$table"
echo "$total_passed passed, $total_failed failed, $total_skipped skipped"
[ "$total_failed" -eq 0 ]
