#!/usr/bin/env python3
"""Runs ../cases.json with boto3 against the server at KEYWRIGHT_TEST_ENDPOINT.

The form of the cases is described in ../README.md. Credentials, Region and CA
come from the environment, as for any program that uses boto3. Works with
boto3 1.26 (Debian 12) and later: a case that needs an operation or a
parameter which the installed boto3 does not know is skipped and says so, and
result members it does not know are not compared.
"""

import datetime
import json
import os
import pathlib
import re
import secrets
import sys
import traceback

import boto3
import botocore
from botocore.config import Config
from botocore.exceptions import ClientError

ELSEWHERE = "eu-south-2"
REQUEST_ID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
VARIABLE = re.compile(r"\$\{(\w+)\}")


class Skip(Exception):
    """The installed SDK cannot express this case."""


class Mismatch(Exception):
    """The server's answer is not the expected one."""


def evaluate(value, names):
    """Gives a case's expression its value: strings, bytes, lists, objects."""
    if isinstance(value, str):
        whole = VARIABLE.fullmatch(value)
        if whole:
            return names[whole[1]]
        return VARIABLE.sub(lambda m: str(names[m[1]]), value)
    if isinstance(value, list):
        return [evaluate(v, names) for v in value]
    if not isinstance(value, dict):
        return value
    if "$bytes" in value:
        return evaluate(value["$bytes"], names).encode()
    if "$repeat" in value:
        return value["$repeat"] * value["times"]
    if "$concat" in value:
        return "".join(evaluate(v, names) for v in value["$concat"])
    if "$list" in value:
        return [evaluate(value["of"], {**names, "n": n + 1}) for n in range(value["$list"])]
    if "$flip" in value:
        flipped = bytearray(evaluate(value["$flip"], names))
        flipped[value["at"]] ^= 1
        return bytes(flipped)
    if "$cut" in value:
        return evaluate(value["$cut"], names)[: -value["by"]]
    if "$append" in value:
        return evaluate(value["$append"], names) + value["bytes"].encode()
    for k in value:
        if k.startswith("$"):
            raise ValueError(f"unknown expression {k}")
    return {k: evaluate(v, names) for k, v in value.items()}


def check(want, got, names, where, shape=None):
    """Raises Mismatch unless got is what the expectation want describes."""

    def require(ok):
        if not ok:
            raise Mismatch(f"{where}: got {shorten(got)}, want {shorten(want)}")

    if isinstance(want, dict):
        if "$matches" in want:
            return require(isinstance(got, str) and re.search(evaluate(want["$matches"], names), got))
        if "$length" in want:
            return require(isinstance(got, (bytes, list)) and len(got) == want["$length"])
        if "$not" in want:
            return require(got is not None and got != evaluate(want["$not"], names))
        if "$json" in want:
            return require(isinstance(got, str) and json.loads(got) == evaluate(want["$json"], names))
        if "$daysFromNow" in want:
            then = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=want["$daysFromNow"])
            return require(isinstance(got, datetime.datetime) and abs((got - then).total_seconds()) < 300)
        if "$absent" in want:
            return require(got is None)
        if "$contains" in want:
            require(isinstance(got, list))
            return require(any(matches(want["$contains"], g, names, shape and shape.member) for g in got))
        if all(k == "$exactly" or not k.startswith("$") for k in want):
            require(isinstance(got, dict))
            known = [k for k in want if k != "$exactly" and (shape is None or k in shape.members)]
            for k in known:
                check(want[k], got.get(k), names, f"{where}.{k}", shape and shape.members[k])
            if want.get("$exactly"):
                surplus = sorted(set(got) - set(known))
                if surplus:
                    raise Mismatch(f"{where}: unexpected members {surplus}")
            return None
    if isinstance(want, list):
        require(isinstance(got, list) and len(got) == len(want))
        for i, w in enumerate(want):
            check(w, got[i], names, f"{where}[{i}]", shape and shape.member)
        return None
    want = evaluate(want, names)
    return require(type(got) is type(want) and got == want)


def matches(want, got, names, shape):
    try:
        check(want, got, names, "", shape)
    except Mismatch:
        return False
    return True


def shorten(value):
    text = repr(value)
    return text if len(text) < 300 else text[:300] + f"... ({len(text)} characters)"


def find(result, path, shape):
    """Follows a path such as KeyMetadata.Arn or Keys.0.KeyId."""
    for part in path.split("."):
        if part.isdigit():
            result, shape = result[int(part)], shape.member
            continue
        if part not in shape.members:
            raise Skip(f"this boto3 knows no {path}")
        if part not in (result or {}):
            raise Mismatch(f"the result has no {path}")
        result, shape = result[part], shape.members[part]
    return result


class Suite:
    def __init__(self, client, names):
        self.client = client
        self.names = names
        self.methods = {op: m for m, op in client.meta.method_to_api_mapping.items()}

    def call(self, operation, params):
        """Answers (result, None) or (None, error) and checks what every answer must carry."""
        try:
            result = getattr(self.client, self.methods[operation])(**params)
            error = None
        except ClientError as e:
            result, error = None, e.response["Error"]
            meta = e.response["ResponseMetadata"]
        else:
            meta = result.pop("ResponseMetadata")
        want = 400 if error else 200
        if meta["HTTPStatusCode"] != want:
            raise Mismatch(f"HTTP status {meta['HTTPStatusCode']}, want {want} ({error or 'result'})")
        if not REQUEST_ID.match(meta.get("RequestId", "")):
            raise Mismatch(f"request id {meta.get('RequestId')!r} is no UUID")
        if meta["HTTPHeaders"].get("content-type") != "application/x-amz-json-1.1":
            raise Mismatch(f"content type {meta['HTTPHeaders'].get('content-type')!r}")
        return result, error

    def step(self, step, names):
        operation = step["call"]
        if operation not in self.methods:
            raise Skip(f"boto3 {boto3.__version__} knows no {operation}")
        model = self.client.meta.service_model.operation_model(operation)
        params = evaluate(step.get("with", {}), names)
        for name in params:
            if name not in model.input_shape.members:
                raise Skip(f"boto3 {boto3.__version__} knows no {operation}.{name}")
        result, error = self.call(operation, params)
        if error is None and "all" in step:
            collected = list(result[step["all"]])
            while result.get("Truncated"):
                result, error = self.call(operation, {**params, "Marker": result["NextMarker"]})
                if error:
                    break
                collected += result[step["all"]]
            else:
                result[step["all"]] = collected
        expected = step.get("error")
        if expected is None:
            if error is not None:
                raise Mismatch(f"{operation}: {error['Code']}: {error.get('Message')}")
            check(step.get("result", {}), result, names, operation, model.output_shape)
            for name, path in step.get("save", {}).items():
                names[name] = find(result, path, model.output_shape)
            return
        if error is None:
            raise Mismatch(f"{operation}: succeeded, want {expected['code']}")
        if error["Code"] != expected["code"]:
            raise Mismatch(f"{operation}: {error['Code']}: {error.get('Message')}; want {expected['code']}")
        if "message" in expected:
            check(expected["message"], error.get("Message", ""), names, f"{operation}: {error['Code']}")

    def run(self, steps, names):
        for step in steps:
            for n in range(step.get("times", 1)):
                names["n"] = n + 1
                self.step(step, names)


def main():
    endpoint = os.environ.get("KEYWRIGHT_TEST_ENDPOINT")
    if not endpoint:
        sys.exit("set KEYWRIGHT_TEST_ENDPOINT to the endpoint of a server that may be filled with test keys")
    # Limits are for the server to enforce, so the client's own checks are off.
    client = boto3.client("kms", endpoint_url=endpoint, config=Config(parameter_validation=False))
    with open(pathlib.Path(__file__).parent.parent / "cases.json", encoding="utf-8") as f:
        document = json.load(f)
    suite = Suite(client, {"run": secrets.token_hex(4), "region": client.meta.region_name, "elsewhere": ELSEWHERE})
    print(f"boto3 {boto3.__version__}, botocore {botocore.__version__}, Python {sys.version.split()[0]}, {endpoint}")
    suite.run(document["setup"], suite.names)
    passed = failed = skipped = 0
    for case in document["cases"]:
        try:
            suite.run(case["steps"], dict(suite.names))
            passed += 1
        except Skip as e:
            skipped += 1
            print(f"SKIP {case['name']}: {e}")
        except Mismatch as e:
            failed += 1
            print(f"FAIL {case['name']}: {e}")
        except Exception:  # a bug here or an answer the SDK cannot read: report, go on
            failed += 1
            print(f"FAIL {case['name']}: {traceback.format_exc()}")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
