package policy

import (
	"fmt"
	"strings"
)

// condition is one key of one operator of a Condition element. A statement
// applies if all its conditions hold.
type condition struct {
	key      string // in lower case
	set      setOperator
	ifExists bool
	null     bool // the operator is Null, and values match "true" or "false"
	negated  bool // values are those of the positive operator
	values   []valueMatcher
}

// valueMatcher reports whether a value of the request matches one of the
// policy's by a positive operator.
type valueMatcher func(value string, ctx Context) bool

// setOperator says how a condition treats a key of several values.
type setOperator uint8

const (
	setNone setOperator = iota
	setForAnyValue
	setForAllValues
)

func conditionsHold(conditions []condition, ctx Context) bool {
	for i := range conditions {
		if !conditions[i].holds(ctx) {
			return false
		}
	}
	return true
}

// holds decides. The cases of an absent key are the heart of it: a positive
// operator is false, a negated one true; ForAllValues and IfExists make both
// true, ForAnyValue makes both false.
func (c *condition) holds(ctx Context) bool {
	values := ctx.values(c.key)
	switch {
	case c.null:
		if len(values) == 0 {
			return c.anyMatch("true", ctx)
		}
		return c.anyMatch("false", ctx)
	case len(values) == 0:
		return c.ifExists || c.set == setForAllValues || c.set == setNone && c.negated
	case c.set == setForAllValues:
		for _, v := range values {
			if c.anyMatch(v, ctx) == c.negated {
				return false
			}
		}
		return true
	case c.set == setForAnyValue:
		for _, v := range values {
			if c.anyMatch(v, ctx) != c.negated {
				return true
			}
		}
		return false
	}
	// Several values without a set operator: not defined by AWS's
	// documentation. Nothing equals a set, so only negated operators hold.
	if len(values) > 1 {
		return c.negated
	}
	return c.anyMatch(values[0], ctx) != c.negated
}

func (c *condition) anyMatch(value string, ctx Context) bool {
	for _, match := range c.values {
		if match(value, ctx) {
			return true
		}
	}
	return false
}

// compileCondition reads an operator's name, with its prefix and suffix, and
// compiles the values of one of its keys.
func compileCondition(raw rawCondition, version string) (condition, error) {
	c := condition{key: strings.ToLower(raw.key)}
	name := raw.operator
	if rest, ok := strings.CutPrefix(name, "ForAnyValue:"); ok {
		c.set, name = setForAnyValue, rest
	} else if rest, ok := strings.CutPrefix(name, "ForAllValues:"); ok {
		c.set, name = setForAllValues, rest
	}
	name, c.ifExists = strings.CutSuffix(name, "IfExists")
	c.null = name == "Null"
	op, ok := operators[name]
	if !ok || c.null && (c.ifExists || c.set != setNone) {
		return condition{}, fmt.Errorf("%.100q is not a condition operator", raw.operator)
	}
	if c.key == "" {
		return condition{}, fmt.Errorf("operator %s has a condition key without a name", raw.operator)
	}
	c.negated = op.negated
	for _, text := range raw.values {
		match, err := op.compile(text, version)
		if err != nil {
			return condition{}, fmt.Errorf("operator %s, key %.100q: value %.100q %w", raw.operator, raw.key, text, err)
		}
		c.values = append(c.values, match)
	}
	return c, nil
}
