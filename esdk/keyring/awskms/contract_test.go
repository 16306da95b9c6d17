package awskms_test

import (
	"context"
	"crypto/ecdh"
	"log/slog"
	"testing"

	"github.com/keywright/keywright/esdk/keyring/awskms"
	"github.com/keywright/keywright/esdk/keyring/keyringtest"
	"github.com/keywright/keywright/kmstest"
)

// All keyrings keep the contract of materials.Keyring.
func TestContract(t *testing.T) {
	t.Parallel()
	// Thousands of ciphertexts are refused, and the log would tell of each.
	srv := kmstest.NewServerConfig(t, kmstest.Config{Log: slog.New(slog.DiscardHandler)})
	client := newClient(srv, srv.Credentials, srv.Region)
	key, second := createKey(t, client), createKey(t, client)
	slow := keyringtest.Options{FlipEvery: 101} // each try is a call of the server
	t.Run("strict", func(t *testing.T) { keyringtest.Run(t, strict(client, key), slow) })
	t.Run("discovery", func(t *testing.T) {
		createAlias(t, client, key)
		o := slow
		o.Reader = must(awskms.NewDiscovery(awskms.DiscoveryConfig{Client: client}))
		keyringtest.Run(t, strict(client, "alias/app"), o)
	})
	t.Run("multi", func(t *testing.T) {
		o := slow
		o.AlwaysGenerate = true
		keyringtest.Run(t, must(awskms.NewMulti(t.Context(), awskms.MultiConfig{
			Clients: func(context.Context, string) (awskms.Client, error) { return client, nil }, Generator: key, KeyIDs: []string{second},
		})), o)
	})
	// With a key of one Region, since of a multi-Region key's ARN the Region may
	// be changed.
	t.Run("MRK", func(t *testing.T) {
		o := slow
		o.Reader = must(awskms.NewMRKDiscovery(srv.Region, awskms.DiscoveryConfig{Client: client}))
		k := must(awskms.NewMRK(awskms.Config{Client: client, KeyID: key}))
		keyringtest.Run(t, k, slow)
		keyringtest.Run(t, k, o)
	})
	t.Run("RSA", func(t *testing.T) {
		keyringtest.Run(t, must(awskms.NewRSA(awskms.RSAConfig{
			KeyID: keyEast, PublicKey: &rsaKey().PublicKey, Client: standInRSAKMS{keyEast, rsaKey()},
		})), keyringtest.Options{FlipEvery: 31})
	})
	t.Run("ECDH", func(t *testing.T) {
		alice, bob := newStandInECDHKMS(ecdh.P256(), keyEast), newStandInECDHKMS(ecdh.P256(), keyWest)
		toBob := newECDH(t, bob.key.PublicKey(), alice)
		keyringtest.Run(t, toBob, keyringtest.Options{FlipEvery: 7})
		keyringtest.Run(t, toBob, keyringtest.Options{FlipEvery: 7, Reader: must(awskms.NewECDHDiscovery(t.Context(), awskms.ECDHConfig{Client: bob, KeyID: keyWest}))})
	})
}
