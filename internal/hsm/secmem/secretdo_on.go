//go:build goexperiment.runtimesecret

package secmem

import "runtime/secret"

// Do calls f. In a build with GOEXPERIMENT=runtimesecret, such as this, the
// registers and stack that f used are erased when it returns, and what it
// allocated as soon as it is unreachable, on the systems where runtime/secret
// is supported.
func Do(f func()) { secret.Do(f) }
