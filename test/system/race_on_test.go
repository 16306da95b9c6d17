//go:build race

package system_test

// buildFlags make the binary like the test: with -race both have the detector.
var buildFlags = []string{"-race"}
