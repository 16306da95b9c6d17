package sigv4

// CanonicalRequest returns what Verify hashes, for benchmarks to know its size.
func (s *Signed) CanonicalRequest(bodyHash [32]byte) []byte {
	canonical, _ := appendCanonicalRequest(nil, &s.req, s.Service, s.signedHeaders, &bodyHash)
	return canonical
}
