# Functions shared by the scripts in this folder, for bash. Source it; it
# changes to the root of the repository.
# shellcheck shell=bash

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

# ci says whether a missing tool is a failure rather than a skip.
ci() {
	[ "${CI:-}" = true ]
}

# python_with prints a Python that has the module $1: the first of PATH, or
# Debian's, which is where apt-get installs modules to.
python_with() {
	local candidate
	for candidate in python3 /usr/bin/python3; do
		if "$candidate" -c "import $1" >/dev/null 2>&1; then
			echo "$candidate"
			return
		fi
	done
	return 1
}

# counts prints passed, failed and skipped from the last line of file $1 that
# reads "N passed, N failed, N skipped", or "0 1 0" if there is none: what ends
# without its counts has failed.
counts() {
	awk '/^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ { last = $1 " " $3 " " $5 }
		END { print last == "" ? "0 1 0" : last }' "$1"
}
