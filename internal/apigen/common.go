package main

import (
	"fmt"
	"strings"
)

// writeTypes writes the structures, and for every operation a request and a
// response type whatever the API calls its shapes.
func writeTypes(w *writer) {
	purpose := make(map[string]string)
	for _, op := range w.Operations {
		purpose[op.Input] = "is the input of " + op.Name
		if purpose[op.Output] == "" || op.Output == op.Name+"Response" {
			purpose[op.Output] = "is the output of " + op.Name
		}
	}
	w.p("// Absent members are zero: \"\" for strings (nil where \"\" may be sent), nil for")
	w.p("// all others. Comments give what the API demands of requests.")
	w.p("")
	for _, sh := range w.reachable(append(w.inputs(), w.outputs()...)...) {
		about := purpose[sh.Name]
		if about == "" {
			about = "is a structure of the API"
		}
		w.p("// %s %s.", w.typeName(sh), about)
		w.p("type %s struct {", w.typeName(sh))
		for _, m := range sh.Members {
			if w.Shapes[m.Shape].Type == "timestamp" {
				w.use("time")
			}
			w.p("%s %s%s", m.Name, w.fieldType(m), w.demands(m))
		}
		w.p("}\n")
	}
	for _, op := range w.Operations {
		for _, side := range []struct{ shape, suffix, text string }{
			{op.Input, "Request", "input"}, {op.Output, "Response", "output"},
		} {
			name := op.Name + side.suffix
			switch {
			case side.shape == "":
				w.p("// %s is the %s of %s, which has none.", name, side.text, op.Name)
				w.p("type %s struct{}\n", name)
			case side.shape != name:
				w.p("// %s is the %s of %s.", name, side.text, op.Name)
				w.p("type %s = %s\n", name, w.typeName(w.Shapes[side.shape]))
			}
		}
	}
}

// demands describes a member's limits in a comment behind its field.
func (w *writer) demands(m *member) string {
	sh := w.Shapes[m.Shape]
	var parts []string
	if m.Required {
		parts = append(parts, "required")
	}
	unit := map[string]string{"string": " characters", "blob": " bytes", "list": " items"}[sh.Type]
	switch lo, hi := sh.Min, w.max(m); {
	case lo != nil && hi != nil && *lo == *hi:
		parts = append(parts, fmt.Sprintf("%d%s", *lo, unit))
	case lo != nil && hi != nil:
		parts = append(parts, fmt.Sprintf("%d to %d%s", *lo, *hi, unit))
	case lo != nil:
		parts = append(parts, fmt.Sprintf("at least %d%s", *lo, unit))
	case hi != nil:
		parts = append(parts, fmt.Sprintf("at most %d%s", *hi, unit))
	}
	if sh.Pattern != "" {
		parts = append(parts, sh.Pattern)
	}
	if sh.Sensitive {
		parts = append(parts, "sensitive")
	}
	if len(parts) == 0 {
		return ""
	}
	return " // " + strings.Join(parts, "; ")
}

// writeEnums writes a string type with its constants for every enum.
func writeEnums(w *writer) {
	for _, sh := range w.sortedShapes() {
		if len(sh.Enum) == 0 {
			continue
		}
		w.p("// %s is an enum of the API.", w.typeName(sh))
		w.p("type %s string\n", w.typeName(sh))
		w.p("// The values of %s, in the order of the API's model.", w.typeName(sh))
		w.p("const (")
		for _, v := range sh.Enum {
			w.p("%s %s = %q", enumName(w.typeName(sh), v), w.typeName(sh), v)
		}
		w.p(")\n")
	}
}

// writeErrors writes a constant for the code of every modelled error.
func writeErrors(w *writer) {
	w.p("// Codes of the errors in the API's model, for awsapi.Errorf.")
	w.p("const (")
	for _, e := range w.Errors {
		w.p("Code%s = %q", e, e)
	}
	w.p(")")
}

// writeOperations writes the table of operations and its index.
func writeOperations(w *writer) {
	w.use("sort")
	w.use("strings")
	if w.TargetPrefix != "" {
		w.p("// TargetPrefix is what stands before the dot in X-Amz-Target.")
		w.p("const TargetPrefix = %q\n", w.TargetPrefix)
	}
	w.p("// OpID numbers the operations; it is an index into Operations.")
	w.p("type OpID uint16\n")
	w.p("// The operations, sorted by name.")
	w.p("const (")
	for i, op := range w.Operations {
		if i == 0 {
			w.p("Op%s OpID = iota", op.Name)
		} else {
			w.p("Op%s", op.Name)
		}
	}
	w.p(")\n")
	w.p(`// String returns the operation's name.
func (id OpID) String() string { return Operations[id].Name }

// Operation is what is known of an operation beside its request and response.
type Operation struct {
	Name     string
	Index    OpID
	ReadOnly bool     // readOnly in the audit record: it changes nothing
	Errors   []string // codes of the errors its model names
}

// Operations lists all operations, sorted by name.
var Operations = [...]Operation{`)
	for _, op := range w.Operations {
		codes := make([]string, len(op.Errors))
		for i, e := range op.Errors {
			codes[i] = "Code" + e
		}
		w.p("Op%s: {Name: %q, Index: Op%s, ReadOnly: %t, Errors: []string{%s}},", op.Name, op.Name, op.Name, op.ReadOnly, strings.Join(codes, ", "))
	}
	w.p("}\n")
	w.p(`// OperationByName returns the operation with exactly this name.
func OperationByName(name string) (OpID, bool) {
	i, ok := sort.Find(len(Operations), func(i int) int { return strings.Compare(name, Operations[i].Name) })
	return OpID(i), ok
}`)
}
