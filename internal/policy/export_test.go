package policy

// CompileWildcard compiles a pattern as policies write it.
func CompileWildcard(pattern string) string { return wildcards.Replace(pattern) }

// MatchCompiled matches s against a compiled pattern.
var MatchCompiled = matchWildcard

// MatchWildcard does both.
func MatchWildcard(pattern, s string, fold bool) bool {
	return MatchCompiled(CompileWildcard(pattern), s, fold)
}
