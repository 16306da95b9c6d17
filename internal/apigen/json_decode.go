package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// writeJSONDecode writes Decode functions for all requests, a decode method for
// each structure in them, and the descriptions of their shapes.
func writeJSONDecode(w *writer) {
	w.use(runtimePackage)
	for _, op := range w.Operations {
		name := op.Name + "Request"
		w.p("// Decode%s decodes and validates the body of %s. Its error is an", name, op.Name)
		w.p("// *awsapi.Error, SerializationException or ValidationException. What it returns")
		w.p("// has its blobs in body, which they overwrite.")
		w.p("func Decode%s(body []byte) (*%s, error) {", name, name)
		w.p("d := awsapi.NewDecoder(body)")
		w.p("r := new(%s)", name)
		w.p("r.decode(d)")
		w.p("if err := d.Finish(); err != nil {\nreturn nil, err\n}")
		w.p("return r, nil\n}\n")
	}
	w.p("// DecodeRequest is the Decode function of the operation id, chosen at run time.")
	w.p("func DecodeRequest(id OpID, body []byte) (awsapi.Message, error) {")
	w.p("switch id {")
	for _, op := range w.Operations {
		w.p("case Op%s:\nreturn message(Decode%sRequest(body))", op.Name, op.Name)
	}
	w.p("}")
	w.p("return nil, awsapi.Errorf(awsapi.CodeUnknownOperation, \"\")\n}\n")
	w.p("func message[M awsapi.Message](m M, err error) (awsapi.Message, error) {")
	w.p("if err != nil {\nreturn nil, err\n}\nreturn m, nil\n}\n")

	shapes := make(map[string]string) // variable to its declaration
	for _, sh := range w.reachable(w.inputs()...) {
		writeStructureDecode(w, sh, shapes)
	}
	w.p("var (")
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		w.p("%s = %s", name, shapes[name])
	}
	w.p(")")
}

func writeStructureDecode(w *writer, sh *shape, shapes map[string]string) {
	t := w.typeName(sh)
	required := uint64(0)
	names := make([]string, len(sh.Members))
	for i, m := range sh.Members {
		names[i] = fmt.Sprintf("%q", m.Name)
		if m.Required {
			required |= 1 << i
		}
	}
	w.p("var %sStructure = awsapi.Structure{", lowerFirst(t))
	w.p("Members: []string{%s},", strings.Join(names, ", "))
	if required != 0 {
		w.p("Required: %#x,", required)
	}
	w.p("}\n")
	w.p("func (r *%s) decode(d *awsapi.Decoder) {", t)
	w.p("for m := d.Structure(&%sStructure); m.Next(); {", lowerFirst(t))
	w.p("switch m.Index {")
	for i, m := range sh.Members {
		w.p("case %d:", i)
		if target := w.Shapes[m.Shape]; target.Type == "structure" {
			w.p("r.%s = new(%s)", m.Name, w.typeName(target))
			w.p("r.%s.decode(d)", m.Name)
			continue
		}
		value := w.decodeCall(sh, m, shapes)
		if w.pointer(m) {
			value = "new(" + value + ")"
		}
		w.p("r.%s = %s", m.Name, value)
	}
	w.p("}\n}\n}\n")
}

// decodeCall is the expression that decodes the value of a member, which is not
// a structure. It adds to shapes what the expression refers to.
func (w *writer) decodeCall(parent *shape, m *member, shapes map[string]string) string {
	sh := w.Shapes[m.Shape]
	switch sh.Type {
	case "string":
		call := "d.String(&" + w.shapeVar(sh, shapes) + ")"
		if len(sh.Enum) > 0 {
			return w.typeName(sh) + "(" + call + ")"
		}
		return call
	case "blob":
		return "d.Blob(&" + w.shapeVar(sh, shapes) + ")"
	case "boolean":
		return "d.Bool()"
	case "timestamp":
		return "d.Time()"
	case "map":
		return "d.StringMap()"
	case "integer", "long":
		method := map[string]string{"integer": "Int32", "long": "Int64"}[sh.Type]
		if !sh.limited() && m.Max == nil {
			return "d." + method + "(&awsapi.AnyInt)"
		}
		if m.Max != nil {
			own := *sh
			own.Name, own.Max = parent.Name+m.Name, m.Max
			sh = &own
		}
		return "d." + method + "(&" + w.shapeVar(sh, shapes) + ")"
	default: // a list, of strings or structures
		element := w.Shapes[sh.Member]
		if element.Type == "structure" {
			return fmt.Sprintf("awsapi.DecodeList(d, &%s, (*%s).decode)", w.shapeVar(sh, shapes), w.typeName(element))
		}
		return fmt.Sprintf("awsapi.DecodeStrings[%s](d, &%s, &%s)", w.goType(sh.Member), w.shapeVar(sh, shapes), w.shapeVar(element, shapes))
	}
}

// shapeVar returns the name of the variable that describes a shape to the
// decoder, and adds its declaration to shapes.
func (w *writer) shapeVar(sh *shape, shapes map[string]string) string {
	var fields []string
	add := func(format string, args ...any) { fields = append(fields, fmt.Sprintf(format, args...)) }
	number := sh.Type == "integer" || sh.Type == "long"
	if sh.Min != nil && (number || *sh.Min != 0) {
		add("Min: %d", *sh.Min)
	} else if number {
		add("Min: awsapi.AnyInt.Min")
	}
	if sh.Max != nil {
		add("Max: %d", *sh.Max)
	} else if number {
		add("Max: awsapi.AnyInt.Max")
	}
	if sh.Pattern != "" {
		add("Pattern: awsapi.NewPattern(%q)", sh.Pattern)
	}
	if len(sh.Enum) > 0 {
		values := make([]string, len(sh.Enum))
		for i, v := range sh.Enum {
			values[i] = fmt.Sprintf("string(%s)", enumName(w.typeName(sh), v))
		}
		add("Enum: []string{%s}", strings.Join(values, ", "))
	}
	if sh.Sensitive {
		add("Sensitive: true")
	}
	kind := map[string]string{"string": "String", "blob": "Blob", "list": "List", "integer": "Int", "long": "Int"}[sh.Type]
	name := lowerFirst(sh.Name) + "Shape"
	shapes[name] = fmt.Sprintf("awsapi.%sShape{%s}", kind, strings.Join(fields, ", "))
	return name
}
