#!/usr/bin/env python3
"""Writes golden.json: for every operation a request as botocore serializes it,
with every member set, and a response that botocore's parser understands, with
every member set. Run it again when the model changes:

    python3 internal/kmsapi/testdata/golden.py > internal/kmsapi/testdata/golden.json

The values come from the description botocore has of the service, so the file
checks the generated codecs and not the generator's idea of them. Each response
is written by hand from its values here, and must come out of botocore's parser
as the same values again.
"""

import base64
import datetime
import json
import re
import sys

import botocore.session
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from botocore.validate import ParamValidator

# Values for strings with a pattern; each is checked against it.
MATCHING = {
    "AccountIdType": "111122223333",
    "AliasNameType": "alias/sample_Key-1",
    "BackingKeyIdResponseType": "0123456789abcdef" * 4,
    "BackingKeyIdType": "fedcba9876543210" * 4,
    "CloudHsmClusterIdType": "cluster-2a3b4c5d6e7",
    "GrantNameType": "grant:one/two_3-4",
    "KeyMaterialDescriptionType": "made on\t2026-01-01. no: ",
    "MarkerType": 'page two \u00e9\u00ff "quoted" \\ back',
    "PolicyNameType": "default",
    "PolicyType": '{\n\t"Version": "2012-10-17",\r\n "Statement": []\u00e4}',
    "PrincipalIdType": "arn:aws:iam::111122223333:role/path/Role+=,.@-_",
    "RegionType": "eu-central-1",
    "XksKeyIdType": "bb8562717f809024",
    "XksProxyAuthenticationAccessKeyIdType": "ABCDEFGHIJKLMNOPQR234567",
    "XksProxyAuthenticationRawSecretAccessKeyType": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRS/+=",
    "XksProxyUriEndpointType": "https://myproxy.xks.example.com",
    "XksProxyUriPathType": "/example/prefix/kms/xks/v1",
    "XksProxyVpcEndpointServiceNameType": "com.amazonaws.vpce.us-east-1.vpce-svc-0a1b2c",
}
WILD = "caf\u00e9 \U0001d11e <&> \"q\" \\ \u2028 \x01\x7f/"
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def text(shape, n):
    if getattr(shape, "enum", None):
        return shape.enum[n % len(shape.enum)]
    if "pattern" in shape.metadata or shape.name in MATCHING:
        value = MATCHING[shape.name]
        pattern = shape.metadata.get("pattern", ".*")
        if not re.fullmatch(pattern, value):
            sys.exit(f"{shape.name}: {value!r} does not match {pattern}")
        return value
    value = WILD
    while len(value) < shape.metadata.get("min", 0):
        value += WILD
    return value[: shape.metadata.get("max", len(value))]


def sample(shape, n=0):
    kind = shape.type_name
    if kind == "structure":
        return {name: sample(m, n + i) for i, (name, m) in enumerate(shape.members.items())}
    if kind == "list":
        return [sample(shape.member, n), sample(shape.member, n + 1)]
    if kind == "map":
        return {WILD: WILD, "": "", "tenant": "4711"}
    if kind == "string":
        return text(shape, n)
    if kind == "blob":
        return bytes((i * 37 + n) % 256 for i in range(max(shape.metadata.get("min", 0), 40 + n % 3)))
    if kind == "integer":
        # One below the smaller limit that some operations have.
        return min(shape.metadata.get("max", 7), 49) if shape.metadata.get("min", 0) < 49 else shape.metadata["min"]
    if kind == "boolean":
        return n % 2 == 0
    if kind == "timestamp":
        return EPOCH + datetime.timedelta(milliseconds=1593622000191 + 86400000 * n)
    sys.exit(f"no sample for {kind}")


def wire(value):
    if isinstance(value, dict):
        return {k: wire(v) for k, v in value.items()}
    if isinstance(value, list):
        return [wire(v) for v in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.datetime):
        ms = (value - EPOCH) // datetime.timedelta(milliseconds=1)
        return ms / 1000
    return value


def main():
    service = botocore.session.get_session().get_service_model("kms")
    serializer = create_serializer("json")
    parser = create_parser("json")
    golden = {}
    for name in service.operation_names:
        op = service.operation_model(name)
        entry = {}
        if op.input_shape:
            values = sample(op.input_shape)
            report = ParamValidator().validate(values, op.input_shape)
            if report.has_errors():
                sys.exit(f"{name}: {report.generate_report()}")
            sent = serializer.serialize_to_request(values, op)
            entry["request"] = json.loads(sent["body"])
        if op.output_shape:
            values = sample(op.output_shape)
            entry["response"] = wire(values)
            body = json.dumps(entry["response"]).encode()
            got = parser.parse({"status_code": 200, "headers": {}, "body": body}, op.output_shape)
            got.pop("ResponseMetadata")
            if wire(got) != entry["response"]:
                sys.exit(f"{name}: botocore reads {got}, not {values}")
        golden[name] = entry
    json.dump(golden, sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
