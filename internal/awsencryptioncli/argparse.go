package awsencryptioncli

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// flag is one option of the command line.
type flag struct {
	names    []string // as errors show them
	takes    arity
	required bool
	// store puts the values into r. The name is the one that was used, in full.
	store func(r *raw, name string, values []string) error
}

// arity is how many arguments a flag takes.
type arity uint8

const (
	none arity = iota
	one
	optional // one, if one follows
	several  // at least one, and all that follow up to the next flag
)

// display is how errors name a flag.
func (f *flag) display() string { return strings.Join(f.names, "/") }

func (f *flag) errorf(format string, args ...any) error {
	return &UsageError{"argument " + f.display() + ": " + fmt.Sprintf(format, args...)}
}

// parser is a grammar: flags, by name, and what excludes what.
type parser struct {
	flags  []*flag
	names  []string // of all flags, in the order in which they were declared
	byName map[string]*flag
	groups []group
}

// group is flags of which one may be given, and if required must be.
type group struct {
	flags    []*flag
	required bool
}

// match is a flag that an argument may be.
type match struct {
	flag *flag // nil: it looks like a flag, and is none
	name string
	// value is what stands in the same argument, if hasValue.
	value    string
	hasValue bool
}

// parse is one reading of a command line.
type parse struct {
	grammar *parser
	raw     *raw
	args    []string
	matches []*match // for each argument; nil: it is a value
	ended   int      // index of the -- after which all are values; len(args) if there is none
	seen    map[*flag]bool
	extras  []string
}

// run reads args. It first tells flags from values, for all of them, and then
// gives each flag its values, so the errors of the former come first.
func (p *parse) run(args []string) error {
	p.args, p.ended = args, len(args)
	p.matches = make([]*match, len(args))
	for i, arg := range args {
		if arg == "--" {
			p.ended = i
			break
		}
		m, err := p.grammar.classify(arg)
		if err != nil {
			return err
		}
		p.matches[i] = m
	}
	for at := 0; at < len(args) && p.raw.action != ShowVersion && p.raw.action != ShowHelp; {
		if p.matches[at] == nil {
			p.extras = append(p.extras, args[at])
			at++
			continue
		}
		next, err := p.consume(at)
		if err != nil {
			return err
		}
		at = next
	}
	if p.raw.action == ShowVersion || p.raw.action == ShowHelp {
		return nil
	}
	return p.complete()
}

var negativeNumber = regexp.MustCompile(`^-(\d+|\d*\.\d+)$`)

// classify tells what an argument is: a flag or, with nil, a value.
func (g *parser) classify(arg string) (*match, error) {
	if len(arg) < 2 || arg[0] != '-' {
		return nil, nil
	}
	if f, ok := g.byName[arg]; ok {
		return &match{flag: f, name: arg}, nil
	}
	if name, value, ok := strings.Cut(arg, "="); ok {
		if f, ok := g.byName[name]; ok {
			return &match{f, name, value, true}, nil
		}
	}
	switch found := g.abbreviated(arg); len(found) {
	case 0:
	case 1:
		return &found[0], nil
	default:
		names := make([]string, len(found))
		for i, m := range found {
			names[i] = m.name
		}
		return nil, &UsageError{"ambiguous option: " + arg + " could match " + strings.Join(names, ", ")}
	}
	if negativeNumber.MatchString(arg) || strings.Contains(arg, " ") {
		return nil, nil
	}
	return &match{}, nil
}

// abbreviated returns the flags that arg may be the beginning of, or, where it
// has one dash, a one-letter flag with something after it.
func (g *parser) abbreviated(arg string) (found []match) {
	if strings.HasPrefix(arg, "--") {
		prefix, value, hasValue := strings.Cut(arg, "=")
		for _, name := range g.names {
			if strings.HasPrefix(name, prefix) {
				found = append(found, match{g.byName[name], name, value, hasValue})
			}
		}
		return found
	}
	_, size := utf8.DecodeRuneInString(arg[1:])
	short, tail := arg[:1+size], arg[1+size:]
	for _, name := range g.names {
		if name == short {
			found = append(found, match{g.byName[name], name, tail, true})
		} else if strings.HasPrefix(name, arg) {
			found = append(found, match{flag: g.byName[name], name: name})
		}
	}
	return found
}

// use is a flag with its values.
type use struct {
	flag   *flag
	name   string
	values []string
}

// consume takes the flags in the argument at an index and the values that follow
// it. It returns the index of the argument after those.
func (p *parse) consume(at int) (next int, err error) {
	m := *p.matches[at]
	if m.flag == nil {
		p.extras = append(p.extras, p.args[at])
		return at + 1, nil
	}
	var uses []use
	for m.hasValue && m.flag.takes == none {
		// -abc is -a -b -c.
		if strings.HasPrefix(m.name, "--") || m.value == "" {
			return 0, m.flag.errorf("ignored explicit argument %s", quote(m.value))
		}
		uses = append(uses, use{m.flag, m.name, nil})
		_, size := utf8.DecodeRuneInString(m.value)
		name := "-" + m.value[:size]
		f, ok := p.grammar.byName[name]
		if !ok {
			return 0, m.flag.errorf("ignored explicit argument %s", quote(m.value))
		}
		m = match{f, name, m.value[size:], len(m.value) > size}
	}
	next = at + 1
	switch {
	case m.hasValue:
		uses = append(uses, use{m.flag, m.name, []string{m.value}})
	default:
		count, err := m.flag.count(p.values(next))
		if err != nil {
			return 0, err
		}
		next += count
		uses = append(uses, use{m.flag, m.name, p.args[at+1 : next]})
	}
	for _, u := range uses {
		if err := p.take(u); err != nil {
			return 0, err
		}
	}
	return next, nil
}

// values returns how many values stand from an index on.
func (p *parse) values(from int) (n int) {
	for i := from; i < len(p.args) && i != p.ended && p.matches[i] == nil; i++ {
		n++
	}
	return n
}

// count returns how many of the values that follow a flag are its own.
func (f *flag) count(available int) (int, error) {
	switch f.takes {
	case one:
		if available < 1 {
			return 0, f.errorf("expected one argument")
		}
		return 1, nil
	case optional:
		return min(available, 1), nil
	case several:
		if available < 1 {
			return 0, f.errorf("expected at least one argument")
		}
		return available, nil
	}
	return 0, nil
}

func (p *parse) take(u use) error {
	p.seen[u.flag] = true
	for _, g := range p.grammar.groups {
		if !slices.Contains(g.flags, u.flag) {
			continue
		}
		for _, other := range g.flags {
			if other != u.flag && p.seen[other] {
				return u.flag.errorf("not allowed with argument %s", other.display())
			}
		}
	}
	return u.flag.store(p.raw, u.name, u.values)
}

// complete checks that all is there that must be, and nothing else.
func (p *parse) complete() error {
	var missing []string
	for _, f := range p.grammar.flags {
		if f.required && !p.seen[f] {
			missing = append(missing, f.display())
		}
	}
	if len(missing) > 0 {
		return &UsageError{"the following arguments are required: " + strings.Join(missing, ", ")}
	}
	for _, g := range p.grammar.groups {
		if !g.required {
			continue
		}
		found, names := false, []string{}
		for _, f := range g.flags {
			found = found || p.seen[f]
			names = append(names, f.display())
		}
		if !found {
			return &UsageError{"one of the arguments " + strings.Join(names, " ") + " is required"}
		}
	}
	if len(p.extras) > 0 {
		return &UsageError{"unrecognized arguments: " + strings.Join(p.extras, " ")}
	}
	return nil
}
