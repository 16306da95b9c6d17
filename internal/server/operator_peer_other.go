//go:build !linux

package server

import "net"

// peerOf knows nothing here: the audit log then says only that an operator did
// it.
func peerOf(net.Conn) peer { return peer{} }
