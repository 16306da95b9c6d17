package awskms_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/keyring/awskms"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

// altered is a client whose requests and answers a test sees and changes.
type altered struct {
	awskms.Client
	tokens                     func(operation string, grantTokens []string)
	encrypt, generate, decrypt func(keyID **string, plaintext, ciphertext *[]byte)
}

func (a altered) GenerateDataKey(ctx context.Context, in *kms.GenerateDataKeyInput, o ...func(*kms.Options)) (*kms.GenerateDataKeyOutput, error) {
	a.see("GenerateDataKey", in.GrantTokens)
	out, err := a.Client.GenerateDataKey(ctx, in, o...)
	if err == nil && a.generate != nil {
		a.generate(&out.KeyId, &out.Plaintext, &out.CiphertextBlob)
	}
	return out, err
}

func (a altered) Encrypt(ctx context.Context, in *kms.EncryptInput, o ...func(*kms.Options)) (*kms.EncryptOutput, error) {
	a.see("Encrypt", in.GrantTokens)
	out, err := a.Client.Encrypt(ctx, in, o...)
	if err == nil && a.encrypt != nil {
		a.encrypt(&out.KeyId, nil, &out.CiphertextBlob)
	}
	return out, err
}

func (a altered) Decrypt(ctx context.Context, in *kms.DecryptInput, o ...func(*kms.Options)) (*kms.DecryptOutput, error) {
	a.see("Decrypt", in.GrantTokens)
	out, err := a.Client.Decrypt(ctx, in, o...)
	if err == nil && a.decrypt != nil {
		a.decrypt(&out.KeyId, &out.Plaintext, nil)
	}
	return out, err
}

func (a altered) see(operation string, tokens []string) {
	if a.tokens != nil {
		a.tokens(operation, tokens)
	}
}

func standIn(region string) standInMRKKMS { return standInMRKKMS{region, make([]byte, 32)} }

// A keyring trusts no answer that is not of the key it asked, or not as long as
// it must be.
func TestAnswersToEncrypt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(keyID **string, plaintext, ciphertext *[]byte)
		want   string
	}{
		{"another key", func(id **string, _, _ *[]byte) { *id = aws.String(mrkOther) }, "is of key " + mrkOther},
		{"an alias", func(id **string, _, _ *[]byte) { *id = aws.String(aliasEast) }, "no key ARN"},
		{"a bare id", func(id **string, _, _ *[]byte) { *id = aws.String("1234") }, "no key ARN"},
		{"no key", func(id **string, _, _ *[]byte) { *id = nil }, "no key ARN"},
		{"no ciphertext", func(_ **string, _, b *[]byte) { *b = nil }, "no ciphertext"},
		{"a short data key", func(_ **string, p, _ *[]byte) {
			if p != nil {
				*p = (*p)[:31]
			}
		}, "31 bytes, asked for were 32"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var plaintext []byte
			k := strict(altered{Client: standIn("us-east-1"), encrypt: c.change,
				generate: func(id **string, p, b *[]byte) { c.change(id, p, b); plaintext = *p }}, mrkEast)
			m := encryptionMaterials(suite.AES256GCMCommit)
			err := k.OnEncrypt(t.Context(), m)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("making a data key: %v, want %q", err, c.want)
			}
			if m.DataKey != nil || m.EncryptedDataKeys != nil {
				t.Error("the materials have changed in spite of an error")
			}
			if slices.ContainsFunc(plaintext, func(b byte) bool { return b != 0 }) {
				t.Error("the refused data key was not wiped")
			}
			if c.name == "a short data key" {
				return // Encrypt answers with none
			}
			m.DataKey = make([]byte, 32)
			err = k.OnEncrypt(t.Context(), m)
			if err == nil || !strings.Contains(err.Error(), c.want) || m.EncryptedDataKeys != nil {
				t.Errorf("wrapping a data key: %v, want %q", err, c.want)
			}
		})
	}
}

func TestAnswersToDecrypt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(keyID **string, plaintext, _ *[]byte)
		want   string
	}{
		{"another key", func(id **string, _, _ *[]byte) { *id = aws.String(mrkOther) }, "the answer is of key"},
		{"another replica", func(id **string, _, _ *[]byte) { *id = aws.String(mrkWest) }, "the answer is of key"},
		{"no key", func(id **string, _, _ *[]byte) { *id = nil }, "the answer is of key"},
		{"a short data key", func(_ **string, p, _ *[]byte) { *p = (*p)[:16] }, "16 bytes, the algorithm suite needs 32"},
		{"no data key", func(_ **string, p, _ *[]byte) { *p = nil }, "0 bytes, the algorithm suite needs 32"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := encrypt(t, strict(standIn("us-east-1"), mrkEast))
			var plaintext []byte
			client := altered{Client: standIn("us-east-1"), decrypt: func(id **string, p, b *[]byte) { c.change(id, p, b); plaintext = *p }}
			for name, k := range map[string]materials.Keyring{
				"strict":        strict(client, mrkEast),
				"MRK":           must(awskms.NewMRK(awskms.Config{Client: client, KeyID: mrkEast})),
				"discovery":     must(awskms.NewDiscovery(awskms.DiscoveryConfig{Client: client})),
				"MRK discovery": must(awskms.NewMRKDiscovery("us-east-1", awskms.DiscoveryConfig{Client: client})),
			} {
				if err := refuses(t, k, m); !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: %v, want %q", name, err, c.want)
				}
				if slices.ContainsFunc(plaintext, func(b byte) bool { return b != 0 }) {
					t.Errorf("%s: the refused data key was not wiped", name)
				}
			}
		})
	}
}

func TestWhichKeysAreTried(t *testing.T) {
	t.Parallel()
	m := encrypt(t, strict(standIn("us-east-1"), mrkEast))
	good := m.EncryptedDataKeys[0]
	bad := good
	bad.Ciphertext = []byte("not a ciphertext")
	other := materials.EncryptedDataKey{ProviderID: "aws-kms-hierarchy", ProviderInfo: []byte("branch"), Ciphertext: good.Ciphertext}
	similar := good
	similar.ProviderID = "AWS-KMS"
	elsewhere := good
	elsewhere.ProviderInfo = []byte(mrkOther)
	malformed := good
	malformed.ProviderInfo = []byte(aliasEast)
	mutilated := good
	mutilated.ProviderInfo = []byte{0xff, 0xfe}

	for _, c := range []struct {
		name     string
		keys     []materials.EncryptedDataKey
		opens    bool
		calls    int32
		attempts int
		want     string
	}{
		{"none", nil, false, 0, 0, "no encrypted data key of the message is for these keys"},
		{"another provider's", []materials.EncryptedDataKey{other, similar}, false, 0, 0, "no encrypted data key of the message is for these keys"},
		{"another key's", []materials.EncryptedDataKey{elsewhere, other}, false, 0, 1, "the keyring's key is " + mrkEast},
		{"in order", []materials.EncryptedDataKey{other, bad, elsewhere, good, bad}, true, 2, 0, ""},
		{"all tried are told of", []materials.EncryptedDataKey{bad, elsewhere, bad}, false, 2, 2, "InvalidCiphertextException"},
		{"an alias", []materials.EncryptedDataKey{good, malformed}, false, 0, 1, "not a key ARN"},
		{"no text", []materials.EncryptedDataKey{good, mutilated}, false, 0, 1, "not a key ARN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := &counting{Client: standIn("us-east-1")}
			m := *m
			m.EncryptedDataKeys = c.keys
			if c.opens {
				opens(t, strict(client, mrkEast), &m)
			} else if err := refuses(t, strict(client, mrkEast), &m); len(err.Attempts) != c.attempts || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%d attempts: %v; want %d and %q", len(err.Attempts), err, c.attempts, c.want)
			}
			if got := client.calls.Load(); got != c.calls {
				t.Errorf("%d calls, want %d", got, c.calls)
			}
			if strings.Contains(c.want, mrkEast) {
				return // a discovery keyring would ask
			}
			if discovery := must(awskms.NewDiscovery(awskms.DiscoveryConfig{Client: client})); c.opens {
				opens(t, discovery, &m)
			} else if err := refuses(t, discovery, &m); !strings.Contains(err.Error(), c.want) {
				t.Errorf("discovery: %v, want %q", err, c.want)
			}
		})
	}
}

// Materials that cannot be a message's are refused before the service is asked.
func TestBrokenMaterials(t *testing.T) {
	t.Parallel()
	client := &counting{Client: standIn("us-east-1")}
	k := strict(client, mrkEast)
	m := encrypt(t, k)
	d := decryptionMaterials(m)
	d.DataKey = []byte("there already")
	if err := k.OnDecrypt(t.Context(), d, m.EncryptedDataKeys); !errors.Is(err, keyring.ErrHasDataKey) || string(d.DataKey) != "there already" {
		t.Errorf("decrypting with a data key: %v, want ErrHasDataKey", err)
	}
	d = &materials.DecryptionMaterials{}
	if err := k.OnDecrypt(t.Context(), d, m.EncryptedDataKeys); !errors.Is(err, materials.ErrUnknownSuite) {
		t.Errorf("decrypting without a suite: %v, want ErrUnknownSuite", err)
	}
	d = decryptionMaterials(m)
	d.EncryptionContext = map[string]string{"tenant": "\xff"}
	if err := k.OnDecrypt(t.Context(), d, m.EncryptedDataKeys); !errors.Is(err, materials.ErrContextInvalid) {
		t.Errorf("decrypting with a context that is not UTF-8: %v, want ErrContextInvalid", err)
	}
	if got := client.calls.Load(); got != 0 {
		t.Errorf("%d calls", got)
	}
	if _, err := awskms.New(awskms.Config{KeyID: mrkEast}); err == nil {
		t.Error("a keyring was made without a client")
	}
	short := encryptionMaterials(suite.AES256GCMCommit)
	short.DataKey = make([]byte, 16)
	if err := k.OnEncrypt(t.Context(), short); err == nil || len(short.EncryptedDataKeys) != 0 {
		t.Errorf("a data key of 16 bytes was wrapped for a suite of 32: %v", err)
	}
}

func TestGrantTokens(t *testing.T) {
	t.Parallel()
	var seen []string
	client := altered{Client: standIn("us-east-1"), tokens: func(op string, tokens []string) {
		seen = append(seen, op+" "+strings.Join(tokens, ","))
	}}
	tokens := []string{"one", "two"}
	k := must(awskms.New(awskms.Config{Client: client, KeyID: mrkEast, GrantTokens: tokens}))
	d := must(awskms.NewDiscovery(awskms.DiscoveryConfig{Client: client, GrantTokens: tokens}))
	tokens[0] = "changed"
	m := encrypt(t, k)
	if err := k.OnEncrypt(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	opens(t, k, m)
	opens(t, d, m)
	want := []string{"GenerateDataKey one,two", "Encrypt one,two", "Decrypt one,two", "Decrypt one,two"}
	if !slices.Equal(seen, want) {
		t.Errorf("the service saw %q, want %q", seen, want)
	}
	for _, tokens := range [][]string{make([]string, 11), {""}} {
		if _, err := awskms.New(awskms.Config{Client: client, KeyID: mrkEast, GrantTokens: tokens}); err == nil {
			t.Errorf("grant tokens %q were taken", tokens)
		}
	}
}
