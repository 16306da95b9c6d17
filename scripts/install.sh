#!/usr/bin/env bash
# Installs what the tests need and this machine lacks: names it first, uses
# apt-get as root or where sudo asks for no password, and otherwise prints the
# line to run. Go and make are taken for granted. Never fails: what is still
# missing afterwards is counted where it is needed.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

packages=()
need() { # need PACKAGE COMMAND...: PACKAGE, unless COMMAND succeeds
	local package=$1
	shift
	"$@" >/dev/null 2>&1 || packages+=("$package")
}

need ca-certificates test -e /etc/ssl/certs/ca-certificates.crt
need openssl command -v openssl
need awscli command -v aws
need python3-boto3 python_with boto3
need python3-cryptography python_with cryptography
need nodejs command -v node
need npm command -v npm
need gcc command -v "$(go env CC)" # for the race detector
need libc6-dev test -e /usr/include/stdlib.h

if [ ${#packages[@]} -eq 0 ]; then
	echo "nothing is missing"
	exit 0
fi
echo "missing: ${packages[*]}"
if ! command -v apt-get >/dev/null; then
	echo "there is no apt-get here: install the like of them to have every test run"
	exit 0
fi
if [ "$(id -u)" -eq 0 ]; then
	as_root=()
elif sudo -n true 2>/dev/null; then
	as_root=(sudo -n)
else
	echo "to have every test run:  sudo apt-get install --no-install-recommends ${packages[*]}"
	exit 0
fi
echo "installing them with apt-get"
apt_get() {
	${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive apt-get -q -y "$@"
}
if ! { apt_get update && apt_get install --no-install-recommends "${packages[@]}"; } </dev/null; then
	echo "apt-get could not install them all: the tests that need them will say so"
fi
