package awsencryptioncli

// Raw returns what stands on a command line, by the names that argparse gives
// it, before what it means is looked at.
func Raw(args []string, env Environment) (map[string]any, error) {
	args, err := expandFiles(args, env)
	if err != nil {
		return nil, err
	}
	p := &parse{grammar: grammar, raw: new(raw), seen: map[*flag]bool{}}
	if err := p.run(args); err != nil {
		return nil, err
	}
	r := p.raw
	return map[string]any{
		"action": r.action, "suppress": r.suppress, "metadata_output": r.metadata, "overwrite_metadata": r.overwrite,
		"wrapping_keys": r.wrappingKeys, "commitment_policy": r.commitmentPolicy, "caching": r.caching,
		"input": r.input, "output": r.output, "encryption_context": r.context,
		"required_encryption_context_keys": r.requiredKeys, "algorithm": r.algorithm, "frame_length": r.frameLength,
		"max_length": r.maxLength, "max_encrypted_data_keys": r.maxKeys, "suffix": r.suffix, "verbosity": r.verbosity,
		"misspelt": r.misspelt, "buffer": r.buffer, "encode": r.encode, "decode": r.decode,
		"interactive": r.interactive, "no_overwrite": r.noOverwrite, "recursive": r.recursive, "quiet": r.quiet,
	}, nil
}

// Int, Float and Quote are what Python's int, float and repr do.
var (
	Int   = parseInt
	Float = parseFloat
	Quote = quote
)

// Names returns the names of all flags, traps among them.
func Names() []string { return grammar.names }
