package aead

// Seams for the tests of what Seal and Open are made of.
var (
	DeriveKeys = deriveKeys
	SealWithN  = seal
	NewGCM     = newGCM
)
