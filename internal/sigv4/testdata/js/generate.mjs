// Writes ../javascript.json: requests signed by the signer of the AWS SDK for
// JavaScript v3, as golden files. In this folder, and then remove node_modules:
//
//   npm install --no-package-lock && node generate.mjs > ../javascript.json

import { Sha256 } from "@aws-crypto/sha256-js";
import { SignatureV4 } from "@smithy/signature-v4";
import { createRequire } from "node:module";

const { version } = createRequire(import.meta.url)("@smithy/signature-v4/package.json");
const host = "kms.eu-central-1.amazonaws.com";
const credentials = {
  accessKeyId: "ASIAIOSFODNN7EXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
};
const sessionToken = "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaDGV1LWNlbnRyYWwtMSJH+".repeat(12);
const region = "eu-central-1";
const signingDate = new Date("2026-02-28T23:59:59.750Z");

const cases = [];

async function sign(name, { method = "POST", path = "/", query = {}, wireQuery = "", headers = {}, body = "",
  service = "kms", token = "", options = {} }) {
  const signer = new SignatureV4({
    service, region, sha256: Sha256,
    // As the SDK's KMS client has it: no x-amz-content-sha256 header.
    applyChecksum: false,
    credentials: token ? { ...credentials, sessionToken: token } : credentials,
    ...options,
  });
  const request = { method, protocol: "https:", hostname: host, path, query, headers: { ...headers, host }, body };
  const signed = await signer.sign(request, { signingDate });
  cases.push({
    name, accessKeyID: credentials.accessKeyId, secret: credentials.secretAccessKey, sessionToken: token,
    region, service, time: "20260228T235959Z", method, path, query: wireQuery, host,
    headers: Object.entries(signed.headers).filter(([key]) => key !== "host"),
    body: Buffer.from(body).toString("base64"),
  });
}

const kms = (operation) => ({
  "content-type": "application/x-amz-json-1.1",
  "x-amz-target": `TrentService.${operation}`,
  "amz-sdk-invocation-id": "7c2a1c3e-8a5c-4f0e-9a59-9d7f1d0a3a11",
  "amz-sdk-request": "attempt=1; max=3",
  "x-amz-user-agent": "aws-sdk-js/3.1000.0 KMS/1.0",
  "user-agent": "aws-sdk-js/3.1000.0",
});

await sign("Encrypt", { headers: { ...kms("Encrypt"), "content-length": "47" },
  body: '{"KeyId":"alias/example","Plaintext":"AAECAw=="}' });
await sign("Decrypt with session token", { headers: kms("Decrypt"), body: '{"CiphertextBlob":"AQID"}', token: sessionToken });
await sign("ListKeys with checksum", { headers: kms("ListKeys"), body: "{}", options: { applyChecksum: true } });
await sign("empty body with checksum", { headers: kms("ListKeys"), options: { applyChecksum: true } });
await sign("non-ASCII body", { headers: kms("TagResource"), body: '{"Value":"Schlüssel 鍵"}' });
await sign("spaces and tabs in headers", { headers: { ...kms("ListKeys"), "x-custom": "  a \t b   c\t" }, body: "{}" });
await sign("query", { method: "GET", service: "iam",
  query: { Version: "2010-05-08", Action: "GetUser", UserName: "a b+c/d=ü", Empty: "", "m.2": "x", "m-1": ["z", "a", "*~"] },
  wireQuery: "Version=2010-05-08&Action=GetUser&UserName=a%20b%2Bc%2Fd%3D%C3%BC&Empty=&m.2=x&m-1=z&m-1=a&m-1=%2A~" });
await sign("path", { method: "GET", service: "execute-api", path: "/a%20b//c/./d/../%E9%8D%B5/e.f-g_h~i/" });
await sign("S3 path", { method: "GET", service: "s3", path: "/bucket/a%20b//c/../%E9%8D%B5", options: { uriEscapePath: false } });

console.log(JSON.stringify({ signer: `@smithy/signature-v4 ${version}`, cases }, null, 1));
