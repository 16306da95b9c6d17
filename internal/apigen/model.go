package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// service is a model with its overlay applied.
type service struct {
	Source       string // what the model was made from
	Service      string // the endpoint prefix, such as "kms"
	Protocol     string // "json", "query", ...
	TargetPrefix string // the part of X-Amz-Target before the dot
	Operations   []*operation
	Errors       []string
	Shapes       map[string]*shape
}

type operation struct {
	Name   string
	Input  string // a structure; "" where the operation takes none
	Output string // a structure; "" where it answers with an empty body
	Errors []string

	overlayOperation
}

// overlayOperation is what the overlay says of every operation.
type overlayOperation struct {
	ReadOnly      bool     // CloudTrail's readOnly
	AuditRequest  []string // members the audit record shows of the request
	AuditResponse []string // members the audit record shows of the response
}

type shape struct {
	Name      string `json:"-"`
	Type      string // structure, list, map, string, blob, integer, long, boolean, timestamp
	Members   []*member
	Member    string // of a list
	Key       string // of a map
	Value     string // of a map
	Min, Max  *int64
	Pattern   string
	Enum      []string
	Sensitive bool
}

type member struct {
	Name     string
	Shape    string
	Required bool

	overlayMember
}

// overlayMember changes one member of one structure.
type overlayMember struct {
	Max           *int64 // a limit below the shape's
	AlwaysPresent bool   // in answers it is written even if empty
}

type overlay struct {
	Operations map[string]overlayOperation
	Members    map[string]overlayMember // by "Structure.Member"
}

// load reads model and overlay, and checks that they fit together and that the
// generator knows everything in them.
func load(modelFile, overlayFile string) (*service, error) {
	s, o := new(service), new(overlay)
	if err := readJSON(modelFile, s); err != nil {
		return nil, err
	}
	if err := readJSON(overlayFile, o); err != nil {
		return nil, err
	}
	for name, sh := range s.Shapes {
		sh.Name = name
	}
	slices.SortFunc(s.Operations, func(a, b *operation) int { return strings.Compare(a.Name, b.Name) })
	if err := s.apply(o); err != nil {
		return nil, fmt.Errorf("applying %s: %w", overlayFile, err)
	}
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("checking %s: %w", modelFile, err)
	}
	return s, nil
}

func readJSON(file string, v any) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("reading model: %w", err)
	}
	defer f.Close()
	d := json.NewDecoder(f)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	return nil
}

// apply merges the overlay. Every operation must be named in it, and all it
// names must exist, so that a new operation cannot pass without somebody having
// decided what its audit record shows.
func (s *service) apply(o *overlay) error {
	for _, op := range s.Operations {
		extra, ok := o.Operations[op.Name]
		if !ok {
			return fmt.Errorf("operation %s is missing: say whether it is readOnly and what the audit record shows", op.Name)
		}
		op.overlayOperation = extra
		delete(o.Operations, op.Name)
	}
	for name := range o.Operations {
		return fmt.Errorf("there is no operation %s", name)
	}
	for name, extra := range o.Members {
		structure, field, _ := strings.Cut(name, ".")
		m := s.member(structure, field)
		if m == nil {
			return fmt.Errorf("there is no member %s", name)
		}
		m.overlayMember = extra
	}
	return nil
}

func (s *service) member(structure, name string) *member {
	if sh := s.Shapes[structure]; sh != nil {
		for _, m := range sh.Members {
			if m.Name == name {
				return m
			}
		}
	}
	return nil
}

// check refuses what the generated code could not express, and audit members
// that must never be seen in an audit record.
func (s *service) check() error {
	for _, sh := range s.Shapes {
		switch sh.Type {
		case "structure":
			if len(sh.Members) > 64 {
				return fmt.Errorf("%s has more than 64 members", sh.Name)
			}
		case "string", "blob", "integer", "long", "boolean", "timestamp":
		case "list":
			if t := s.Shapes[sh.Member].Type; t != "string" && t != "structure" {
				return fmt.Errorf("%s: lists of %s are not supported", sh.Name, t)
			}
		case "map":
			for _, part := range []*shape{s.Shapes[sh.Key], s.Shapes[sh.Value]} {
				if part.Type != "string" || part.limited() {
					return fmt.Errorf("%s: only maps of strings without limits are supported", sh.Name)
				}
			}
			if sh.limited() {
				return fmt.Errorf("%s: limits on maps are not supported", sh.Name)
			}
		default:
			return fmt.Errorf("%s: type %s is not supported", sh.Name, sh.Type)
		}
	}
	for _, op := range s.Operations {
		for _, e := range op.Errors {
			if !slices.Contains(s.Errors, e) {
				return fmt.Errorf("%s: there is no error %s", op.Name, e)
			}
		}
		for _, a := range []struct {
			structure string
			members   []string
		}{{op.Input, op.AuditRequest}, {op.Output, op.AuditResponse}} {
			for _, name := range a.members {
				m := s.member(a.structure, name)
				if m == nil {
					return fmt.Errorf("%s: the audit record shows %s.%s, which does not exist", op.Name, a.structure, name)
				}
				if err := s.showable(m.Shape); err != nil {
					return fmt.Errorf("%s: the audit record shows %s.%s: %w", op.Name, a.structure, name, err)
				}
			}
		}
	}
	return nil
}

// showable reports why values of the shape may not stand in an audit record.
func (s *service) showable(name string) error {
	sh := s.Shapes[name]
	switch {
	case sh.Sensitive:
		return fmt.Errorf("%s is sensitive", name)
	case sh.Type == "blob":
		return fmt.Errorf("%s is binary", name)
	case sh.Type == "list":
		return s.showable(sh.Member)
	}
	for _, m := range sh.Members {
		if err := s.showable(m.Shape); err != nil {
			return err
		}
	}
	return nil
}

// limited reports whether values of the shape need validation.
func (sh *shape) limited() bool {
	return sh.Min != nil || sh.Max != nil || sh.Pattern != "" || len(sh.Enum) > 0
}

// max is the member's upper limit: its own or its shape's.
func (s *service) max(m *member) *int64 {
	if m.Max != nil {
		return m.Max
	}
	return s.Shapes[m.Shape].Max
}

// reachable returns the structures among roots and all structures below them,
// sorted by name.
func (s *service) reachable(roots ...string) []*shape {
	seen := make(map[string]bool)
	var found []*shape
	var walk func(string)
	walk = func(name string) {
		sh := s.Shapes[name]
		if sh == nil || seen[name] {
			return
		}
		seen[name] = true
		if sh.Type == "structure" {
			found = append(found, sh)
		}
		for _, m := range sh.Members {
			walk(m.Shape)
		}
		walk(sh.Member)
		walk(sh.Value)
	}
	for _, r := range roots {
		walk(r)
	}
	slices.SortFunc(found, func(a, b *shape) int { return strings.Compare(a.Name, b.Name) })
	return found
}

// inputs and outputs name the structures of all requests and all responses.
func (s *service) inputs() (names []string) {
	for _, op := range s.Operations {
		names = append(names, op.Input)
	}
	return names
}

func (s *service) outputs() (names []string) {
	for _, op := range s.Operations {
		names = append(names, op.Output)
	}
	return names
}

// sortedShapes returns all shapes sorted by name.
func (s *service) sortedShapes() []*shape {
	return slices.SortedFunc(maps.Values(s.Shapes), func(a, b *shape) int { return strings.Compare(a.Name, b.Name) })
}
