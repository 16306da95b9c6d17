package awsapi

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// violation is one rule of the model that a request breaks.
type violation struct {
	order []int // the path's indices, for the order of the model
	text  string
}

// violations are all that were found in a request. Texts beyond maxMessage are
// counted only.
type violations struct {
	list  []violation
	count int
	size  int
}

// violate notes that the value on the present path breaks a rule. The value is
// what the message shows of it: nullValue, hiddenValue or quoted.
func (d *Decoder) violate(value, rule string) {
	v := &d.violations
	v.count++
	if v.size > maxMessage {
		return
	}
	order := make([]int, len(d.path))
	for i, s := range d.path {
		order[i] = s.index
	}
	text := fmt.Sprintf("Value %sat '%s' failed to satisfy constraint: Member must %s", value, d.pathText(), rule)
	v.list = append(v.list, violation{order, text})
	v.size += len(text)
}

// pathText writes the path as AWS does: members in lowerCamel, elements counted
// from 1, as in "tags.1.member.tagKey".
func (d *Decoder) pathText() string {
	parts := make([]string, 0, len(d.path))
	for _, s := range d.path {
		switch s.kind {
		case elementStep:
			parts = append(parts, strconv.Itoa(s.index+1), "member")
		case entryStep:
			parts = append(parts, cut(s.name))
		case memberStep:
			parts = append(parts, strings.ToLower(s.name[:1])+s.name[1:])
		}
	}
	return strings.Join(parts, ".")
}

// err returns the ValidationException that names all violations in the order of
// the model, or nil where there are none.
func (v *violations) err() *Error {
	if v.count == 0 {
		return nil
	}
	slices.SortStableFunc(v.list, func(a, b violation) int { return slices.Compare(a.order, b.order) })
	var b strings.Builder
	noun := "errors"
	if v.count == 1 {
		noun = "error"
	}
	fmt.Fprintf(&b, "%d validation %s detected: ", v.count, noun)
	for i, item := range v.list {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(item.text)
	}
	if len(v.list) < v.count {
		b.WriteString("; ...")
	}
	return &Error{Code: CodeValidation, Message: b.String()}
}
