// Package interop holds no code: its tests exchange messages, and the branch keys
// of hierarchical keyrings, between the Encryption SDK of this repository and the
// official ones, for Go and for JavaScript, in both directions. They answer one
// question, whether others read what we write and we what they write; how the
// library behaves otherwise is tested beside it.
//
// It is a module of its own because the official implementations bring large
// dependencies, which nobody who uses the library should have to download.
package interop
