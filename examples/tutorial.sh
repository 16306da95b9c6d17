#!/usr/bin/env bash
# The first quarter of an hour with a KMS: make a key, give it a name, encrypt
# a small file with it, decrypt it again.
#
# Works against any endpoint of the AWS KMS API. With Keywright, for instance:
#
#	keywright exec --dev -- examples/tutorial.sh
#
# It needs the AWS CLI (version 1 or 2) and credentials in the environment.
# AWS_ENDPOINT_URL names the server; without it the CLI talks to AWS itself.
set -euo pipefail

# AWS CLIs before 2.13 and 1.29 do not know AWS_ENDPOINT_URL, so it is passed on.
kms() {
	aws ${AWS_ENDPOINT_URL:+--endpoint-url "$AWS_ENDPOINT_URL"} kms "$@"
}
export AWS_PAGER=""

# The name a program uses for the key. Give another as the first argument.
alias=${1:-alias/tutorial}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
printf 'The password of the payroll database is correct-horse-battery-staple.\n' >secret.txt

echo "1. Create a key. Its material never leaves the KMS; we get its id."
key=$(kms create-key --description "tutorial" --query KeyMetadata.KeyId --output text)
echo "   $key"

echo "2. Name it $alias, so that programs need not know the id."
kms create-alias --alias-name "$alias" --target-key-id "$key"

echo "3. Encrypt a file (at most 4096 bytes; see envelope.sh for larger ones)."
kms encrypt --key-id "$alias" --plaintext fileb://secret.txt \
	--output text --query CiphertextBlob | base64 -d >secret.enc
echo "   $(wc -c <secret.txt) bytes became $(wc -c <secret.enc)"

echo "4. Decrypt it. The ciphertext itself says which key opens it."
kms decrypt --ciphertext-blob fileb://secret.enc \
	--output text --query Plaintext | base64 -d >secret.out
cmp secret.txt secret.out
echo "   the same, byte for byte"

echo "5. Bind a ciphertext to what it is for: without the same context it does not open."
kms encrypt --key-id "$alias" --plaintext fileb://secret.txt --encryption-context purpose=payroll \
	--output text --query CiphertextBlob | base64 -d >bound.enc
kms decrypt --ciphertext-blob fileb://bound.enc --encryption-context purpose=payroll \
	--output text --query Plaintext | base64 -d | cmp - secret.txt
if kms decrypt --ciphertext-blob fileb://bound.enc --encryption-context purpose=party >answer 2>&1; then
	echo "a wrong context opened the ciphertext" >&2
	exit 1
fi
grep -q InvalidCiphertextException answer || { cat answer >&2; exit 1; }
echo "   purpose=payroll opens it, purpose=party does not"

echo "6. Clean up. Keys are deleted after a waiting period, in which you can change your mind."
kms delete-alias --alias-name "$alias"
kms schedule-key-deletion --key-id "$key" --pending-window-in-days 7 --query KeyState --output text >state
echo "   the key is now $(cat state)"
