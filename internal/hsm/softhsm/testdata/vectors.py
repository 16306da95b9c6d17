#!/usr/bin/env python3
"""Makes vectors.json for internal/hsm/softhsm, independently of its Go code:
tokens, what is derived from them, and complete ciphertext blobs.

Needs the "cryptography" package. Run it in this folder; its output is the same
each time. The bytes are those of docs/ciphertext-blob.md.
"""
import hashlib, hmac, json

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def stream(seed, n):
    """n bytes that look random and are the same in every run."""
    return hashlib.shake_256(seed.encode()).digest(n)


def u8(b):
    return len(b).to_bytes(1, "big") + b


def u32(b):
    return len(b).to_bytes(4, "big") + b


def mac(key, *parts):
    return hmac.digest(key, b"\0".join(parts), "sha256")


def aead(key, label, context, aad, plaintext, n, iv):
    fixed = label + b"\0" + context + n + (512).to_bytes(4, "big")
    k = b"".join(mac(key, i.to_bytes(4, "big") + fixed) for i in (1, 2))
    return n + k[32:] + iv + AESGCM(k[:32]).encrypt(iv, plaintext, aad)


def packed_key_id(key_id):
    if key_id.startswith("mrk-"):
        return b"\x02" + bytes.fromhex(key_id[4:])
    return b"\x01" + bytes.fromhex(key_id.replace("-", ""))


def encryption_context(ec):
    pairs = sorted((k.encode(), v.encode()) for k, v in ec.items())
    return b"".join(u32(k) + u32(v) for k, v in pairs)


ACCOUNT = "111122223333"
DOMAIN_VERSION = 7
DOMAIN_KEY = stream("domain key", 32)

CASES = [  # region, key id, encryption context, length of plaintext
    ("us-east-1", "1234abcd-12ab-34cd-56ef-1234567890ab", {}, 1),
    ("us-east-1", "1234abcd-12ab-34cd-56ef-1234567890ab", {"purpose": "test"}, 32),
    ("ap-southeast-7", "00000000-0000-0000-0000-000000000000", {"b": "2", "a": "1", "": "", "aa": "é", "\uffff": "x", "\U00010000": "y"}, 4096),
    ("", "mrk-1234abcd12ab34cd56ef1234567890ab", {"service": "x" * 8000}, 1000),
]

out = []
for i, (region, key_id, ec, size) in enumerate(CASES):
    binding, material = stream(f"binding {i}", 32), stream(f"material {i}", 32)
    kid = key_id.encode()
    spec, usage, origin = b"SYMMETRIC_DEFAULT", b"ENCRYPT_DECRYPT", b"AWS_KMS"

    material_id = mac(binding, b"keywright/material-id", kid, material)
    token_header = b"\x01" + DOMAIN_VERSION.to_bytes(4, "big")
    token_header += b"".join(u8(f) for f in (ACCOUNT.encode(), kid, spec, usage, origin)) + material_id
    token = token_header + aead(
        DOMAIN_KEY, b"keywright/token", b"", token_header, binding + material,
        stream(f"token n {i}", 16), stream(f"token iv {i}", 12))

    blob_key = mac(binding, b"keywright/blob-key", ACCOUNT.encode(), kid, spec, usage, material)
    context = hashlib.sha256(b"keywright/blob-context\0" + kid + b"\0" + material_id).digest()
    header = b"\x01\x01" + int(ACCOUNT).to_bytes(5, "big") + u8(region.encode()) + packed_key_id(key_id) + material_id
    aad = u32(header) + encryption_context(ec)
    plaintext = stream(f"plaintext {i}", size)
    body = aead(blob_key, b"keywright/blob", context, aad, plaintext, stream(f"n {i}", 16), stream(f"iv {i}", 12))

    out.append({
        "domainVersion": DOMAIN_VERSION, "domainKey": DOMAIN_KEY.hex(),
        "account": ACCOUNT, "region": region, "keyId": key_id, "encryptionContext": ec,
        "materialId": material_id.hex(), "token": token.hex(),
        "blobKey": blob_key.hex(), "blobContext": context.hex(),
        "header": header.hex(), "aad": aad.hex(),
        "plaintext": plaintext.hex(), "blob": (header + body).hex(),
    })
with open("vectors.json", "w") as f:
    json.dump(out, f, indent=1)
    f.write("\n")

# The known answer of selftest.go.
print(aead(bytes(range(32)), b"keywright/self-test", b"", b"aad", b"plaintext",
           bytes(range(64, 80)), bytes(range(96, 108))).hex())
