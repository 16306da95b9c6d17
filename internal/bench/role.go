package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"

	"github.com/keywright/keywright/internal/server"
)

// roleArgument makes this program one of the servers that it measures.
const roleArgument = "-role"

// command is a line that a child reads.
type command struct {
	Name   string `json:"name"`
	CPU    string `json:"cpu,omitempty"`    // file of the CPU profile
	Allocs string `json:"allocs,omitempty"` // file of the allocation profile
}

const (
	cmdUsage      = "usage"
	cmdProfile    = "profile"
	cmdProfileEnd = "profile-end"
)

// runRole is the child's main function.
func runRole(role string, args []string) {
	if role == streamRoleName {
		json.NewEncoder(os.Stdout).Encode(runStreamRole(args))
		return
	}
	endpoint, stop, err := serveRole(role, args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	out := json.NewEncoder(os.Stdout)
	out.Encode(hello{Endpoint: endpoint})
	var p profiles
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var c command
		if err := json.Unmarshal(in.Bytes(), &c); err != nil {
			out.Encode(hello{Error: err.Error()})
			continue
		}
		switch c.Name {
		case cmdUsage:
			out.Encode(ownUsage())
		case cmdProfile:
			out.Encode(answer(p.begin(c)))
		case cmdProfileEnd:
			out.Encode(answer(p.end()))
		}
	}
	stop()
}

func answer(err error) hello {
	if err != nil {
		return hello{Error: err.Error()}
	}
	return hello{}
}

// serveRole starts the server of a role. Its arguments are the role's own.
func serveRole(role string, args []string) (endpoint string, stop func(), err error) {
	switch role {
	case "keywright": // data folder
		s, err := server.Start(context.Background(), server.Config{Data: args[0], Listen: "127.0.0.1:0", OperatorListen: "off"},
			slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
		if err != nil {
			return "", nil, err
		}
		return s.Endpoint(), func() { s.Close(context.Background()) }, nil
	case "bare": // file with the response
		body, err := os.ReadFile(args[0])
		if err != nil {
			return "", nil, err
		}
		return serveHandler(bareHandler(body))
	case "minimal": // access key id, secret
		h, err := newMinimal(accessKey{args[0], args[1]})
		if err != nil {
			return "", nil, err
		}
		return serveHandler(h)
	}
	return "", nil, fmt.Errorf("there is no role %q", role)
}

func serveHandler(h http.Handler) (endpoint string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{Handler: h}
	go s.Serve(l)
	return "http://" + l.Addr().String(), func() { s.Close() }, nil
}

// profiles are the profiles being written.
type profiles struct {
	cpu    *os.File
	allocs string
}

func (p *profiles) begin(c command) (err error) {
	if p.cpu, err = os.Create(c.CPU); err != nil {
		return err
	}
	p.allocs = c.Allocs
	return pprof.StartCPUProfile(p.cpu)
}

func (p *profiles) end() error {
	pprof.StopCPUProfile()
	if err := p.cpu.Close(); err != nil {
		return err
	}
	f, err := os.Create(p.allocs)
	if err != nil {
		return err
	}
	runtime.GC() // the profile shows what was allocated up to the last collection
	if err := pprof.Lookup("allocs").WriteTo(f, 0); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
