# Condenses the output of `go test -json`: see gotest.sh. For any POSIX awk.

# field gives the value of a string field. Go writes the fields of an event in a
# fixed order with Output last, so the first occurrence is the real one.
function field(name,    at, rest, end) {
	at = index($0, "\"" name "\":\"")
	if (at == 0) return ""
	rest = substr($0, at + length(name) + 4)
	for (end = 1; end <= length(rest); end++) {
		if (substr(rest, end, 1) == "\\") end++
		else if (substr(rest, end, 1) == "\"") break
	}
	return substr(rest, 1, end - 1)
}

function unescape(text) {
	gsub(/\\\\/, "\001", text)
	gsub(/\\n/, "\n", text)
	gsub(/\\t/, "\t", text)
	gsub(/\\r/, "", text)
	gsub(/\\"/, "\"", text)
	gsub(/\\u003c/, "<", text)
	gsub(/\\u003e/, ">", text)
	gsub(/\\u0026/, "\\&", text)
	gsub(/\001/, "\\", text)
	return text
}

!/^\{/ { print; next } # go itself speaking

{
	action = field("Action")
	package = field("Package")
	test = field("Test")
	id = package "\t" test
}

action == "output" || action == "build-output" {
	if (action == "build-output") printf "%s", unescape(field("Output"))
	else output[id] = output[id] unescape(field("Output"))
	next
}

action != "pass" && action != "fail" && action != "skip" { next }

test != "" {
	count[action]++
	if (action == "fail") {
		failedTests[package]++
		printf "%s\n%s", package, output[id]
	}
	if (action == "skip" && index(test, "/") == 0) printf "%s\n%s", package, output[id]
	delete output[id]
	next
}

{ # a package has ended
	elapsed = $0
	sub(/.*"Elapsed":/, "", elapsed)
	sub(/[^0-9.].*/, "", elapsed)
	if (action == "pass") printf "ok    %s  %ss\n", package, elapsed
	if (action == "fail") {
		printf "FAIL  %s  %ss\n", package, elapsed
		if (!failedTests[package]) {
			count["fail"]++
			printf "%s", output[id]
			for (key in output) # the test it died in
				if (index(key, package "\t") == 1 && key != id) printf "%s", output[key]
		}
	}
	for (key in output)
		if (index(key, package "\t") == 1) delete output[key]
}

END {
	printf "%d passed, %d failed, %d skipped\n", count["pass"], count["fail"], count["skip"]
	exit count["fail"] > 0
}
