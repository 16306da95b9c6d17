"""Writes botocore.json: requests signed by botocore, as golden files.

Three kinds: the cases of AWS's public Signature Version 4 test suite, signed
by botocore's SigV4Auth; the requests that real botocore clients send; and a few
edge cases. Run with any botocore that is installed, in this folder:

    python3 gen_botocore.py > botocore.json
"""

import base64
import datetime
import json
import sys
import uuid
from urllib.parse import urlsplit

import botocore
import botocore.auth
import botocore.session
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials

SUITE_TIME = datetime.datetime(2015, 8, 30, 12, 36, 0)
KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQW" * 8

botocore.auth.get_current_datetime = lambda remove_tzinfo=True: SUITE_TIME
# Ids of requests, so that each run writes the same file.
uuid.uuid4 = lambda: uuid.UUID(int=0x7c2a1c3e8a5c4f0e9a599d7f1d0a3a11)

cases = []


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def add(name, method, target, host, headers, body, service, token=""):
    path, _, query = target.partition("?")
    cases.append({
        "name": name,
        "accessKeyID": KEY, "secret": SECRET, "sessionToken": token,
        "region": "us-east-1", "service": service,
        "time": SUITE_TIME.strftime("%Y%m%dT%H%M%SZ"),
        "method": method, "path": path, "query": query, "host": host,
        "headers": [[k, text(v)] for k, v in headers],
        "body": base64.b64encode(body).decode(),
    })


def sign(name, method, target, headers=(), body=b"", params=None, service="service",
         token="", auth=botocore.auth.SigV4Auth):
    """Signs one request. Where params are given, botocore signs them instead of
    the query of target, which must be the same in its form on the wire."""
    host = "example.amazonaws.com"
    url = "https://" + host + (target.partition("?")[0] if params else target)
    request = AWSRequest(method=method, url=url, data=body, params=params)
    for key, value in headers:
        request.headers[key] = value
    request.context["payload_signing_enabled"] = True
    auth(Credentials(KEY, SECRET, token or None), service, "us-east-1").add_auth(request)
    add("suite/" + name if service == "service" else name, method, target, host,
        request.headers.items(), body, service, token)


UNRESERVED = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
FORM = [("Content-Type", "application/x-www-form-urlencoded")]

# The test suite.
sign("get-vanilla", "GET", "/")
sign("get-vanilla-with-session-token", "GET", "/", token=TOKEN)
sign("get-vanilla-empty-query-key", "GET", "/?Param1=value1")
sign("get-vanilla-query", "GET", "/")
sign("get-vanilla-query-order-key", "GET", "/?Param1=value2&Param1=Value1")
sign("get-vanilla-query-order-key-case", "GET", "/?Param2=value2&Param1=value1")
sign("get-vanilla-query-order-value", "GET", "/?Param1=value2&Param1=value1")
sign("get-vanilla-query-unreserved", "GET", f"/?{UNRESERVED}={UNRESERVED}")
sign("get-vanilla-utf8-query", "GET", "/?%E1%88%B4=bar", params={"\u1234": "bar"})
sign("get-utf8", "GET", "/\u1234")
sign("get-unreserved", "GET", "/" + UNRESERVED)
sign("get-space", "GET", "/example space/")
sign("get-relative", "GET", "/example/..")
sign("get-relative-relative", "GET", "/example1/example2/../..")
sign("get-slash", "GET", "//")
sign("get-slash-dot-slash", "GET", "/./")
sign("get-slash-pointless-dot", "GET", "/./example")
sign("get-slashes", "GET", "//example//")
sign("get-header-key-duplicate", "GET", "/",
     [("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1")])
sign("get-header-value-order", "GET", "/",
     [("My-Header1", "value4"), ("My-Header1", "value1"), ("My-Header1", "value3"), ("My-Header1", "value2")])
sign("get-header-value-trim", "GET", "/",
     [("My-Header1", " value1"), ("My-Header2", ' "a   b   c"')])
sign("get-header-key-sort", "GET", "/", [("Zoo", "z"), ("My-Header1", "value1"), ("ASDF", "a")])
sign("post-vanilla", "POST", "/")
sign("post-vanilla-empty-query-value", "POST", "/?Param1=value1")
sign("post-vanilla-query", "POST", "/?Param1=value1")
sign("post-header-key-case", "POST", "/", [("MY-HEADER1", "value1")])
sign("post-header-key-sort", "POST", "/", [("My-Header1", "value1")])
sign("post-header-value-case", "POST", "/", [("My-Header1", "VALUE1")])
sign("post-x-www-form-urlencoded", "POST", "/", FORM, b"Param1=value1")
sign("post-x-www-form-urlencoded-parameters", "POST", "/",
     [("Content-Type", "application/x-www-form-urlencoded; charset=utf8")], b"Param1=value1")

# Edges.
sign("edge/date-header", "POST", "/", [("Date", "replaced")], b"{}", service="kms")
sign("edge/tabs", "POST", "/", [("My-Header", "\ta \t b\t")], service="kms")
sign("edge/utf8-header", "POST", "/", [("My-Header", "\u00fc\u1234")], service="kms")
sign("edge/content-sha256", "POST", "/",
     [("X-Amz-Content-SHA256", "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a")],
     b"{}", service="kms")
sign("edge/escaped-path", "GET", "/a%20b/%2F/c%252e/*(x)!", service="ssm")
sign("edge/trailing-dot", "GET", "/a/b/./", service="ssm")
sign("edge/above-root", "GET", "/../../a/../../b/", service="ssm")
sign("edge/query-order", "GET", "/?a-b=1&a=2&a=%20&a%2Fb=c%2F&a=&b",
     params=[("a-b", "1"), ("a", "2"), ("a", " "), ("a/b", "c/"), ("a", ""), ("b", "")], service="iam")
sign("edge/query-plus", "GET", "/?q=a+b&r=a%2Bb", params=[("q", "a b"), ("r", "a+b")], service="iam")
sign("edge/s3-path", "PUT", "/bucket//a/../b%20c/%C3%BC%2Bd~e", body=b"x", service="s3",
     auth=botocore.auth.S3SigV4Auth)


def clients():
    """Captures what real clients send."""
    session = botocore.session.Session()

    def client(service, token=""):
        made = session.create_client(
            service, region_name="us-east-1", endpoint_url="http://127.0.0.1:4599",
            aws_access_key_id=KEY, aws_secret_access_key=SECRET, aws_session_token=token or None,
            config=Config(retries={"max_attempts": 1}))

        def capture(request, **_):
            parts = urlsplit(request.url)
            target = parts.path + ("?" + parts.query if parts.query else "")
            headers = [(k, v) for k, v in request.headers.items()
                       # Names the machine it ran on, and is not signed.
                       if k.lower() != "user-agent"]
            body = request.body or b""
            body = body.encode() if isinstance(body, str) else bytes(body)
            add(f"client/{service}/{len(cases)}", request.method, target, parts.netloc, headers, body, service, token)
            content = b"{}"
            if service in ("iam", "sts"):
                content = b"<r><CreateUserResult/><GetCallerIdentityResult/></r>"
            raw = type("Raw", (), {"stream": lambda self, **kw: iter([content])})()
            return AWSResponse(request.url, 200, {}, raw)

        made.meta.events.register("before-send", capture)
        return made

    kms = client("kms")
    kms.encrypt(KeyId="alias/a", Plaintext=b"\x00\xff" * 20, EncryptionContext={"a": "\u00fc"})
    kms.list_keys(Limit=5)
    kms.sign(KeyId="mrk-1", Message=b"m" * 4096, SigningAlgorithm="ECDSA_SHA_256")
    client("kms", TOKEN).describe_key(KeyId="alias/a")
    client("ssm").get_parameter(Name="/a/b", WithDecryption=True)
    client("iam").create_user(UserName="a+b@c=d", Path="/x y/")
    client("sts", TOKEN).get_caller_identity()
    client("cloudtrail").lookup_events(MaxResults=1)


clients()
json.dump({"signer": "botocore " + botocore.__version__, "cases": cases}, sys.stdout, indent=1, ensure_ascii=True)
print()
