package cli

// Glob returns what a pattern of Python's glob matches.
func Glob(pattern string) ([]string, error) { return globPaths(pattern) }

// GlobPattern writes a pattern of Python's glob as filepath.Glob takes it.
func GlobPattern(pattern string) string { return globPattern(pattern) }

// PythonJSON writes what was decoded from JSON, with numbers as they stood, as
// Python's json.dumps does.
func PythonJSON(value any) string { return string(appendPythonJSON(nil, value)) }
