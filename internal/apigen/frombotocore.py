#!/usr/bin/env python3
"""Turns a botocore service description into a model file for apigen.

A developer runs it when AWS has changed an API:

    python3 internal/apigen/frombotocore.py kms internal/kmsapi/model/kms.json

It keeps facts only (operations, shapes, limits, enums, errors) and none of the
documentation's text. The same botocore gives the same bytes. What botocore does
not know stands in the hand-kept overlay file beside the model.
"""

import gzip
import json
import os
import sys

import botocore

# What a shape may carry besides its structure. Anything else in a description
# is either documentation or a trait nobody here has looked at: see IGNORED.
LIMITS = ("min", "max", "pattern", "enum", "sensitive")
IGNORED = {"documentation", "deprecated", "deprecatedMessage", "box"}


def load(service):
    folder = os.path.join(os.path.dirname(botocore.__file__), "data", service)
    version = max(os.listdir(folder))
    with gzip.open(os.path.join(folder, version, "service-2.json.gz")) as f:
        return version, json.load(f)


def check_known(where, have, known):
    unknown = set(have) - set(known) - IGNORED
    if unknown:
        sys.exit(f"{where}: unknown traits {sorted(unknown)}; teach frombotocore.py about them")


def convert_shape(name, s):
    out = {"type": s["type"]}
    check_known(name, s, ("type", "members", "member", "key", "value", "required") + LIMITS)
    if s["type"] == "structure":
        required = set(s.get("required", []))
        out["members"] = []
        for member, target in s["members"].items():
            check_known(f"{name}.{member}", target, ("shape",))
            m = {"name": member, "shape": target["shape"]}
            if member in required:
                m["required"] = True
            out["members"].append(m)
    if s["type"] == "list":
        out["member"] = s["member"]["shape"]
    if s["type"] == "map":
        out["key"] = s["key"]["shape"]
        out["value"] = s["value"]["shape"]
    for trait in LIMITS:
        if trait in s:
            out[trait] = s[trait]
    return out


def convert(version, description):
    meta = description["metadata"]
    operations = []
    for name, op in sorted(description["operations"].items()):
        o = {"name": name}
        for direction in ("input", "output"):
            if direction in op:
                o[direction] = op[direction]["shape"]
        o["errors"] = [e["shape"] for e in op.get("errors", [])]
        operations.append(o)
    shapes = {n: s for n, s in description["shapes"].items() if not s.get("exception")}
    # Shapes that only the errors' members use are of no interest: every error
    # is a code and a message.
    used = set()

    def walk(name):
        if name in used:
            return
        used.add(name)
        s = shapes[name]
        for target in [m["shape"] for m in s.get("members", {}).values()] + [
            s[k]["shape"] for k in ("member", "key", "value") if k in s
        ]:
            walk(target)

    for o in operations:
        for direction in ("input", "output"):
            if direction in o:
                walk(o[direction])
    return {
        "source": f"botocore {botocore.__version__}, {meta['endpointPrefix']} {version}",
        "service": meta["endpointPrefix"],
        "protocol": meta["protocol"],
        "targetPrefix": meta.get("targetPrefix", ""),
        "operations": operations,
        "errors": sorted(n for n, s in description["shapes"].items() if s.get("exception")),
        "shapes": {n: convert_shape(n, shapes[n]) for n in sorted(used)},
    }


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: frombotocore.py SERVICE MODEL_FILE")
    model = convert(*load(sys.argv[1]))
    with open(sys.argv[2], "w", encoding="utf-8") as f:
        json.dump(model, f, indent=1, ensure_ascii=True)
        f.write("\n")


if __name__ == "__main__":
    main()
