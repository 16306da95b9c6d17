#!/usr/bin/env python3
"""Makes vectors.json for internal/aead, independently of its Go code.

Needs the "cryptography" package. Run it in this folder; its output is the same
each time. The construction is the one of docs/ciphertext-blob.md.
"""
import hashlib, hmac, json

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.kbkdf import CounterLocation, KBKDFHMAC, Mode


def stream(seed, n):
    """n bytes that look random and are the same in every run."""
    return hashlib.shake_256(seed.encode()).digest(n)


def derive(key, label, context):
    k = KBKDFHMAC(
        algorithm=hashes.SHA256(), mode=Mode.CounterMode, length=64, rlen=4, llen=4,
        location=CounterLocation.BeforeFixed, label=label, context=context, fixed=None,
    ).derive(key)
    # The same once more from the text of SP 800-108.
    fixed = label + b"\0" + context + (512).to_bytes(4, "big")
    blocks = [hmac.digest(key, i.to_bytes(4, "big") + fixed, "sha256") for i in (1, 2)]
    assert k == b"".join(blocks)
    return k


def seal(key, label, context, aad, plaintext, n, iv):
    k = derive(key, label, context + n)
    return k, n + k[32:] + iv + AESGCM(k[:32]).encrypt(iv, plaintext, aad)


CASES = [  # label, length of context, of additional data, of plaintext
    ("keywright/record", 0, 0, 0),
    ("keywright/record", 0, 24, 100),
    ("keywright/token", 0, 117, 64),
    ("keywright/blob", 32, 70, 1),
    ("keywright/blob", 32, 66, 32),
    ("keywright/blob", 32, 8300, 4096),
    ("keywright/a label longer than any that is in use, to pass the end of a hash block", 200, 15, 17),
]

out = []
for i, (label, nc, na, np) in enumerate(CASES):
    key, n, iv = stream(f"key {i}", 32), stream(f"n {i}", 16), stream(f"iv {i}", 12)
    context, aad, plaintext = stream(f"context {i}", nc), stream(f"aad {i}", na), stream(f"plaintext {i}", np)
    derived, sealed = seal(key, label.encode(), context, aad, plaintext, n, iv)
    out.append({
        "label": label, "key": key.hex(), "context": context.hex(), "n": n.hex(), "iv": iv.hex(),
        "additionalData": aad.hex(), "plaintext": plaintext.hex(),
        "derived": derived.hex(), "sealed": sealed.hex(),
    })
with open("vectors.json", "w") as f:
    json.dump(out, f, indent=1)
    f.write("\n")
