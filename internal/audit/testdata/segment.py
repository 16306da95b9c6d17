#!/usr/bin/env python3
"""An independent reader and writer of audit segments, from the description in
format.go and chain.go, with nothing but Python's standard library.

    segment.py make FOLDER            writes the golden segments
    segment.py verify FOLDER K0_HEX   checks a folder, prints the records
"""
import gzip, hashlib, hmac, pathlib, struct, sys

GOLDEN_CHAIN = bytes(range(16))
GOLDEN_KEY = bytes(range(32, 64))


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def derive(key, label, data=b""):
    return hmac.digest(key, b"keywright audit " + label + data, "sha256")


def sha256(data):
    return hashlib.sha256(data).digest()


class Chain:
    def __init__(self, start):
        self.start, self.prev, self.number, self.seq = start, bytes(32), 0, 1

    def header(self, created):
        h = b"KWAUDIT\x01" + GOLDEN_CHAIN + struct.pack("<QQq", self.number, self.seq, created) + self.prev
        self.prev, self.frame_key = sha256(h), derive(self.start, b"first frame")
        return h

    def frame(self, kind, mark, revision, time, records):
        body = b"".join(struct.pack("<I", len(r)) + r for r in records)
        length = struct.pack("<I", 80 + len(body) + 32)
        rest = struct.pack("<IIQQQq", kind, len(records), self.seq, mark, revision, time) + self.prev
        frame = length + struct.pack("<I", crc32c(length + rest)) + rest + body
        self.prev = sha256(frame)
        tag = derive(self.frame_key, b"mac", self.prev)
        self.frame_key = derive(self.frame_key, b"next frame")
        self.seq += len(records)
        return frame + tag

    def next_segment(self):
        self.start, self.number = derive(self.start, b"next segment"), self.number + 1


def make(folder):
    c, t = Chain(GOLDEN_KEY), 1_800_000_000_000
    one = c.header(t) + c.frame(3, 0, 7, t, []) + c.frame(1, 0, 7, t + 1, [b'{"n":1}', b'{"n":2,"x":"\xc3\xa9"}'])
    one += c.frame(2, 9, 9, t + 2, [b'{"n":3}'])
    c.next_segment()
    name = "%020d.log" % c.seq
    two = c.header(t + 3) + c.frame(3, 9, 9, t + 3, []) + c.frame(1, 9, 9, t + 4, [b'{"n":4}']) + c.frame(4, 0, 5, t + 5, [])
    (folder / "00000000000000000001.log").write_bytes(one)
    (folder / name).write_bytes(two)


def check(condition, what):
    if not condition:
        sys.exit("not as described: " + what)


def verify(folder, start):
    prev, seq, number, chain = bytes(32), 1, 0, None
    files = sorted(p for p in folder.iterdir() if ".log" in p.name)
    check(files, "no segments")
    for path in files:
        data = gzip.decompress(path.read_bytes()) if path.name.endswith(".gz") else path.read_bytes()
        check(data[:8] == b"KWAUDIT\x01", "magic")
        check(chain in (None, data[8:24]), "chain id")
        chain = data[8:24]
        n, first, _created = struct.unpack("<QQq", data[24:48])
        check((n, first, data[48:80]) == (number, seq, prev), "header of " + path.name)
        check(path.name.split(".")[0] == "%020d" % first, "name of " + path.name)
        prev, at, key = sha256(data[:80]), 80, derive(start, b"first frame")
        while at < len(data):
            length, crc = struct.unpack("<II", data[at : at + 8])
            frame, tag = data[at : at + length - 32], data[at + length - 32 : at + length]
            check(len(tag) == 32, "length of a frame")
            check(crc == crc32c(frame[:4] + frame[8:80]), "CRC")
            kind, count, first, _mark, _revision, _time = struct.unpack("<IIQQQq", frame[8:48])
            check(kind in (1, 2, 3, 4) and first == seq and frame[48:80] == prev, "chain")
            prev = sha256(frame)
            check(hmac.compare_digest(tag, derive(key, b"mac", prev)), "MAC")
            key, body = derive(key, b"next frame"), frame[80:]
            for _ in range(count):
                size = struct.unpack("<I", body[:4])[0]
                check(0 < size <= len(body) - 4, "length of a record")
                print(seq, body[4 : 4 + size].decode())
                body, seq = body[4 + size :], seq + 1
            check(not body, "bytes after the last record")
            at += length
        start, number = derive(start, b"next segment"), number + 1


if __name__ == "__main__":
    check(crc32c(b"123456789") == 0xE3069283, "CRC-32C of this program")
    folder = pathlib.Path(sys.argv[2])
    if sys.argv[1] == "make":
        make(folder)
    else:
        verify(folder, bytes.fromhex(sys.argv[3]))
