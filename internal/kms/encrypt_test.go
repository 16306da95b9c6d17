package kms_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
)

func TestEncryptDecrypt(t *testing.T) {
	w := newWorld(t)
	id, arn := w.newKey()
	w.must("CreateAlias", m{"AliasName": "alias/a", "TargetKeyId": id})

	for _, name := range []string{id, arn, "alias/a", "arn:aws:kms:" + region + ":" + account + ":alias/a"} {
		enc := w.must("Encrypt", m{"KeyId": name, "Plaintext": b64("hello")})
		if enc["KeyId"] != arn || enc["EncryptionAlgorithm"] != "SYMMETRIC_DEFAULT" || len(enc) != 3 {
			t.Errorf("Encrypt answered %v", enc)
		}
		for _, req := range []m{{}, {"KeyId": name}, {"EncryptionContext": m{}}} {
			req["CiphertextBlob"] = enc["CiphertextBlob"]
			dec := w.must("Decrypt", req)
			if got := string(unb64(t, dec["Plaintext"])); got != "hello" || dec["KeyId"] != arn || dec["KeyMaterialId"] != w.metadata(id)["CurrentKeyMaterialId"] {
				t.Errorf("Decrypt answered %v", dec)
			}
		}
	}
}

func TestEncryptSizes(t *testing.T) {
	w := newWorld(t)
	id, _ := w.newKey()
	w.must("Encrypt", m{"KeyId": id, "Plaintext": b64("x")})
	enc := w.must("Encrypt", m{"KeyId": id, "Plaintext": b64(strings.Repeat("x", 4096))})
	if n := len(unb64(t, enc["CiphertextBlob"])); n > 6144 {
		t.Errorf("the blob of 4096 bytes has %d bytes, more than Decrypt takes", n)
	}
	w.must("Decrypt", m{"CiphertextBlob": enc["CiphertextBlob"]})
	const start = "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length "
	w.fails("ValidationException", start+"less than or equal to 4096", "Encrypt", m{"KeyId": id, "Plaintext": b64(strings.Repeat("x", 4097))})
	w.fails("ValidationException", start+"greater than or equal to 1", "Encrypt", m{"KeyId": id, "Plaintext": ""})
}

func TestEncryptionContext(t *testing.T) {
	w := newWorld(t)
	id, _ := w.newKey()
	context := m{"b": "2", "a": "1", "Ünïcode": "✓", "": "empty name"}
	enc := w.must("Encrypt", m{"KeyId": id, "Plaintext": b64("hello"), "EncryptionContext": context})
	w.must("Decrypt", m{"CiphertextBlob": enc["CiphertextBlob"], "EncryptionContext": context})
	for name, wrong := range map[string]m{
		"none":         nil,
		"fewer":        {"b": "2", "a": "1", "Ünïcode": "✓"},
		"more":         {"b": "2", "a": "1", "Ünïcode": "✓", "": "empty name", "c": ""},
		"other case":   {"B": "2", "a": "1", "Ünïcode": "✓", "": "empty name"},
		"other value":  {"b": "2", "a": "2", "Ünïcode": "✓", "": "empty name"},
		"other form":   {"b": "2", "a": "1", "U\u0308ni\u0308code": "✓", "": "empty name"},
		"moved border": {"b": "2", "a1": "", "Ünïcode": "✓", "": "empty name"},
	} {
		t.Run(name, func(t *testing.T) {
			w.fails("InvalidCiphertextException", "", "Decrypt", m{"CiphertextBlob": enc["CiphertextBlob"], "EncryptionContext": wrong})
		})
	}
	w.fails("ValidationException", "EncryptionContext is not valid: ...", "Encrypt", m{"KeyId": id, "Plaintext": b64("x"), "EncryptionContext": m{"k": strings.Repeat("v", 9000)}})
}

func TestDecryptRefuses(t *testing.T) {
	w := newWorld(t)
	id, _ := w.newKey()
	otherID, otherARN := w.newKey()
	blob := unb64(t, w.must("Encrypt", m{"KeyId": id, "Plaintext": b64("hello")})["CiphertextBlob"])

	const incorrect = "The key ID in the request does not identify a CMK that can perform this operation."
	for _, name := range []string{otherID, otherARN} {
		w.fails("IncorrectKeyException", incorrect, "Decrypt", m{"CiphertextBlob": blob, "KeyId": name})
		w.fails("IncorrectKeyException", incorrect, "ReEncrypt", m{"CiphertextBlob": blob, "SourceKeyId": name, "DestinationKeyId": id})
	}
	for cut := range blob {
		w.refuses(blob[:cut])
	}
	w.refuses(append(bytes.Clone(blob), 0))
	for i := range 8 * len(blob) {
		changed := bytes.Clone(blob)
		changed[i/8] ^= 1 << (i % 8)
		w.refuses(changed)
	}
}

// refuses decrypts a damaged blob, with and without the key's name. Where the
// header names a key that does not exist, the answer is that of a forbidden key.
func (w *world) refuses(blob []byte) {
	w.t.Helper()
	_, err := w.as(account, region, "Decrypt", m{"CiphertextBlob": base64.StdEncoding.EncodeToString(blob)})
	if err == nil {
		w.t.Fatalf("Decrypt opened a damaged blob %x", blob)
	}
	switch err.Error() {
	case "InvalidCiphertextException":
	case "AccessDeniedException: User: arn:aws:iam::" + account + ":root is not authorized to perform: kms:Decrypt on the resource associated with this ciphertext because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access":
	default:
		if len(blob) > 0 || !strings.HasPrefix(err.Error(), "ValidationException: 1 validation error detected: Value 'java.nio.HeapByteBuffer") {
			w.t.Fatalf("Decrypt of a damaged blob answered %v", err)
		}
	}
}

func TestStatesOfCryptography(t *testing.T) {
	w := newWorld(t)
	id, arn := w.newKey()
	target, _ := w.newKey()
	blob := w.must("Encrypt", m{"KeyId": id, "Plaintext": b64("hello")})["CiphertextBlob"]
	targetBlob := w.must("Encrypt", m{"KeyId": target, "Plaintext": b64("hello")})["CiphertextBlob"]
	calls := []struct {
		operation string
		request   m
	}{
		{"Encrypt", m{"KeyId": id, "Plaintext": b64("x")}},
		{"Decrypt", m{"CiphertextBlob": blob}},
		{"ReEncrypt", m{"CiphertextBlob": blob, "DestinationKeyId": target}},
		{"ReEncrypt", m{"CiphertextBlob": targetBlob, "DestinationKeyId": id}},
		{"GenerateDataKey", m{"KeyId": id, "KeySpec": "AES_256"}},
		{"GenerateDataKeyWithoutPlaintext", m{"KeyId": id, "NumberOfBytes": 7}},
	}
	for _, c := range calls {
		w.must(c.operation, c.request)
		c.request["DryRun"] = true
		w.fails("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.", c.operation, c.request)
	}
	w.must("DisableKey", m{"KeyId": id})
	for _, c := range calls {
		w.fails("DisabledException", arn+" is disabled.", c.operation, c.request)
	}
	w.must("ScheduleKeyDeletion", m{"KeyId": id})
	for _, c := range calls {
		w.fails("KMSInvalidStateException", arn+" is pending deletion.", c.operation, c.request)
	}
	w.must("CancelKeyDeletion", m{"KeyId": id})
	w.must("EnableKey", m{"KeyId": id})
	for _, c := range calls {
		delete(c.request, "DryRun")
		w.must(c.operation, c.request)
	}
}

func TestReEncrypt(t *testing.T) {
	w := newWorld(t)
	from, fromARN := w.newKey()
	to, toARN := w.newKey()
	blob := w.must("Encrypt", m{"KeyId": from, "Plaintext": b64("hello"), "EncryptionContext": m{"a": "1"}})["CiphertextBlob"]
	re := w.must("ReEncrypt", m{"CiphertextBlob": blob, "SourceEncryptionContext": m{"a": "1"}, "DestinationKeyId": to, "DestinationEncryptionContext": m{"b": "2"}})
	if re["SourceKeyId"] != fromARN || re["KeyId"] != toARN || re["SourceKeyMaterialId"] != w.metadata(from)["CurrentKeyMaterialId"] || re["DestinationKeyMaterialId"] != w.metadata(to)["CurrentKeyMaterialId"] {
		t.Errorf("ReEncrypt answered %v", re)
	}
	dec := w.must("Decrypt", m{"CiphertextBlob": re["CiphertextBlob"], "EncryptionContext": m{"b": "2"}})
	if got := string(unb64(t, dec["Plaintext"])); got != "hello" || dec["KeyId"] != toARN {
		t.Errorf("Decrypt answered %v", dec)
	}
	w.fails("InvalidCiphertextException", "", "ReEncrypt", m{"CiphertextBlob": blob, "DestinationKeyId": to})
	w.fails("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.", "ReEncrypt",
		m{"SourceKeyId": from, "DestinationKeyId": to, "DryRun": true, "DryRunModifiers": []string{"IGNORE_CIPHERTEXT"}})
}

func TestDataKeys(t *testing.T) {
	w := newWorld(t)
	id, arn := w.newKey()
	for _, c := range []struct {
		request m
		size    int
	}{
		{m{"KeySpec": "AES_128"}, 16}, {m{"KeySpec": "AES_256"}, 32}, {m{"NumberOfBytes": 1}, 1}, {m{"NumberOfBytes": 1024}, 1024},
	} {
		c.request["KeyId"] = id
		gen := w.must("GenerateDataKey", c.request)
		plain := unb64(t, gen["Plaintext"])
		if len(plain) != c.size || gen["KeyId"] != arn || gen["KeyMaterialId"] != w.metadata(id)["CurrentKeyMaterialId"] {
			t.Errorf("GenerateDataKey %v answered %v", c.request, gen)
		}
		dec := w.must("Decrypt", m{"CiphertextBlob": gen["CiphertextBlob"]})
		if !bytes.Equal(unb64(t, dec["Plaintext"]), plain) {
			t.Errorf("the data key of %v does not decrypt to itself", c.request)
		}
		without := w.must("GenerateDataKeyWithoutPlaintext", c.request)
		if _, ok := without["Plaintext"]; ok {
			t.Error("GenerateDataKeyWithoutPlaintext answered a plaintext")
		}
		if n := len(unb64(t, w.must("Decrypt", m{"CiphertextBlob": without["CiphertextBlob"]})["Plaintext"])); n != c.size {
			t.Errorf("data key of %d bytes, want %d", n, c.size)
		}
	}
	const both = "Please specify either number of bytes or key spec."
	w.fails("ValidationException", both, "GenerateDataKey", m{"KeyId": id})
	w.fails("ValidationException", both, "GenerateDataKey", m{"KeyId": id, "KeySpec": "AES_256", "NumberOfBytes": 32})
	w.fails("ValidationException", "1 validation error detected: Value '1025' at 'numberOfBytes' failed to satisfy constraint: Member must have value less than or equal to 1024", "GenerateDataKey", m{"KeyId": id, "NumberOfBytes": 1025})
	w.fails("ValidationException", "1 validation error detected: Value '0' at 'numberOfBytes' failed to satisfy constraint: Member must have value greater than or equal to 1", "GenerateDataKey", m{"KeyId": id, "NumberOfBytes": 0})
}

func TestGenerateRandom(t *testing.T) {
	w := newWorld(t)
	for _, n := range []int{1, 1024} {
		if got := len(unb64(t, w.must("GenerateRandom", m{"NumberOfBytes": n})["Plaintext"])); got != n {
			t.Errorf("GenerateRandom of %d bytes gave %d", n, got)
		}
	}
	w.fails("ValidationException", "NumberOfBytes is required.", "GenerateRandom", m{})
	w.fails("ValidationException", "1 validation error detected: Value '1025' at 'numberOfBytes' failed to satisfy constraint: Member must have value less than or equal to 1024", "GenerateRandom", m{"NumberOfBytes": 1025})
	w.fails("CustomKeyStoreNotFoundException", "...", "GenerateRandom", m{"NumberOfBytes": 1, "CustomKeyStoreId": "cks-1"})
}

func TestGrantTokensAreRefused(t *testing.T) {
	w := newWorld(t)
	id, _ := w.newKey()
	w.fails("InvalidGrantTokenException", "", "Encrypt", m{"KeyId": id, "Plaintext": b64("x"), "GrantTokens": []string{"made up"}})
}

func TestWrongAlgorithm(t *testing.T) {
	w := newWorld(t)
	id, _ := w.newKey()
	w.fails("InvalidKeyUsageException", "Algorithm RSAES_OAEP_SHA_256 is incompatible with key spec SYMMETRIC_DEFAULT.", "Encrypt", m{"KeyId": id, "Plaintext": b64("x"), "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"})
}
