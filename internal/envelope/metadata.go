package envelope

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"slices"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/materials"
)

// Metadata writes a record of each file to w: a JSON object on a line of its
// own, in the form of aws-encryption-cli 4.3 with what that does not tell: the
// members status and, where there are such, method and error. It is called when the
// outcome is known. What a failed file's record says of the header was not
// verified.
func (w *Work) Metadata(dst io.Writer, r Result) error {
	record := map[string]any{
		"mode":   w.modeName(),
		"input":  fullPath(r.Input, "<stdin>"),
		"output": fullPath(r.Output, "<stdout>"),
		"status": r.Status.String(),
	}
	if r.Header != nil {
		record["header"] = headerRecord(r.Header, r.Raw)
		if iv, tag := headerAuth(r.Header, r.Raw); tag != nil && w.Mode != Encrypt {
			record["header_auth"] = map[string]any{"iv": base64Of(iv), "tag": base64Of(tag)}
		}
	}
	if mismatch, ok := errors.AsType[*ContextError](r.Err); ok {
		record["skipped"] = true
		record["reason"] = "Missing encryption context key or value"
		record["missing_encryption_context_keys"] = append([]string{}, mismatch.Keys...)
		record["missing_encryption_context_pairs"] = mismatch.Pairs
	}
	if r.Status == Skipped {
		record["skipped"] = true
		record["reason"] = r.Reason
	}
	if r.Method != "" {
		record["method"] = r.Method
	}
	if r.Err != nil {
		record["error"] = r.Err.Error()
	}
	enc := json.NewEncoder(dst) // which sorts a map's keys
	enc.SetEscapeHTML(false)
	return enc.Encode(record)
}

func (w *Work) modeName() string {
	switch {
	case w.Mode == Encrypt:
		return "encrypt"
	case w.Mode == Verify:
		return "verify"
	case w.Mode == Rekey:
		return "rekey"
	case w.DecryptOptions.UnsignedOnly:
		return "decrypt-unsigned"
	}
	return "decrypt"
}

func fullPath(path, stdio string) any {
	switch path {
	case "":
		return nil
	case Stdio:
		return stdio
	}
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return path
}

func headerRecord(h *esdk.Header, raw []byte) map[string]any {
	record := map[string]any{
		"algorithm":           h.Suite.Name,
		"commitment_key":      nil,
		"content_type":        2,
		"encrypted_data_keys": keyRecords(h.EncryptedDataKeys),
		"encryption_context":  h.EncryptionContext,
		"frame_length":        h.FrameLength,
		"header_iv_length":    nil,
		"message_id":          base64Of(h.MessageID),
		"type":                nil,
		"version":             "2.0",
	}
	if h.FrameLength == 0 {
		record["content_type"] = 1
	}
	if h.Version == 1 {
		record["version"], record["type"], record["header_iv_length"] = "1.0", 128, ivLength
	} else if len(raw) >= commitmentLength+tagLength {
		end := len(raw) - tagLength
		record["commitment_key"] = base64Of(raw[end-commitmentLength : end])
	}
	return record
}

// How a header ends: version 1 with an IV and a tag, version 2 with a commitment
// and a tag. Source: the AWS Encryption SDK specification, "Message Header".
const (
	ivLength         = 12
	tagLength        = 16
	commitmentLength = 32
)

// headerAuth returns nils if raw is not the whole header. Version 2 has an IV of
// zeros, which it does not store.
func headerAuth(h *esdk.Header, raw []byte) (iv, tag []byte) {
	if len(raw) < ivLength+tagLength {
		return nil, nil
	}
	end := len(raw) - tagLength
	if h.Version != 1 {
		return make([]byte, ivLength), raw[end:]
	}
	return raw[end-ivLength : end], raw[end:]
}

func keyRecords(keys []materials.EncryptedDataKey) []any {
	sorted := slices.SortedFunc(slices.Values(keys), func(a, b materials.EncryptedDataKey) int {
		return cmp.Or(cmp.Compare(a.ProviderID, b.ProviderID), slices.Compare(a.ProviderInfo, b.ProviderInfo))
	})
	records := make([]any, len(sorted))
	for i, k := range sorted {
		records[i] = map[string]any{
			"encrypted_data_key": base64Of(k.Ciphertext),
			"key_provider":       map[string]any{"provider_id": base64Of([]byte(k.ProviderID)), "key_info": base64Of(k.ProviderInfo)},
		}
	}
	return records
}

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
