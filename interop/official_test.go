package interop_test

import (
	"context"
	"fmt"

	mpl "github.com/aws/aws-cryptographic-material-providers-library/releases/go/mpl/awscryptographymaterialproviderssmithygenerated"
	mpltypes "github.com/aws/aws-cryptographic-material-providers-library/releases/go/mpl/awscryptographymaterialproviderssmithygeneratedtypes"
	officialesdk "github.com/aws/aws-encryption-sdk/releases/go/encryption-sdk/awscryptographyencryptionsdksmithygenerated"
	officialtypes "github.com/aws/aws-encryption-sdk/releases/go/encryption-sdk/awscryptographyencryptionsdksmithygeneratedtypes"

	"github.com/keywright/keywright/esdk/materials"
)

// official is the official Encryption SDK for Go.
type official struct{}

// A manager is a materials manager of the official implementation.
type manager = mpltypes.ICryptographicMaterialsManager

func (official) client(m message) (*officialesdk.Client, error) {
	policy := mpltypes.ESDKCommitmentPolicyRequireEncryptRequireDecrypt
	if m.policy() == materials.ForbidEncryptAllowDecrypt {
		policy = mpltypes.ESDKCommitmentPolicyForbidEncryptAllowDecrypt
	}
	// Messages that only a bug of another implementation explains must not pass.
	forbid := officialtypes.NetV4_0_0_RetryPolicyForbidRetry
	return officialesdk.NewClient(officialtypes.AwsEncryptionSdkConfig{CommitmentPolicy: &policy, NetV4_0_0_RetryPolicy: &forbid})
}

func (o official) encrypt(ctx context.Context, keyring manager, m message) ([]byte, error) {
	client, err := o.client(m)
	if err != nil {
		return nil, err
	}
	in := officialtypes.EncryptInput{
		Plaintext:         m.plaintext,
		EncryptionContext: m.context,
		MaterialsManager:  keyring,
	}
	if m.suite.ID != 0 {
		id := mpltypes.ESDKAlgorithmSuiteId(fmt.Sprintf("0x%04X", uint16(m.suite.ID)))
		in.AlgorithmSuiteId = &id
	}
	if m.frameLength != 0 {
		length := int64(m.frameLength)
		in.FrameLength = &length
	}
	out, err := client.Encrypt(ctx, in)
	if err != nil {
		return nil, err
	}
	return out.Ciphertext, nil
}

func (o official) decrypt(ctx context.Context, keyring manager, m message, ciphertext []byte) ([]byte, map[string]string, error) {
	client, err := o.client(m)
	if err != nil {
		return nil, nil, err
	}
	out, err := client.Decrypt(ctx, officialtypes.DecryptInput{
		Ciphertext:        ciphertext,
		EncryptionContext: m.reproduced,
		MaterialsManager:  keyring,
	})
	if err != nil {
		return nil, nil, err
	}
	return out.Plaintext, out.EncryptionContext, nil
}

// providers makes the official keyrings and managers.
var providers = func() *mpl.Client {
	client, err := mpl.NewClient(mpltypes.MaterialProvidersConfig{})
	if err != nil {
		panic(err)
	}
	return client
}()
