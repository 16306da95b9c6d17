// Runs ../cases.json with the AWS SDK for JavaScript v3 against the server at
// KEYWRIGHT_TEST_ENDPOINT.
//
// The form of the cases is described in ../README.md. Credentials and Region
// come from the environment, as for any program that uses the SDK; for a
// server with its own CA set NODE_EXTRA_CA_CERTS.

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { isDeepStrictEqual } from "node:util";
import * as sdk from "@aws-sdk/client-kms";

const elsewhere = "eu-south-2";
const requestId = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const isObject = (v) => v !== null && typeof v === "object" && Object.getPrototypeOf(v) === Object.prototype;
const bytes = (text) => new Uint8Array(Buffer.from(text, "utf8"));

/** The installed SDK cannot express this case. */
class Skip extends Error {}

/** The server's answer is not the expected one. */
class Mismatch extends Error {}

/** Gives a case's expression its value: strings, bytes, lists, objects. */
function evaluate(value, names) {
  const lookup = (name) => {
    if (!(name in names)) throw new Error(`no variable ${name}`);
    return names[name];
  };
  if (typeof value === "string") {
    const whole = /^\$\{(\w+)\}$/.exec(value);
    return whole ? lookup(whole[1]) : value.replace(/\$\{(\w+)\}/g, (_, name) => lookup(name));
  }
  if (Array.isArray(value)) return value.map((v) => evaluate(v, names));
  if (!isObject(value)) return value;
  if ("$bytes" in value) return bytes(evaluate(value.$bytes, names));
  if ("$repeat" in value) return value.$repeat.repeat(value.times);
  if ("$concat" in value) return value.$concat.map((v) => evaluate(v, names)).join("");
  if ("$list" in value) {
    return Array.from({ length: value.$list }, (_, i) => evaluate(value.of, { ...names, n: i + 1 }));
  }
  if ("$flip" in value) {
    const flipped = Uint8Array.from(evaluate(value.$flip, names));
    flipped[value.at < 0 ? flipped.length + value.at : value.at] ^= 1;
    return flipped;
  }
  if ("$cut" in value) {
    const whole = evaluate(value.$cut, names);
    return whole.slice(0, whole.length - value.by);
  }
  if ("$append" in value) return new Uint8Array([...evaluate(value.$append, names), ...bytes(value.bytes)]);
  const unknown = Object.keys(value).find((k) => k.startsWith("$"));
  if (unknown) throw new Error(`unknown expression ${unknown}`);
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, evaluate(v, names)]));
}

function show(value) {
  const text = String(JSON.stringify(value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value));
  return text.length < 300 ? text : `${text.slice(0, 300)}... (${text.length} characters)`;
}

/** Buffers and Uint8Arrays of the same bytes are equal here. */
function equal(a, b) {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0;
  return isDeepStrictEqual(a, b);
}

/** Throws Mismatch unless got is what the expectation want describes. */
function check(want, got, names, where) {
  const require = (ok) => {
    if (!ok) throw new Mismatch(`${where}: got ${show(got)}, want ${show(want)}`);
  };
  if (isObject(want)) {
    if ("$matches" in want) {
      return require(typeof got === "string" && new RegExp(evaluate(want.$matches, names)).test(got));
    }
    if ("$length" in want) {
      return require((got instanceof Uint8Array || Array.isArray(got)) && got.length === want.$length);
    }
    if ("$not" in want) return require(got !== undefined && !equal(got, evaluate(want.$not, names)));
    if ("$json" in want) {
      return require(typeof got === "string" && equal(JSON.parse(got), evaluate(want.$json, names)));
    }
    if ("$daysFromNow" in want) {
      const then = Date.now() + want.$daysFromNow * 86400e3;
      return require(got instanceof Date && Math.abs(got.getTime() - then) < 300e3);
    }
    if ("$absent" in want) return require(got === undefined);
    if ("$contains" in want) {
      require(Array.isArray(got));
      return require(got.some((g) => matches(want.$contains, g, names)));
    }
    if (Object.keys(want).every((k) => k === "$exactly" || !k.startsWith("$"))) {
      require(isObject(got));
      for (const [k, v] of Object.entries(want)) {
        if (k !== "$exactly") check(v, got[k], names, `${where}.${k}`);
      }
      if (want.$exactly) {
        const surplus = Object.keys(got).filter((k) => got[k] !== undefined && !(k in want));
        if (surplus.length > 0) throw new Mismatch(`${where}: unexpected members ${surplus}`);
      }
      return;
    }
  }
  if (Array.isArray(want)) {
    require(Array.isArray(got) && got.length === want.length);
    want.forEach((w, i) => check(w, got[i], names, `${where}[${i}]`));
    return;
  }
  want = evaluate(want, names);
  require(equal(got, want));
}

function matches(want, got, names) {
  try {
    check(want, got, names, "");
    return true;
  } catch (e) {
    if (e instanceof Mismatch) return false;
    throw e;
  }
}

/** Sends one call and checks what every answer must carry. */
async function call(client, operation, params) {
  const Command = sdk[`${operation}Command`];
  if (!Command) throw new Skip(`this SDK knows no ${operation}`);
  let result, error, meta;
  try {
    const { $metadata, ...members } = await client.send(new Command(params));
    [result, meta] = [members, $metadata];
  } catch (e) {
    if (!e.$metadata?.httpStatusCode) throw e;
    // The SDK has words of its own for an error without message.
    error = { code: e.name, message: /^Unknown(Error)?$/.test(e.message) ? "" : e.message };
    meta = e.$metadata;
  }
  const status = error ? 400 : 200;
  if (meta.httpStatusCode !== status) {
    throw new Mismatch(`HTTP status ${meta.httpStatusCode}, want ${status} (${show(error ?? "result")})`);
  }
  if (!requestId.test(meta.requestId ?? "")) throw new Mismatch(`request id ${show(meta.requestId)} is no UUID`);
  return { result, error };
}

async function runStep(client, step, names) {
  const params = evaluate(step.with ?? {}, names);
  let { result, error } = await call(client, step.call, params);
  if (step.all && !error) {
    const collected = [...result[step.all]];
    while (result?.Truncated) {
      ({ result, error } = await call(client, step.call, { ...params, Marker: result.NextMarker }));
      collected.push(...(result?.[step.all] ?? []));
    }
    if (result) result[step.all] = collected;
  }
  if (!step.error) {
    if (error) throw new Mismatch(`${step.call}: ${error.code}: ${error.message}`);
    check(step.result ?? {}, result, names, step.call);
    for (const [name, path] of Object.entries(step.save ?? {})) {
      const found = path.split(".").reduce((at, part) => at?.[part], result);
      if (found === undefined) throw new Mismatch(`${step.call}: the result has no ${path}`);
      names[name] = found;
    }
    return;
  }
  if (!error) throw new Mismatch(`${step.call}: succeeded, want ${step.error.code}`);
  if (error.code !== step.error.code) {
    throw new Mismatch(`${step.call}: ${error.code}: ${error.message}; want ${step.error.code}`);
  }
  if ("message" in step.error) check(step.error.message, error.message, names, `${step.call}: ${error.code}`);
}

async function runSteps(client, steps, names) {
  for (const step of steps) {
    for (let n = 1; n <= (step.times ?? 1); n++) {
      names.n = n;
      await runStep(client, step, names);
    }
  }
}

const endpoint = process.env.KEYWRIGHT_TEST_ENDPOINT;
if (!endpoint) {
  console.error("set KEYWRIGHT_TEST_ENDPOINT to the endpoint of a server that may be filled with test keys");
  process.exit(2);
}
const client = new sdk.KMSClient({ endpoint });
const { setup, cases } = JSON.parse(readFileSync(new URL("../cases.json", import.meta.url), "utf8"));
const { version } = createRequire(import.meta.url)("@aws-sdk/client-kms/package.json");
console.log(`@aws-sdk/client-kms ${version}, node ${process.version}, ${endpoint}`);

const shared = { run: randomBytes(4).toString("hex"), region: await client.config.region(), elsewhere };
await runSteps(client, setup, shared);
const count = { passed: 0, failed: 0, skipped: 0 };
for (const c of cases) {
  try {
    await runSteps(client, c.steps, { ...shared });
    count.passed++;
  } catch (e) {
    if (e instanceof Skip) {
      count.skipped++;
      console.log(`SKIP ${c.name}: ${e.message}`);
    } else {
      count.failed++;
      console.log(`FAIL ${c.name}: ${e instanceof Mismatch ? e.message : e.stack}`);
    }
  }
}
console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
process.exitCode = count.failed > 0 || count.passed === 0 ? 1 : 0;
