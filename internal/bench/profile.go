package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// profileConcurrency is how many requests are under way while a profile is
// taken.
const profileConcurrency = 16

// writeProfiles writes, for each size of Encrypt, what the server's CPU time and
// allocations go to. View them with go tool pprof.
func writeProfiles(o *options) error {
	if err := os.MkdirAll(o.profile, 0o755); err != nil {
		return fmt.Errorf("making a folder for profiles: %w", err)
	}
	data := filepath.Join(o.dir, "profile")
	key, err := newData(data)
	if err != nil {
		return err
	}
	for _, w := range workloads {
		if w.operation != "Encrypt" {
			continue
		}
		if err := writeProfile(o, data, key, w.bytes); err != nil {
			return fmt.Errorf("profiling Encrypt of %d bytes: %w", w.bytes, err)
		}
	}
	return nil
}

// writeProfile has a process of its own for each size, since allocation profiles
// count from the start.
func writeProfile(o *options, data string, key accessKey, size int) error {
	s, err := startChild("keywright", data)
	if err != nil {
		return err
	}
	defer s.stop()
	keyID, err := createKey(s.addr, key)
	if err != nil {
		return err
	}
	bodies, _, err := prepare(s.addr, key, keyID, "Encrypt", size)
	if err != nil {
		return err
	}
	requests, err := sign(s.addr, key, "Encrypt", bodies)
	if err != nil {
		return err
	}
	name := filepath.Join(o.profile, fmt.Sprintf("encrypt-%d", size))
	end, err := s.profile(name+".cpu.pprof", name+".allocs.pprof")
	if err != nil {
		return err
	}
	_, err = load(s, requests, profileConcurrency, o.seconds)
	return errors.Join(err, end())
}
