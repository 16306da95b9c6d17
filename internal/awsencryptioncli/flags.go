package awsencryptioncli

import "slices"

// raw is what stands on the command line, before what it means is looked at.
type raw struct {
	action           Action
	metadata         *string
	suppress         bool
	overwrite        bool
	wrappingKeys     [][]string
	commitmentPolicy string
	caching          []string
	input, output    *string
	context          []string
	requiredKeys     []string
	algorithm        *string
	frameLength      *int64
	maxLength        *int64
	maxKeys          *int64
	suffix           *string
	verbosity        int
	misspelt         string // a long flag with one dash
	buffer, encode   bool
	decode           bool
	interactive      bool
	noOverwrite      bool
	recursive, quiet bool
}

// grammar is the command line of aws-encryption-cli 4.3.
var grammar = newGrammar()

func newGrammar() *parser {
	g := &parser{byName: map[string]*flag{}}
	g.flag(none, doing(ShowHelp), "-h", "--help")

	version := g.grouped(none, doing(ShowVersion), "--version")
	encrypt := g.grouped(none, doing(Encrypt), "-e", "--encrypt")
	decrypt := g.grouped(none, doing(Decrypt), "-d", "--decrypt")
	unsigned := g.grouped(none, doing(DecryptUnsigned), "--decrypt-unsigned")
	suppress := g.grouped(none, func(r *raw, _ string, _ []string) error { r.suppress = true; return nil }, "-S", "--suppress-metadata")
	metadata := g.grouped(one, func(r *raw, _ string, v []string) error { r.metadata = &v[0]; return nil }, "--metadata-output")
	g.groups = []group{{[]*flag{version, encrypt, decrypt, unsigned}, true}, {[]*flag{suppress, metadata}, true}}

	g.flag(none, on(func(r *raw) *bool { return &r.overwrite }), "--overwrite-metadata")
	keys := g.flag(several, func(r *raw, _ string, v []string) error { r.wrappingKeys = append(r.wrappingKeys, v); return nil }, "-w", "--wrapping-keys")
	keys.required = true
	g.policy("--commitment-policy")
	g.flag(several, list(func(r *raw) *[]string { return &r.caching }), "--caching")
	g.flag(none, on(func(r *raw) *bool { return &r.buffer }), "-b", "--buffer")
	g.flag(one, text(func(r *raw) **string { return &r.input }), "-i", "--input").required = true
	g.flag(one, text(func(r *raw) **string { return &r.output }), "-o", "--output").required = true
	g.flag(none, on(func(r *raw) *bool { return &r.encode }), "--encode")
	g.flag(none, on(func(r *raw) *bool { return &r.decode }), "--decode")
	g.flag(several, list(func(r *raw) *[]string { return &r.context }), "-c", "--encryption-context")
	g.flag(several, list(func(r *raw) *[]string { return &r.requiredKeys }), "--required-encryption-context-keys")
	g.algorithm("--algorithm")
	g.number(func(r *raw) **int64 { return &r.frameLength }, "--frame-length")
	g.number(func(r *raw) **int64 { return &r.maxLength }, "--max-length")
	g.number(func(r *raw) **int64 { return &r.maxKeys }, "--max-encrypted-data-keys")
	g.flag(optional, text(func(r *raw) **string { return &r.suffix }), "--suffix")
	g.flag(none, on(func(r *raw) *bool { return &r.interactive }), "--interactive")
	g.flag(none, on(func(r *raw) *bool { return &r.noOverwrite }), "--no-overwrite")
	g.flag(none, on(func(r *raw) *bool { return &r.recursive }), "-r", "-R", "--recursive")
	g.flag(none, func(r *raw, _ string, _ []string) error { r.verbosity++; return nil }, "-v")
	g.flag(none, on(func(r *raw) *bool { return &r.quiet }), "-q", "--quiet")
	return g
}

// flag declares a flag, and with it a trap for each of its long names written
// with one dash.
func (g *parser) flag(takes arity, store func(*raw, string, []string) error, names ...string) *flag {
	f, traps := newFlag(takes, store, names)
	g.add(append(traps, f)...)
	return f
}

// grouped declares a flag of a group. Its traps come after it, which shows only
// in what errors say of ambiguous arguments.
func (g *parser) grouped(takes arity, store func(*raw, string, []string) error, names ...string) *flag {
	f, traps := newFlag(takes, store, names)
	g.add(f)
	g.add(traps...)
	return f
}

func newFlag(takes arity, store func(*raw, string, []string) error, names []string) (f *flag, traps []*flag) {
	for _, name := range names {
		if len(name) > 2 {
			traps = append(traps, &flag{names: []string{name[1:]}, store: func(r *raw, name string, _ []string) error {
				r.misspelt = name
				return nil
			}})
		}
	}
	return &flag{names: names, takes: takes, store: store}, traps
}

func (g *parser) add(flags ...*flag) {
	for _, f := range flags {
		g.flags = append(g.flags, f)
		for _, name := range f.names {
			g.names = append(g.names, name)
			g.byName[name] = f
		}
	}
}

func doing(a Action) func(*raw, string, []string) error {
	return func(r *raw, _ string, _ []string) error { r.action = a; return nil }
}

func on(field func(*raw) *bool) func(*raw, string, []string) error {
	return func(r *raw, _ string, _ []string) error { *field(r) = true; return nil }
}

// text, list and number store what may be given once.
func text(field func(*raw) **string) func(*raw, string, []string) error {
	return func(r *raw, name string, v []string) error {
		if *field(r) != nil {
			return twice(name)
		}
		value := ""
		if len(v) > 0 {
			value = v[0]
		}
		*field(r) = &value
		return nil
	}
}

func list(field func(*raw) *[]string) func(*raw, string, []string) error {
	return func(r *raw, name string, v []string) error {
		if *field(r) != nil {
			return twice(name)
		}
		*field(r) = v
		return nil
	}
}

func (g *parser) number(field func(*raw) **int64, name string) {
	var f *flag
	f = g.flag(one, func(r *raw, name string, v []string) error {
		n, ok := parseInt(v[0])
		if !ok {
			return f.errorf("invalid int value: %s", quote(v[0]))
		}
		if *field(r) != nil {
			return twice(name)
		}
		*field(r) = &n
		return nil
	}, name)
}

func (g *parser) policy(name string) {
	var f *flag
	f = g.flag(one, func(r *raw, _ string, v []string) error {
		if !slices.Contains(CommitmentPolicies, v[0]) {
			return f.errorf("invalid CommitmentPolicyArgs value: %s", quote(v[0]))
		}
		r.commitmentPolicy = v[0]
		return nil
	}, name)
}

func (g *parser) algorithm(name string) {
	var f *flag
	store := text(func(r *raw) **string { return &r.algorithm })
	f = g.flag(one, func(r *raw, name string, v []string) error {
		if !slices.Contains(Algorithms, v[0]) {
			return f.errorf("invalid choice: %s (choose from %s)", quote(v[0]), quoteAll(Algorithms))
		}
		return store(r, name, v)
	}, name)
}

func twice(name string) error {
	return &UsageError{name + " argument may not be specified more than once"}
}
