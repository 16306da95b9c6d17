"""Writes golden.txt: a store's slots, state and a record, made after the formats
in seal's comments with the Python cryptography package (46 or later), for keys
that are counted bytes. Each line is a name and a value in hexadecimal."""
import hashlib, hmac, struct
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode


def counted(start, n):
    return bytes((start + i) & 255 for i in range(n))


def aead(key, label, context, data, plaintext, n, iv):
    k = KBKDFHMAC(hashes.SHA256(), Mode.CounterMode, 64, 4, 4, CounterLocation.BeforeFixed,
                  label.encode(), context + n, None).derive(key)
    return n + k[32:] + iv + AESGCM(k[:32]).encrypt(iv, plaintext, data)


def derive(base, label):
    return HKDFExpand(hashes.SHA256(), 32, label.encode()).derive(base)


store_id, base, key3 = counted(1, 16), counted(40, 32), counted(80, 32)
keys = b"\x01" + store_id + base + b"\x01" + struct.pack(">I", 3) + key3


def slot(kind, sid, label, params, secret_of, salt):
    head = (b"\x01" + sid + bytes([kind]) + salt + struct.pack(">q", 1700000000123) +
            bytes([len(label.encode())]) + label.encode() + bytes([len(params)]) + params)
    return head + aead(secret_of(salt), "keywright/slot", salt, head, keys, counted(9, 16), counted(7, 12))


root = counted(120, 32)
phrase = b"correct horse battery staple"
out = {
    "seal/slot/0101010101010101": slot(1, b"\x01" * 8, "a file", b"\x02" * 8, lambda s: root, counted(3, 32)),
    "seal/slot/0303030303030303": slot(2, b"\x03" * 8, "Geheim \u00e4", struct.pack(">IIB", 2, 64, 2),
        lambda s: Argon2id(salt=s, length=32, iterations=2, lanes=2, memory_cost=64).derive(phrase), counted(5, 32)),
    "seal/state": aead(derive(base, "keywright/state"), "keywright/state", b"", b"seal/state",
        b"\x01" + struct.pack(">QB", 7, 1) + struct.pack(">I", 3), counted(11, 16), counted(13, 12)),
    "record": b"\x01" + struct.pack(">I", 3) + aead(key3, "keywright/record", b"",
        b"\x01" + struct.pack(">I", 3) + b"a/path", b"a record", counted(15, 16), counted(17, 12)),
    "derived": derive(base, "keywright/example"),
    "name": hmac.new(derive(base, "keywright/names"), b"".join(struct.pack(">I", len(s)) + s for s in
        [b"alias", b"111122223333/eu-west-1", b"orders"]), hashlib.sha256).digest()[:16],
}


def gf_mul(a, b):
    r = 0
    for i in range(5):
        if b >> i & 1:
            r ^= a << i
    for i in (9, 8, 7, 6, 5):
        if r >> i & 1:
            r ^= 0b100101 << (i - 5)
    return r


def recovery(raw):
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    number = int.from_bytes(raw, "big") << 4
    digits = [number >> 5 * (51 - i) & 31 for i in range(52)]
    groups = []
    for g in range(13):
        d, check, power = digits[4 * g:4 * g + 4], g, 1
        for v in d:
            power = gf_mul(power, 2)
            check ^= gf_mul(power, v)
        groups.append("".join(alphabet[v] for v in d + [check]))
    return "-".join(["KWRK"] + groups)


out["recovery"] = recovery(root).encode()
with open("golden.txt", "w") as f:
    for name, value in out.items():
        f.write(f"{name} {value.hex()}\n")
