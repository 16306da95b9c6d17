package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// child is a server in a process of its own: this program again, in a role.
type child struct {
	addr string

	cmd   *exec.Cmd
	in    io.WriteCloser // commands, a line each; its end is the child's
	lines *bufio.Scanner // answers, a line each
}

// usage is what a process has used since it started.
type usage struct {
	CPUMicros int64  `json:"cpuMicroseconds"` // user and system
	Mallocs   uint64 `json:"mallocs"`
	RSS       int64  `json:"rss"`       // bytes; 0 where the system does not tell
	Anonymous int64  `json:"anonymous"` // the part of RSS that is not mapped from files
}

// hello is the child's first line, and its answer to what has no other.
type hello struct {
	Endpoint string `json:"endpoint,omitempty"`
	Error    string `json:"error,omitempty"`
}

// startChild starts this program in a role and waits until it serves.
func startChild(role string, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.Command(self, append([]string{roleArgument, role}, args...)...)}
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.lines = bufio.NewScanner(out)
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the %s server: %w", role, err)
	}
	var h hello
	if err := c.read(&h); err != nil {
		c.stop()
		return nil, fmt.Errorf("starting the %s server: %w", role, err)
	}
	c.addr = addrOf(h.Endpoint)
	return c, nil
}

func (c *child) read(v any) error {
	if !c.lines.Scan() {
		return errors.Join(errors.New("the server process ended"), c.lines.Err())
	}
	return json.Unmarshal(c.lines.Bytes(), v)
}

// ask sends a command and reads its answer.
func (c *child) ask(cmd command, answer any) error {
	line, err := json.Marshal(cmd)
	if err != nil {
		return err
	}
	if _, err := c.in.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("asking the server process: %w", err)
	}
	return c.read(answer)
}

func (c *child) usage() (u usage, err error) {
	err = c.ask(command{Name: cmdUsage}, &u)
	return u, err
}

// do sends a command that is answered with an error or none.
func (c *child) do(cmd command) error {
	var h hello
	if err := c.ask(cmd, &h); err != nil {
		return err
	}
	if h.Error != "" {
		return errors.New(h.Error)
	}
	return nil
}

// profile has the child write profiles of what it does from now on; the
// function returned ends them.
func (c *child) profile(cpuFile, allocFile string) (stop func() error, err error) {
	err = c.do(command{Name: cmdProfile, CPU: cpuFile, Allocs: allocFile})
	return func() error { return c.do(command{Name: cmdProfileEnd}) }, err
}

// stop ends the child, by force where it does not end by itself.
func (c *child) stop() {
	c.in.Close()
	force := time.AfterFunc(30*time.Second, func() { c.cmd.Process.Kill() })
	defer force.Stop()
	c.cmd.Wait()
}
