package main

import "fmt"

// writeJSONEncode writes AppendJSON for all requests, responses and structures
// in them.
func writeJSONEncode(w *writer) {
	w.use(runtimePackage)
	for _, sh := range w.reachable(append(w.inputs(), w.outputs()...)...) {
		t := w.typeName(sh)
		w.p("// AppendJSON appends r as the API's JSON.")
		w.p("func (r *%s) AppendJSON(dst []byte) []byte {", t)
		if len(sh.Members) == 0 {
			w.p("return append(dst, `{}`...)\n}\n")
			continue
		}
		w.p("dst = append(dst, '{')")
		for _, m := range sh.Members {
			w.appendMember(m, jsonStyle)
		}
		w.p("return awsapi.CloseObject(dst)\n}\n")
	}
	for _, op := range w.Operations {
		if op.Input == "" {
			w.p("// AppendJSON appends the empty object that %s takes.", op.Name)
			w.p("func (r *%sRequest) AppendJSON(dst []byte) []byte { return append(dst, `{}`...) }\n", op.Name)
		}
		if op.Output == "" {
			w.p("// AppendJSON appends nothing: %s answers with an empty body.", op.Name)
			w.p("func (r *%sResponse) AppendJSON(dst []byte) []byte { return dst }\n", op.Name)
		}
	}
}

// style is where a JSON object is for: the wire or an audit record.
type style struct {
	name   func(string) string // of a member
	time   string              // the runtime's function for timestamps
	method string              // of nested structures
}

var (
	jsonStyle  = style{name: func(s string) string { return s }, time: "AppendTime", method: "AppendJSON"}
	auditStyle = style{name: lowerFirst, time: "AppendAuditTime", method: "appendAudit"}
)

// appendMember writes the code that appends one member of r, and the comma
// behind it, where the member is present.
func (w *writer) appendMember(m *member, st style) {
	sh := w.Shapes[m.Shape]
	field := "r." + m.Name
	always := (m.Required || m.AlwaysPresent) && !w.pointer(m)
	if !always {
		zero := "nil"
		if sh.Type == "string" && !w.pointer(m) {
			zero = `""`
		}
		w.p("if %s != %s {", field, zero)
	}
	w.p("dst = append(dst, `%q:`...)", st.name(m.Name))
	value := field
	if w.pointer(m) && sh.Type != "structure" {
		value = "*" + field
	}
	w.p("dst = %s", w.appendCall(sh, value, st))
	w.p("dst = append(dst, ',')")
	if !always {
		w.p("}")
	}
}

// appendCall is the expression that appends a value of the shape.
func (w *writer) appendCall(sh *shape, value string, st style) string {
	switch sh.Type {
	case "structure":
		return fmt.Sprintf("%s.%s(dst)", value, st.method)
	case "blob":
		return fmt.Sprintf("awsapi.AppendBlob(dst, %s)", value)
	case "integer", "long":
		return fmt.Sprintf("awsapi.AppendInt(dst, %s)", value)
	case "boolean":
		w.use("strconv")
		return fmt.Sprintf("strconv.AppendBool(dst, %s)", value)
	case "timestamp":
		return fmt.Sprintf("awsapi.%s(dst, %s)", st.time, value)
	case "map":
		return fmt.Sprintf("awsapi.AppendStringMap(dst, %s)", value)
	case "list":
		if element := w.Shapes[sh.Member]; element.Type == "structure" {
			return fmt.Sprintf("awsapi.AppendList(dst, %s, (*%s).%s)", value, w.typeName(element), st.method)
		}
		return fmt.Sprintf("awsapi.AppendStrings(dst, %s)", value)
	default:
		return fmt.Sprintf("awsapi.AppendString(dst, %s)", value)
	}
}
