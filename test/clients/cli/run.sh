#!/usr/bin/env bash
# Runs the examples and a few more checks with the AWS CLI, version 1 or 2,
# against the server at KEYWRIGHT_TEST_ENDPOINT. Credentials, Region and CA
# come from the environment.
set -euo pipefail
: "${KEYWRIGHT_TEST_ENDPOINT:?set it to the endpoint of a server that may be filled with test keys}"
export AWS_ENDPOINT_URL=$KEYWRIGHT_TEST_ENDPOINT AWS_PAGER=""

root=$(cd "$(dirname "$0")/../../.." && pwd)
run=$$-$(date +%s)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

kms() {
	aws --endpoint-url "$KEYWRIGHT_TEST_ENDPOINT" kms "$@"
}

# fails WANTED COMMAND...: COMMAND must fail and say WANTED.
fails() {
	local wanted=$1
	shift
	if "$@" >answer 2>&1; then
		echo "$* succeeded, wanted: $wanted"
		return 1
	fi
	grep -qF -- "$wanted" answer || { cat answer; echo "wanted: $wanted"; return 1; }
}

tutorial() {
	"$root/examples/tutorial.sh" "alias/tutorial-$run"
}

envelope() {
	"$root/examples/envelope.sh"
}

# Every byte value, at the largest size Encrypt takes, and one byte more.
sizes() {
	local key
	key=$(kms create-key --query KeyMetadata.Arn --output text)
	for i in $(seq 0 255); do printf '%b' "\\0$(printf %o "$i")"; done >all
	[ "$(wc -c <all)" -eq 256 ]
	for _ in $(seq 16); do cat all; done >full
	kms encrypt --key-id "$key" --plaintext fileb://full --output text --query CiphertextBlob | base64 -d >full.enc
	kms decrypt --ciphertext-blob fileb://full.enc --output text --query Plaintext | base64 -d >full.out
	cmp full full.out
	printf x >>full
	fails "Member must have length less than or equal to 4096" kms encrypt --key-id "$key" --plaintext fileb://full
	fails "(InvalidCiphertextException)" kms decrypt --ciphertext-blob fileb://all
}

# The CLI follows NextMarker by itself: --page-size is the server's Limit.
pages() {
	local key
	key=$(kms create-key --query KeyMetadata.KeyId --output text)
	for n in 1 2 3 4 5; do
		kms create-alias --alias-name "alias/page-$n-$run" --target-key-id "$key"
	done
	kms list-aliases --key-id "$key" --page-size 2 --query 'Aliases[].AliasName' --output text | tr '\t' '\n' | sort >got
	for n in 1 2 3 4 5; do echo "alias/page-$n-$run"; done >want
	cmp got want
	kms list-keys --page-size 3 --query 'Keys[].KeyId' --output text | tr '\t' '\n' >got
	grep -qx -- "$key" got
}

errors() {
	fails "An error occurred (NotFoundException) when calling the DescribeKey operation: Invalid keyId 'nothing-$run'" \
		kms describe-key --key-id "nothing-$run"
	local key
	printf x >one
	fails "An error occurred (NotFoundException) when calling the Encrypt operation: Alias arn:aws:kms:" \
		kms encrypt --key-id "alias/nothing-$run" --plaintext fileb://one
	key=$(kms create-key --query KeyMetadata.Arn --output text)
	kms disable-key --key-id "$key"
	fails "An error occurred (DisabledException) when calling the GenerateDataKey operation: $key is disabled." \
		kms generate-data-key --key-id "$key" --key-spec AES_256
}

policies() {
	local key
	key=$(kms create-key --tags TagKey=team,TagValue=payments --query KeyMetadata.KeyId --output text)
	kms get-key-policy --key-id "$key" --policy-name default --query Policy --output text >policy.json
	grep -q 'Enable IAM User Permissions' policy.json
	kms put-key-policy --key-id "$key" --policy-name default --policy file://policy.json
	[ "$(kms get-key-policy --key-id "$key" --policy-name default --query Policy --output text)" = "$(cat policy.json)" ]
	[ "$(kms list-resource-tags --key-id "$key" --query 'Tags[0].TagValue' --output text)" = payments ]
	kms untag-resource --key-id "$key" --tag-keys team
	[ "$(kms list-resource-tags --key-id "$key" --query 'length(Tags)' --output text)" = 0 ]
}

# A server in --dev takes any access key for the account root, so this is for
# the others only.
signatures() {
	local id
	id=$(aws configure get aws_access_key_id)
	AWS_ACCESS_KEY_ID=$id AWS_SECRET_ACCESS_KEY=not-the-secret fails "(InvalidSignatureException)" kms list-keys
	AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE AWS_SECRET_ACCESS_KEY=none fails "(UnrecognizedClientException)" kms list-keys
}

passed=0
failed=0
skipped=0
cases="tutorial envelope sizes pages errors policies"
if [ -n "${KEYWRIGHT_TEST_SIGNATURES:-}" ]; then
	cases="$cases signatures"
else
	skipped=1
	echo "SKIP signatures: KEYWRIGHT_TEST_SIGNATURES does not say that the server verifies them"
fi
aws --version
for case in $cases; do
	# A subshell of its own, not a condition: there set -e would not hold.
	set +e
	(set -e; "$case") >log 2>&1 </dev/null
	status=$?
	set -e
	if [ $status -eq 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL $case (exit status $status)"
		sed 's/^/    /' log
	fi
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
