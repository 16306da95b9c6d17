package main

import "strings"

// typeName is the Go name of a structure or enum: the API's name, without
// "Type" at the end of a structure's where no other shape has that name.
func (s *service) typeName(sh *shape) string {
	if sh.Type == "structure" {
		if short, ok := strings.CutSuffix(sh.Name, "Type"); ok && s.Shapes[short] == nil {
			return short
		}
	}
	return sh.Name
}

// goType is the Go type of a shape's values.
func (s *service) goType(name string) string {
	sh := s.Shapes[name]
	switch sh.Type {
	case "structure":
		return s.typeName(sh)
	case "list":
		return "[]" + s.goType(sh.Member)
	case "map":
		return "map[string]string"
	case "blob":
		return "[]byte"
	case "integer":
		return "int32"
	case "long":
		return "int64"
	case "boolean":
		return "bool"
	case "timestamp":
		return "time.Time"
	default:
		if len(sh.Enum) > 0 {
			return s.typeName(sh)
		}
		return "string"
	}
}

// fieldType is the Go type of a structure's field. Where the zero value of a
// shape's own type is a value a client may send, absence needs a pointer.
func (s *service) fieldType(m *member) string {
	t := s.goType(m.Shape)
	if s.pointer(m) {
		return "*" + t
	}
	return t
}

func (s *service) pointer(m *member) bool {
	switch sh := s.Shapes[m.Shape]; sh.Type {
	case "structure", "integer", "long", "boolean", "timestamp":
		return true
	case "string":
		return !m.Required && sh.Min != nil && *sh.Min == 0
	default:
		return false
	}
}

// enumName is the Go name of an enum's value: SYMMETRIC_DEFAULT of KeySpec is
// KeySpecSymmetricDefault, PendingDeletion of KeyState KeyStatePendingDeletion.
func enumName(typeName, value string) string {
	var b strings.Builder
	b.WriteString(typeName)
	for part := range strings.FieldsFuncSeq(value, func(r rune) bool { return strings.ContainsRune("_-.:/ ", r) }) {
		if part == strings.ToUpper(part) {
			part = part[:1] + strings.ToLower(part[1:])
		}
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}

// lowerFirst is how CloudTrail writes a member's name: KeyId is keyId,
// AWSAccountId is aWSAccountId. It also makes unexported Go names.
func lowerFirst(name string) string {
	return strings.ToLower(name[:1]) + name[1:]
}
