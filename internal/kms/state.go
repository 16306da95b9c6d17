package kms

import (
	"github.com/keywright/keywright/internal/awsapi"
	"github.com/keywright/keywright/internal/kmsapi"
)

// checkEnabled refuses a key that cannot be used for cryptography now.
func checkEnabled(k *Key) error {
	switch k.state() {
	case kmsapi.KeyStatePendingDeletion:
		return pendingDeletion(k)
	case kmsapi.KeyStateDisabled:
		return awsapi.Errorf(kmsapi.CodeDisabledException, "%s is disabled.", k.arn)
	}
	return nil
}

// checkNotPending refuses a key that is pending deletion to operations that
// change it.
func checkNotPending(k *Key) error {
	if k.state() == kmsapi.KeyStatePendingDeletion {
		return pendingDeletion(k)
	}
	return nil
}

func pendingDeletion(k *Key) error {
	return awsapi.Errorf(kmsapi.CodeKMSInvalidStateException, "%s is pending deletion.", k.arn)
}

func notPendingDeletion(k *Key) error {
	return awsapi.Errorf(kmsapi.CodeKMSInvalidStateException, "%s is not pending deletion.", k.arn)
}

// checkUsage refuses a key that is not for encryption, or an algorithm that is
// not the key's.
func checkUsage(k *Key, operation string, algorithm kmsapi.EncryptionAlgorithmSpec) error {
	if k.Usage != kmsapi.KeyUsageTypeEncryptDecrypt {
		return awsapi.Errorf(kmsapi.CodeInvalidKeyUsageException, "%s key usage is %s which is not valid for %s.", k.arn, k.Usage, operation)
	}
	if algorithm != kmsapi.EncryptionAlgorithmSpecSymmetricDefault {
		return awsapi.Errorf(kmsapi.CodeInvalidKeyUsageException, "Algorithm %s is incompatible with key spec %s.", algorithm, k.Spec)
	}
	return nil
}

// dryRun ends a request that was only to be tried.
func dryRun(asked *bool) error {
	if asked != nil && *asked {
		return awsapi.Errorf(kmsapi.CodeDryRunOperationException, "The request would have succeeded, but the DryRun option is set.")
	}
	return nil
}

// checkGrantTokens refuses every grant token: no grant was ever issued here.
func checkGrantTokens(tokens []string) error {
	if len(tokens) > 0 {
		return awsapi.Errorf(kmsapi.CodeInvalidGrantTokenException, "")
	}
	return nil
}
