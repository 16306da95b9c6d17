#!/usr/bin/env bash
# Envelope encryption by hand: a 5 MB file is encrypted with a data key, and
# only the data key with the KMS.
#
# Works against any endpoint of the AWS KMS API. With Keywright, for instance:
#
#	keywright exec --dev -- examples/envelope.sh
#
# It needs the AWS CLI (version 1 or 2), openssl, and credentials in the
# environment. AWS_ENDPOINT_URL names the server; without it the CLI talks to
# AWS itself.
#
# This shows how the pieces fit. AES-CTR does not notice changed data, which is
# why an HMAC over the file stands beside it; and openssl takes keys on its
# command line, where other users of the machine may see them. For real files
# use an AWS Encryption SDK.
set -euo pipefail

# AWS CLIs before 2.13 and 1.29 do not know AWS_ENDPOINT_URL, so it is passed on.
kms() {
	aws ${AWS_ENDPOINT_URL:+--endpoint-url "$AWS_ENDPOINT_URL"} kms "$@"
}
export AWS_PAGER=""

# hex turns the base64 of the CLI into the hexadecimal that openssl wants.
hex() {
	base64 -d | od -An -v -tx1 | tr -d ' \n'
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 077
cd "$work"
head -c 5000000 /dev/urandom >video.raw

echo "1. Create a key in the KMS. It will only ever encrypt data keys."
key=$(kms create-key --description "envelope example" --query KeyMetadata.KeyId --output text)
echo "   $key"

echo "2. Ask for a data key: 64 random bytes, in the clear and encrypted."
kms generate-data-key --key-id "$key" --number-of-bytes 64 --encryption-context file=video.raw \
	--query '[Plaintext,CiphertextBlob]' --output text >datakey
plain=$(cut -f1 <datakey | hex)
cut -f2 <datakey | base64 -d >video.key
rm datakey
[ "${#plain}" -eq 128 ] || { echo "the data key has ${#plain} digits, not 128" >&2; exit 1; }

echo "3. Encrypt the file with one half, authenticate it with the other."
iv=$(openssl rand -hex 16)
openssl enc -aes-256-ctr -K "${plain:0:64}" -iv "$iv" -in video.raw -out video.enc
mac=$(printf '%s' "$iv" | cat - video.enc | openssl dgst -sha256 -mac HMAC -macopt "hexkey:${plain:64}" -r | cut -d' ' -f1)
echo "   $(wc -c <video.enc) bytes"

echo "4. Forget the data key. What is stored: video.enc, video.key (encrypted), the IV and the HMAC."
unset plain

echo "5. Later: the KMS decrypts the stored key, if asked with the same context."
plain=$(kms decrypt --ciphertext-blob fileb://video.key --encryption-context file=video.raw \
	--query Plaintext --output text | hex)

echo "6. Check the file, then decrypt it."
again=$(printf '%s' "$iv" | cat - video.enc | openssl dgst -sha256 -mac HMAC -macopt "hexkey:${plain:64}" -r | cut -d' ' -f1)
[ "$mac" = "$again" ] || { echo "video.enc was changed" >&2; exit 1; }
openssl enc -d -aes-256-ctr -K "${plain:0:64}" -iv "$iv" -in video.enc -out video.out
unset plain
cmp video.raw video.out
echo "   the same, byte for byte"

kms schedule-key-deletion --key-id "$key" --pending-window-in-days 7 >/dev/null
