// Command apigen writes a service's API package (types, strict decoding with
// validation, encoding, audit parameters, operations, errors) from a model file
// and its overlay. It is run by go generate in the package's folder:
//
//	//go:generate go run ../apigen -model model/kms.json -overlay model/kms.overlay.json -out .
//
// The model holds facts taken from a public service description by
// frombotocore.py; the overlay, kept by hand, holds what the description lacks.
// The output depends on these two files alone. apigen decides nothing about how
// a service behaves: that is the service's own package.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	model := flag.String("model", "", "model `file` made by frombotocore.py")
	overlay := flag.String("overlay", "", "overlay `file` kept by hand")
	out := flag.String("out", ".", "`folder` of the generated package")
	flag.Parse()
	if err := run(*model, *overlay, *out); err != nil {
		fmt.Fprintln(os.Stderr, "apigen:", err)
		os.Exit(1)
	}
}

func run(model, overlay, out string) error {
	s, err := load(model, overlay)
	if err != nil {
		return err
	}
	files, err := generate(s)
	if err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(out, name), content, 0o644); err != nil {
			return fmt.Errorf("writing generated code: %w", err)
		}
	}
	return nil
}

// protocols says, for each wire protocol of a model, which files make up a
// package that speaks it. Types, enums, errors, operations and audit parameters
// are common to all; decode.go and encode.go are the protocol's own.
var protocols = map[string]map[string]func(*writer){
	"json": {
		"types.go":      writeTypes,
		"enums.go":      writeEnums,
		"errors.go":     writeErrors,
		"operations.go": writeOperations,
		"audit.go":      writeAudit,
		"decode.go":     writeJSONDecode,
		"encode.go":     writeJSONEncode,
	},
}

// generate returns the package's files by name.
func generate(s *service) (map[string][]byte, error) {
	protocol, ok := protocols[s.Protocol]
	if !ok {
		return nil, fmt.Errorf("model of %s: no generator for protocol %q", s.Service, s.Protocol)
	}
	files := make(map[string][]byte)
	for name, write := range protocol {
		w := &writer{service: s}
		write(w)
		src, err := w.source()
		if err != nil {
			return nil, fmt.Errorf("generating %s: %w", name, err)
		}
		files[name] = src
	}
	return files, nil
}
