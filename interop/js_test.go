package interop_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/keyring"
	"github.com/keywright/keywright/esdk/keyring/awskms"
	"github.com/keywright/keywright/esdk/materials"
	"github.com/keywright/keywright/esdk/suite"
)

func jsAES(key []byte) description {
	return description{"kind": "aes", "namespace": namespace, "name": keyName, "key": key}
}

func jsKMS(arns ...string) description {
	return description{"kind": "kms", "service": jsService(), "keyIds": arns}
}

func jsService() map[string]string {
	return map[string]string{
		"endpoint": server.Endpoint, "accessKeyId": server.AccessKeyID, "secretAccessKey": server.SecretAccessKey,
	}
}

func TestJavaScriptKinds(t *testing.T) {
	key := aesKey(32)
	exchangeKinds(t, startJavaScript(t), symmetric("", using(keyring.NewRawAES(namespace, keyName, key)), jsAES(key)))
}

func TestJavaScriptRawAES(t *testing.T) {
	var pairs []pair[description]
	for _, length := range []int{16, 24, 32} {
		key := aesKey(length)
		pairs = append(pairs, symmetric(fmt.Sprint(length*8), using(keyring.NewRawAES(namespace, keyName, key)), jsAES(key)))
	}
	exchangeAll(t, startJavaScript(t), pairs)
}

func TestJavaScriptRawRSA(t *testing.T) {
	var pairs []pair[description]
	for _, c := range []struct {
		padding keyring.Padding
		hash    string
	}{
		{keyring.PKCS1v15, ""},
		{keyring.OAEPSHA1, "sha1"},
		{keyring.OAEPSHA256, "sha256"},
		{keyring.OAEPSHA384, "sha384"},
		{keyring.OAEPSHA512, "sha512"},
	} {
		pairs = append(pairs, symmetric(c.padding.String(),
			using(keyring.NewRawRSA(keyring.RawRSAConfig{
				Namespace: namespace, Name: keyName, Padding: c.padding, PublicKey: &rsaKey().PublicKey, PrivateKey: rsaKey(),
			})),
			description{
				"kind": "rsa", "namespace": namespace, "name": keyName, "oaepHash": c.hash,
				"publicKey": string(publicPEM(&rsaKey().PublicKey)), "privateKey": string(privatePEM(rsaKey())),
			}))
	}
	exchangeAll(t, startJavaScript(t), pairs)
}

func TestJavaScriptKMS(t *testing.T) {
	one, other := newKMSKey(t, symmetricKey), newKMSKey(t, symmetricKey)
	ours := must(awskms.New(awskms.Config{Client: kmsClient(region), KeyID: one}))
	ourOther := must(awskms.New(awskms.Config{Client: kmsClient(region), KeyID: other}))
	exchangeAll(t, startJavaScript(t), []pair[description]{
		symmetric("strict", esdk.Using(ours), jsKMS(one)),
		{
			name:      "discovery",
			ourWriter: esdk.Using(ours),
			ourReader: using(awskms.NewDiscovery(awskms.DiscoveryConfig{
				Client: kmsClient(region), Filter: &awskms.Filter{Partition: "aws", Accounts: []string{server.Account}},
			})),
			theirWriter: jsKMS(one),
			theirReader: description{"kind": "kmsDiscovery", "service": jsService(), "account": server.Account},
		},
		{
			name:        "two keys, read with the second",
			ourWriter:   using(keyring.NewMulti(ours, ourOther)),
			ourReader:   esdk.Using(ourOther),
			theirWriter: jsKMS(one, other),
			theirReader: jsKMS(other),
		},
	})
}

func TestJavaScriptKMSMultiRegion(t *testing.T) {
	primary, replica := newMultiRegionKey(t)
	ours := func(arn, region string) materials.Manager {
		return using(awskms.NewMRK(awskms.Config{Client: kmsClient(region), KeyID: arn}))
	}
	their := func(arn, region string) description {
		return description{"kind": "kmsMultiRegion", "service": jsService(), "keyId": arn, "region": region}
	}
	exchangeAll(t, startJavaScript(t), []pair[description]{{
		name:        "read with the replica",
		ourWriter:   ours(primary, region),
		ourReader:   ours(replica, replicaRegion),
		theirWriter: their(primary, region),
		theirReader: their(replica, replicaRegion),
	}})
}

// TestJavaScriptCaching has both sides reuse data keys.
func TestJavaScriptCaching(t *testing.T) {
	const perKey = 3
	arn := newKMSKey(t, symmetricKey)
	theirKeys := (cachedMessages + perKey - 1) / perKey
	exchangeCached(t, startJavaScript(t), arn, perKey, theirKeys, func(s suite.Suite) description {
		// Differing in the suite, each has a cache of its own.
		return description{"kind": "caching", "of": jsKMS(arn), "maxAge": time.Hour.Milliseconds(), "maxMessages": perKey, "suite": s.ID}
	})
}
