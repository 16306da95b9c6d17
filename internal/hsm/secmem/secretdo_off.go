//go:build !goexperiment.runtimesecret

package secmem

// Do calls f. In a build with GOEXPERIMENT=runtimesecret it also erases what f
// leaves in registers, on the stack and on the heap; this build is without.
func Do(f func()) { f() }
