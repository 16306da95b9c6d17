package gosdk_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// variables are what a case has saved, by name: strings, bytes, numbers.
type variables map[string]any

var reference = regexp.MustCompile(`\$\{(\w+)\}`)

func (vars variables) lookup(name string) any {
	value, ok := vars[name]
	if !ok {
		panic("cases.json: no variable " + name)
	}
	return value
}

// evaluate gives an expression of cases.json its value: strings, bytes, lists,
// objects. A mistake in the file panics: it is a mistake in the test.
func (vars variables) evaluate(value any) any {
	switch v := value.(type) {
	case string:
		if m := reference.FindStringSubmatch(v); m != nil && m[0] == v {
			return vars.lookup(m[1])
		}
		return reference.ReplaceAllStringFunc(v, func(ref string) string {
			return fmt.Sprint(vars.lookup(ref[2 : len(ref)-1]))
		})
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = vars.evaluate(v[i])
		}
		return list
	case map[string]any:
		return vars.evaluateObject(v)
	default:
		return value
	}
}

func (vars variables) evaluateObject(v map[string]any) any {
	if text, ok := v["$bytes"]; ok {
		return []byte(vars.evaluate(text).(string))
	}
	if text, ok := v["$repeat"]; ok {
		return strings.Repeat(text.(string), int(v["times"].(float64)))
	}
	if parts, ok := v["$concat"]; ok {
		var text strings.Builder
		for _, part := range parts.([]any) {
			text.WriteString(vars.evaluate(part).(string))
		}
		return text.String()
	}
	if count, ok := v["$list"]; ok {
		list := make([]any, int(count.(float64)))
		outer := vars["n"]
		for i := range list {
			vars["n"] = strconv.Itoa(i + 1)
			list[i] = vars.evaluate(v["of"])
		}
		vars["n"] = outer
		return list
	}
	if blob, ok := v["$flip"]; ok {
		flipped := bytes.Clone(vars.evaluate(blob).([]byte))
		at := int(v["at"].(float64))
		if at < 0 {
			at += len(flipped)
		}
		flipped[at] ^= 1
		return flipped
	}
	if blob, ok := v["$cut"]; ok {
		whole := vars.evaluate(blob).([]byte)
		return whole[:len(whole)-int(v["by"].(float64))]
	}
	if blob, ok := v["$append"]; ok {
		return append(bytes.Clone(vars.evaluate(blob).([]byte)), v["bytes"].(string)...)
	}
	object := map[string]any{}
	for name, member := range v {
		if strings.HasPrefix(name, "$") {
			panic("cases.json: unknown expression " + name)
		}
		object[name] = vars.evaluate(member)
	}
	return object
}

// check says where got is not what the expectation want describes.
func (vars variables) check(want, got any, where string) error {
	switch w := want.(type) {
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(w) {
			return mismatch(where, got, want)
		}
		for i := range w {
			if err := vars.check(w[i], list[i], fmt.Sprintf("%s[%d]", where, i)); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		if ok, known := vars.matches(w, got); known {
			if !ok {
				return mismatch(where, got, want)
			}
			return nil
		}
		if !isExpression(w) {
			return vars.checkMembers(w, got, where)
		}
	}
	if value := vars.evaluate(want); !reflect.DeepEqual(value, got) {
		return mismatch(where, got, value)
	}
	return nil
}

func (vars variables) checkMembers(want map[string]any, got any, where string) error {
	object, ok := got.(map[string]any)
	if !ok {
		return mismatch(where, got, want)
	}
	for name, member := range want {
		if name == "$exactly" {
			continue
		}
		if err := vars.check(member, object[name], where+"."+name); err != nil {
			return err
		}
	}
	if want["$exactly"] == true {
		for name := range object {
			if _, ok := want[name]; !ok {
				return fmt.Errorf("%s: unexpected member %s", where, name)
			}
		}
	}
	return nil
}

// matches applies a matcher such as {"$length": 32}; known is false for what is
// none.
func (vars variables) matches(want map[string]any, got any) (ok, known bool) {
	if pattern, is := want["$matches"]; is {
		text, ok := got.(string)
		return ok && regexp.MustCompile(vars.evaluate(pattern).(string)).MatchString(text), true
	}
	if length, is := want["$length"]; is {
		switch g := got.(type) {
		case []byte:
			return len(g) == int(length.(float64)), true
		case []any:
			return len(g) == int(length.(float64)), true
		}
		return false, true
	}
	if other, is := want["$not"]; is {
		return got != nil && !reflect.DeepEqual(vars.evaluate(other), got), true
	}
	if document, is := want["$json"]; is {
		text, _ := got.(string)
		var parsed any
		return json.Unmarshal([]byte(text), &parsed) == nil && reflect.DeepEqual(vars.evaluate(document), parsed), true
	}
	if days, is := want["$daysFromNow"]; is {
		at, ok := got.(time.Time)
		then := time.Now().Add(time.Duration(days.(float64)) * 24 * time.Hour)
		return ok && at.Sub(then).Abs() < 5*time.Minute, true
	}
	if _, is := want["$absent"]; is {
		return got == nil, true
	}
	if element, is := want["$contains"]; is {
		list, _ := got.([]any)
		return slices.ContainsFunc(list, func(g any) bool { return vars.check(element, g, "") == nil }), true
	}
	return false, false
}

func isExpression(object map[string]any) bool {
	for name := range object {
		if strings.HasPrefix(name, "$") && name != "$exactly" {
			return true
		}
	}
	return false
}

func mismatch(where string, got, want any) error {
	return fmt.Errorf("%s: got %s, want %s", where, shorten(got), shorten(want))
}

func shorten(value any) string {
	text := fmt.Sprintf("%#v", value)
	if len(text) > 300 {
		return fmt.Sprintf("%s... (%d characters)", text[:300], len(text))
	}
	return text
}

// find follows a path such as KeyMetadata.Arn or Keys.0.KeyId; nil if there is
// nothing.
func find(value any, path string) any {
	for part := range strings.SplitSeq(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	return value
}

// fill sets one of the SDK's input values from a plain one.
func fill(target reflect.Value, value any) error {
	if target.Kind() == reflect.Pointer {
		target.Set(reflect.New(target.Type().Elem()))
		return fill(target.Elem(), value)
	}
	switch v := value.(type) {
	case string:
		if target.Kind() == reflect.String {
			target.SetString(v)
			return nil
		}
	case bool:
		if target.Kind() == reflect.Bool {
			target.SetBool(v)
			return nil
		}
	case float64:
		if target.CanInt() {
			target.SetInt(int64(v))
			return nil
		}
	case []byte:
		if target.Type() == reflect.TypeFor[[]byte]() {
			target.SetBytes(v)
			return nil
		}
	case []any:
		if target.Kind() == reflect.Slice {
			target.Set(reflect.MakeSlice(target.Type(), len(v), len(v)))
			for i := range v {
				if err := fill(target.Index(i), v[i]); err != nil {
					return err
				}
			}
			return nil
		}
	case map[string]any:
		return fillObject(target, v)
	}
	return fmt.Errorf("setting %s from %T", target.Type(), value)
}

func fillObject(target reflect.Value, object map[string]any) error {
	if target.Kind() == reflect.Map {
		target.Set(reflect.MakeMap(target.Type()))
	}
	for name, member := range object {
		if target.Kind() == reflect.Map {
			element := reflect.New(target.Type().Elem()).Elem()
			if err := fill(element, member); err != nil {
				return err
			}
			target.SetMapIndex(reflect.ValueOf(name), element)
			continue
		}
		field := target.FieldByName(name)
		if !field.IsValid() {
			return fmt.Errorf("member %s of %s: %w", name, target.Type(), errUnknown)
		}
		if err := fill(field, member); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// plain turns one of the SDK's output values into maps, lists, strings, bytes,
// booleans, numbers and times; nil for what the server did not send. (For a
// boolean that is no pointer the SDK does not tell absent from false.)
func plain(value reflect.Value) any {
	switch v := value.Interface().(type) {
	case time.Time:
		return v
	case []byte:
		if v == nil {
			return nil
		}
		return v
	}
	switch value.Kind() {
	case reflect.Pointer:
		if value.IsNil() {
			return nil
		}
		return plain(value.Elem())
	case reflect.String:
		if value.Type() != reflect.TypeFor[string]() && value.Len() == 0 {
			return nil // an enum, which has no empty value
		}
		return value.String()
	case reflect.Bool:
		return value.Bool()
	case reflect.Int32, reflect.Int64:
		return float64(value.Int())
	case reflect.Slice:
		if value.IsNil() {
			return nil
		}
		list := make([]any, value.Len())
		for i := range list {
			list[i] = plain(value.Index(i))
		}
		return list
	case reflect.Struct:
		object := map[string]any{}
		for i := range value.NumField() {
			field := value.Type().Field(i)
			if !field.IsExported() || field.Name == "ResultMetadata" {
				continue
			}
			if member := plain(value.Field(i)); member != nil {
				object[field.Name] = member
			}
		}
		return object
	}
	panic(fmt.Sprintf("no plain form for %s", value.Type()))
}
