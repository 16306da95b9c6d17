package main

import (
	"context"
	"crypto/sha256"

	hierarchical "github.com/aws/aws-cryptographic-material-providers-library/releases/go/mpl/AwsKmsHierarchicalKeyring"
	"github.com/aws/aws-cryptographic-material-providers-library/releases/go/mpl/CanonicalEncryptionContext"
	"github.com/aws/aws-cryptographic-material-providers-library/releases/go/mpl/MaterialWrapping"
	mpl "github.com/aws/aws-cryptographic-material-providers-library/releases/go/mpl/awscryptographymaterialproviderssmithygenerated"
	mpltypes "github.com/aws/aws-cryptographic-material-providers-library/releases/go/mpl/awscryptographymaterialproviderssmithygeneratedtypes"
	"github.com/aws/aws-cryptographic-material-providers-library/releases/go/primitives/AtomicPrimitives"
	"github.com/aws/aws-cryptographic-material-providers-library/releases/go/smithy-dafny-standard-library/Wrappers"
	"github.com/dafny-lang/DafnyRuntimeGo/v4/dafny"
)

// The hierarchical keyring itself wants DynamoDB; what wraps and unwraps in it
// does not. The branch key is c.Key and its version versionOf(c).

func versionOf(c Case) []byte {
	sum := sha256.Sum256(c.Key)
	return sum[:16]
}

func crypto() *AtomicPrimitives.AtomicPrimitivesClient {
	config := AtomicPrimitives.Companion_Default___.DefaultCryptoConfig()
	return extract(AtomicPrimitives.Companion_Default___.AtomicPrimitives(config)).(*AtomicPrimitives.AtomicPrimitivesClient)
}

func sealHierarchical(client *mpl.Client, c Case) Case {
	m := must(client.InitializeEncryptionMaterials(context.Background(), mpltypes.InitializeEncryptionMaterialsInput{
		AlgorithmSuiteId: suiteID(c.Suite), EncryptionContext: nonNil(c.Context), RequiredEncryptionContextKeys: []string{},
	}))
	d := mpl.EncryptionMaterials_ToDafny(*m)
	aad := CanonicalEncryptionContext.Companion_Default___.EncryptionContextToAAD(d.Dtor_encryptionContext())
	w := hierarchical.New_KmsHierarchyWrapKeyMaterial_()
	w.Ctor__(dafny.SeqOfBytes(c.Key), dafny.SeqOfBytes([]byte(c.Name)), dafny.SeqOfBytes(versionOf(c)), crypto())
	out := extract(w.Invoke(MaterialWrapping.Companion_WrapInput_.Create_WrapInput_(
		dafny.SeqOfBytes(c.DataKey), d.Dtor_algorithmSuite(), d.Dtor_encryptionContext(), aad)).(Wrappers.Result))
	c.ProviderID, c.ProviderInfo = "aws-kms-hierarchy", []byte(c.Name)
	c.Ciphertext = dafny.ToByteArray(out.(MaterialWrapping.WrapOutput).Dtor_wrappedMaterial())
	return c
}

func openHierarchical(client *mpl.Client, c Case) []byte {
	m := must(client.InitializeDecryptionMaterials(context.Background(), mpltypes.InitializeDecryptionMaterialsInput{
		AlgorithmSuiteId: suiteID(c.Suite), EncryptionContext: nonNil(c.Context), RequiredEncryptionContextKeys: []string{},
	}))
	d := mpl.DecryptionMaterials_ToDafny(*m)
	aad := CanonicalEncryptionContext.Companion_Default___.EncryptionContextToAAD(d.Dtor_encryptionContext())
	w := hierarchical.New_KmsHierarchyUnwrapKeyMaterial_()
	w.Ctor__(dafny.SeqOfBytes(c.Key), dafny.SeqOfBytes(c.ProviderInfo), dafny.SeqOfBytes(versionOf(c)), crypto())
	out := extract(w.Invoke(MaterialWrapping.Companion_UnwrapInput_.Create_UnwrapInput_(
		dafny.SeqOfBytes(c.Ciphertext), d.Dtor_algorithmSuite(), d.Dtor_encryptionContext(), aad)).(Wrappers.Result))
	return dafny.ToByteArray(out.(MaterialWrapping.UnwrapOutput).Dtor_unwrappedMaterial())
}

func extract(r Wrappers.Result) any {
	if r.IsFailure() {
		panic(r.Dtor_error())
	}
	return r.Extract()
}
