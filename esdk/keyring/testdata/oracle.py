"""Makes and opens encrypted data keys with the Python package cryptography.

    python3 oracle.py make KEYS >cases.json
    python3 oracle.py open KEYS <cases.json

KEYS is the folder of the key pairs. Written from the specification and
independent of the Go code: what only this program and the Go code agree on may
still be wrong, see mpl/main.go for that.
"""

import base64
import hashlib
import json
import os
import struct
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode

SUITES = {0x0014: 16, 0x0146: 24, 0x0478: 32}
CONTEXTS = [None, {"key1": "val1"}, {"\U0001f511": "a", "\uff5e": "b", "": ""}]
HASHES = {"SHA1": hashes.SHA1, "SHA256": hashes.SHA256, "SHA384": hashes.SHA384, "SHA512": hashes.SHA512}
BINARY = ("Key", "DataKey", "ProviderInfo", "Ciphertext")


def private(name):
    with open(os.path.join(sys.argv[2], name + ".pem"), "rb") as f:
        return serialization.load_pem_private_key(f.read(), None)


def context_bytes(context):
    if not context:
        return b""
    pairs = sorted((k.encode(), v.encode()) for k, v in context.items())
    out = struct.pack(">H", len(pairs))
    for pair in pairs:
        for text in pair:
            out += struct.pack(">H", len(text)) + text
    return out


def rsa_padding(name):
    if name == "PKCS1":
        return padding.PKCS1v15()
    h = HASHES[name.split("_")[1]]
    return padding.OAEP(padding.MGF1(h()), h(), None)


def compress(key):
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)


def ecdh_keys(z, case, sender, recipient, salt):
    fixed = b"\0".join([b"ecdh-key-derivation", case["Curve"].encode(), b"HMAC_SHA384", sender + recipient,
                        b"\1", context_bytes(case["Context"])])
    out = KBKDFHMAC(hashes.SHA384(), Mode.CounterMode, 64, 4, 4, CounterLocation.BeforeFixed, fixed, salt, None).derive(z)
    return out[:32], AESGCM(out[32:]), fixed


def branch_keys(case, salt):
    version = hashlib.sha256(case["Key"]).digest()[:16]
    label = b"aws-kms-hierarchy"
    kdf = KBKDFHMAC(hashes.SHA256(), Mode.CounterMode, 32, 4, 4, CounterLocation.BeforeFixed, label, salt, None)
    aad = label + case["Name"].encode() + version + context_bytes(case["Context"])
    return version, AESGCM(kdf.derive(case["Key"])), aad


def seal(case):
    data_key = case["DataKey"]
    if case["Kind"] == "hierarchical":
        salt, iv = os.urandom(16), os.urandom(12)
        version, gcm, aad = branch_keys(case, salt)
        case["ProviderID"] = "aws-kms-hierarchy"
        case["ProviderInfo"] = case["Name"].encode()
        case["Ciphertext"] = salt + iv + version + gcm.encrypt(iv, data_key, aad)
        return
    if case["Kind"] == "aes":
        iv = os.urandom(12)
        case["ProviderID"] = case["Namespace"]
        case["ProviderInfo"] = case["Name"].encode() + struct.pack(">II", 128, 12) + iv
        case["Ciphertext"] = AESGCM(case["Key"]).encrypt(iv, data_key, context_bytes(case["Context"]))
    elif case["Kind"] == "rsa":
        case["ProviderID"] = case["Namespace"]
        case["ProviderInfo"] = case["Name"].encode()
        case["Ciphertext"] = private("rsa").public_key().encrypt(data_key, rsa_padding(case["Padding"]))
    else:
        recipient = private(case["Curve"] + "-b").public_key()
        own = private(case["Curve"] + "-a") if case["Scheme"] == "static" else ec.generate_private_key(recipient.curve)
        sender, point, salt = compress(own.public_key()), compress(recipient), os.urandom(32)
        commitment, gcm, fixed = ecdh_keys(own.exchange(ec.ECDH(), recipient), case, sender, point, salt)
        case["ProviderID"] = "raw-ecdh"
        case["ProviderInfo"] = b"\1" + b"".join(struct.pack(">I", len(p)) + p for p in (point, sender))
        case["Ciphertext"] = salt + commitment + gcm.encrypt(bytes(12), data_key, fixed)


def unseal(case):
    info, ciphertext = case["ProviderInfo"], case["Ciphertext"]
    if case["Kind"] == "hierarchical":
        version, gcm, aad = branch_keys(case, ciphertext[:16])
        assert (case["ProviderID"], info) == ("aws-kms-hierarchy", case["Name"].encode())
        assert ciphertext[28:44] == version
        return gcm.decrypt(ciphertext[16:28], ciphertext[44:], aad)
    if case["Kind"] == "aes":
        name = case["Name"].encode()
        assert case["ProviderID"] == case["Namespace"]
        assert info[:-12] == name + struct.pack(">II", 128, 12), info
        return AESGCM(case["Key"]).decrypt(info[-12:], ciphertext, context_bytes(case["Context"]))
    if case["Kind"] == "rsa":
        assert (case["ProviderID"], info) == (case["Namespace"], case["Name"].encode())
        return private("rsa").decrypt(ciphertext, rsa_padding(case["Padding"]))
    own = private(case["Curve"] + "-b")
    point = compress(own.public_key())
    n = len(point)
    assert case["ProviderID"] == "raw-ecdh" and len(info) == 9 + 2 * n
    assert info[: 5 + n] == b"\1" + struct.pack(">I", n) + point
    assert info[5 + n : 9 + n] == struct.pack(">I", n)
    sender = info[9 + n :]
    if case["Scheme"] == "static":
        assert sender == compress(private(case["Curve"] + "-a").public_key())
    z = own.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(own.curve, sender))
    commitment, gcm, fixed = ecdh_keys(z, case, sender, point, ciphertext[:32])
    assert commitment == ciphertext[32:64]
    return gcm.decrypt(bytes(12), ciphertext[64:], fixed)


def make():
    cases = []
    for context in CONTEXTS:
        for suite, size in SUITES.items():
            kinds = [{"Kind": "aes", "Namespace": "ns", "Name": "n\0m", "Key": os.urandom(n)} for n in (16, 24, 32)]
            kinds += [{"Kind": "ecdh", "Curve": c, "Scheme": s}
                      for c in ("p256", "p384", "p521") for s in ("static", "ephemeral")]
            kinds.append({"Kind": "hierarchical", "Name": "branch", "Key": os.urandom(32)})
            if context is None:
                kinds += [{"Kind": "rsa", "Namespace": "ns", "Name": "key", "Padding": p}
                          for p in ("PKCS1", "OAEP_SHA1_MGF1", "OAEP_SHA256_MGF1", "OAEP_SHA384_MGF1", "OAEP_SHA512_MGF1")]
            for case in kinds:
                case.update(Suite=suite, Context=context, DataKey=os.urandom(size))
                seal(case)
                cases.append({k: base64.b64encode(v).decode() if k in BINARY else v for k, v in case.items()})
    json.dump(cases, sys.stdout)


def main():
    if sys.argv[1] == "make":
        return make()
    cases = json.load(sys.stdin)
    for case in cases:
        for field in BINARY:
            case[field] = base64.b64decode(case.get(field) or "")
        if unseal(case) != case["DataKey"]:
            sys.exit("another data key: %r" % case)
    print("opened", len(cases))


if __name__ == "__main__":
    main()
