// Drives the official Encryption SDK for JavaScript: each line of standard
// input is a request, answered by one line on file descriptor 3, in order.
// Standard output is not ours alone: Node.js writes warnings to it.
//
//	{"op": "encrypt", "manager": M, "policy": P, "suite": 1400, "frameLength": 4096,
//	 "context": {...}, "plaintext": BASE64} -> {"message": BASE64}
//	{"op": "decrypt", "manager": M, "policy": P, "message": BASE64}
//	  -> {"plaintext": BASE64, "context": {...}, "suite": 1400, "frameLength": 4096}
//
// or {"error": TEXT}. M describes a manager or a keyring, as `managers` below
// reads it. Those with equal descriptions are one, so that a cache fills.
import { createInterface } from 'node:readline'
import { constants } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import esdk from '@aws-crypto/client-node'
import { KMS } from '@aws-sdk/client-kms'

const bytes = (base64) => Buffer.from(base64, 'base64')

const kmsClient = ({ endpoint, accessKeyId, secretAccessKey }, region) =>
  new KMS({ region, endpoint, credentials: { accessKeyId, secretAccessKey } })

const managers = {
  aes: ({ namespace, name, key }) =>
    new esdk.RawAesKeyringNode({
      keyNamespace: namespace,
      keyName: name,
      unencryptedMasterKey: Uint8Array.from(bytes(key)),
      wrappingSuite: esdk.RawAesWrappingSuiteIdentifier[`AES${bytes(key).length * 8}_GCM_IV12_TAG16_NO_PADDING`],
      utf8Sorting: true,
    }),
  rsa: ({ namespace, name, publicKey, privateKey, oaepHash }) =>
    new esdk.RawRsaKeyringNode({
      keyNamespace: namespace,
      keyName: name,
      rsaKey: { publicKey, privateKey },
      ...(oaepHash ? { oaepHash } : { padding: constants.RSA_PKCS1_PADDING }),
    }),
  kms: ({ service, keyIds: [generatorKeyId, ...keyIds] }) =>
    new esdk.KmsKeyringNode({ generatorKeyId, keyIds, clientProvider: (region) => kmsClient(service, region) }),
  kmsDiscovery: ({ service, account }) =>
    new esdk.KmsKeyringNode({
      discovery: true,
      discoveryFilter: { partition: 'aws', accountIDs: [account] },
      clientProvider: (region) => kmsClient(service, region),
    }),
  kmsMultiRegion: ({ service, keyId, region }) =>
    new esdk.AwsKmsMrkAwareSymmetricKeyringNode({ keyId, client: kmsClient(service, region) }),
  caching: ({ of, maxAge, maxMessages }) =>
    new esdk.NodeCachingMaterialsManager({
      backingMaterials: manager(of),
      cache: esdk.getLocalCryptographicMaterialsCache(100),
      maxAge,
      maxMessagesEncrypted: maxMessages,
    }),
}

const made = new Map()

function manager(description) {
  const id = JSON.stringify(description)
  if (!made.has(id)) made.set(id, managers[description.kind](description))
  return made.get(id)
}

const operations = {
  async encrypt({ manager: m, policy, suite, frameLength, context, plaintext }) {
    const { result } = await esdk
      .buildClient(esdk.CommitmentPolicy[policy])
      .encrypt(manager(m), bytes(plaintext), {
        suiteId: suite,
        frameLength,
        encryptionContext: context,
        // Without it nothing is cached.
        plaintextLength: bytes(plaintext).length,
      })
    return { message: result.toString('base64') }
  },
  async decrypt({ manager: m, policy, message }) {
    const { plaintext, messageHeader } = await esdk
      .buildClient(esdk.CommitmentPolicy[policy])
      .decrypt(manager(m), bytes(message))
    return {
      plaintext: plaintext.toString('base64'),
      context: messageHeader.encryptionContext,
      suite: messageHeader.suiteId,
      frameLength: messageHeader.frameLength,
    }
  },
}

const answers = createWriteStream('', { fd: 3 })

for await (const line of createInterface({ input: process.stdin })) {
  let answer
  try {
    const request = JSON.parse(line)
    answer = await operations[request.op](request)
  } catch (error) {
    answer = { error: String(error?.stack ?? error) }
  }
  answers.write(JSON.stringify(answer) + '\n')
}
