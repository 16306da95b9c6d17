package main

// writeAudit writes AppendAudit for all requests and responses, with the
// members that the overlay names, and appendAudit for structures below them.
func writeAudit(w *writer) {
	w.use(runtimePackage)
	var nested []string
	seen := make(map[string]bool)
	for _, op := range w.Operations {
		for _, side := range []struct {
			shape, typeName, what string
			show                  []string
		}{
			{op.Input, op.Name + "Request", "requestParameters", op.AuditRequest},
			{op.Output, op.Name + "Response", "responseElements", op.AuditResponse},
		} {
			if side.shape != "" {
				side.typeName = w.typeName(w.Shapes[side.shape])
			}
			if seen[side.typeName] {
				continue // a shape of two operations
			}
			seen[side.typeName] = true
			if len(side.show) == 0 {
				w.p("// AppendAudit appends null: the audit record shows nothing of it.")
				w.p("func (r *%s) AppendAudit(dst []byte) []byte { return append(dst, `null`...) }\n", side.typeName)
				continue
			}
			w.p("// AppendAudit appends the %s of an audit record.", side.what)
			w.p("func (r *%s) AppendAudit(dst []byte) []byte {", side.typeName)
			w.p("start := len(dst)")
			w.p("dst = append(dst, '{')")
			for _, name := range side.show {
				m := w.member(side.shape, name)
				w.appendMember(m, auditStyle)
				nested = append(nested, m.Shape)
			}
			w.p("return awsapi.CloseAudit(dst, start)\n}\n")
		}
	}
	for _, sh := range w.reachable(nested...) {
		w.p("func (r *%s) appendAudit(dst []byte) []byte {", w.typeName(sh))
		w.p("dst = append(dst, '{')")
		for _, m := range sh.Members {
			w.appendMember(m, auditStyle)
		}
		w.p("return awsapi.CloseObject(dst)\n}\n")
	}
}
