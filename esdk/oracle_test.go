package esdk_test

import (
	"bytes"
	"encoding/hex"
	"os/exec"
	"testing"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/suite"
)

// pythonDecrypt decrypts a message with a known data key as the specification
// says, and shares nothing with this module.
const pythonDecrypt = `
import base64, struct, sys
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

msg, at = sys.stdin.buffer.read(), 0
def take(n):
    global at
    at += n
    assert at <= len(msg)
    return msg[at-n:at]
def u16(): return struct.unpack('>H', take(2))[0]
def u32(): return struct.unpack('>I', take(4))[0]

v = take(1)[0]
if v == 1: assert take(1) == b'\x80'
suite = take(2)
kind = suite.hex()
mid = take(16 if v == 1 else 32)
context = {}
if u16():
    for _ in range(u16()):
        k = take(u16()); context[k] = take(u16())
assert list(context) == sorted(context)
for _ in range(u16()): take(u16()); take(u16()); take(u16())
assert take(1) == b'\x02'
if v == 1: assert take(5) == b'\0\0\0\0\x0c'
frame = u32()
size = {'1': 16, '4': 24, '7': 32}[kind[2]] if kind[2:] != '14' else 16
dk = bytes(range(size))
if kind[1] == '0': key = dk
elif v == 1:
    h = hashes.SHA384() if kind in ('0346', '0378') else hashes.SHA256()
    key = HKDF(h, size, None, suite + mid).derive(dk)
else:
    key = HKDF(hashes.SHA512(), 32, mid, suite + b'DERIVEKEY').derive(dk)
    assert take(32) == HKDF(hashes.SHA512(), 32, mid, b'COMMITKEY').derive(dk)
g, body = AESGCM(key), msg[:at]
if v == 1: assert take(12) == bytes(12)
g.decrypt(bytes(12), take(16), body)
out, seq = b'', 0
while True:
    seq += 1
    n, what, s = frame, b'Frame', u32()
    if s == 0xffffffff: what, s = b'Final Frame', u32()
    iv = take(12)
    assert s == seq and iv == struct.pack('>QI', 0, seq)
    if what != b'Frame': n = u32()
    aad = mid + b'AWSKMSEncryptionClient ' + what + struct.pack('>IQ', seq, n)
    out += g.decrypt(iv, take(n + 16), aad)
    if what != b'Frame': break
pub = context.get(b'aws-crypto-public-key')
if pub:
    curve, h = (ec.SECP256R1(), hashes.SHA256()) if kind == '0214' else (ec.SECP384R1(), hashes.SHA384())
    signed = msg[:at]
    key = ec.EllipticCurvePublicKey.from_encoded_point(curve, base64.b64decode(pub))
    key.verify(take(u16()), signed, ec.ECDSA(h))
assert at == len(msg) and (pub is not None) == (kind in ('0214', '0346', '0378', '0578'))
sys.stdout.write(out.hex())
`

// TestPythonReads has Python decrypt what is written here, in each suite.
func TestPythonReads(t *testing.T) {
	if err := exec.Command("python3", "-c", "import cryptography").Run(); err != nil {
		t.Skip("python3 with the module cryptography is not installed")
	}
	plaintext := random(100)
	for _, s := range suite.All() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			context := map[string]string{"\U0001F511": "non-BMP", "\uFFFD": "BMP", "a": ""}
			msg, _, err := clientFor(s.ID, 16, 1).Encrypt(t.Context(), static(), plaintext, esdk.EncryptOptions{EncryptionContext: context})
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("python3", "-c", pythonDecrypt)
			cmd.Stdin = bytes.NewReader(msg)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil || string(out) != hex.EncodeToString(plaintext) {
				t.Errorf("%v: %s", err, stderr.String())
			}
		})
	}
}
