package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/keywright/keywright/esdk"
	"github.com/keywright/keywright/esdk/suite"
)

const (
	readAtSize   = 4 << 10
	readAtStream = 1 << 30 // bytes of the message that is read at random
	memoryStream = 1 << 30 // of that whose memory is measured; ten times as many with -full
)

// zeros is a plaintext of so many bytes.
type zeros int64

func (z *zeros) Read(p []byte) (int, error) {
	if *z == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), int64(*z)))
	clear(p[:n])
	*z -= zeros(n)
	return n, nil
}

// encryptStream writes a message of so many zeros.
func (e *envelope) encryptStream(dst io.Writer, size int64) error {
	w, err := e.NewWriter(context.Background(), dst, e.Manager, esdk.EncryptOptions{PlaintextBound: size})
	if err != nil {
		return err
	}
	plaintext := zeros(size)
	if _, err := io.Copy(w, &plaintext); err != nil {
		return err
	}
	return w.Close()
}

func measureReadAt(o *options, r *report) error {
	progress("streams: reading at random")
	e, err := newEnvelope(suite.AES256GCMCommit, 2)
	if err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(o.dir, "message"))
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	size := o.bytes(readAtStream)
	if err := e.encryptStream(f, size); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	at, err := e.NewReaderAt(context.Background(), f, info.Size(), e.Manager, esdk.DecryptOptions{})
	if err != nil {
		return err
	}
	aead, err := newGCM()
	if err != nil {
		return err
	}
	p, out, nonce := make([]byte, readAtSize), make([]byte, 0, 2*readAtSize), make([]byte, 12)
	return r.addCalls(o, []streamer{
		times("read 4 KiB of a file, and AES-256-GCM over it", func() error {
			if _, err := f.ReadAt(p, rand.Int64N(size-readAtSize)); err != nil {
				return err
			}
			aead.Seal(out, nonce, p, nil)
			return nil
		}),
		times(fmt.Sprintf("ReadAt of 4 KiB anywhere in %d MiB", size>>20), func() error {
			_, err := at.ReadAt(p, rand.Int64N(size-readAtSize))
			return err
		}),
	})
}

// streamRoleName is the role of a child that streams and tells its memory.
const streamRoleName = "stream"

// streamMemory is what that child tells.
type streamMemory struct {
	PeakRSS int64  `json:"peakRSS"` // bytes of the whole process; 0 where the system does not tell
	Heap    int64  `json:"heap"`    // bytes the Go heap had obtained at its largest
	Error   string `json:"error,omitempty"`
}

// runStreamRole encrypts and decrypts that many bytes, in one process and at the
// same time. Its arguments are the size and the suite.
func runStreamRole(args []string) (m streamMemory) {
	size, err := strconv.ParseInt(args[0], 10, 64)
	if err == nil {
		err = streamThrough(size, args[1] == "signed")
	}
	if err != nil {
		m.Error = err.Error()
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	m.Heap, m.PeakRSS = int64(mem.HeapSys), peakRSS()
	return m
}

func streamThrough(size int64, signed bool) error {
	id := suite.AES256GCMCommit
	if signed {
		id = suite.AES256GCMCommitP384
	}
	e, err := newEnvelope(id, 2)
	if err != nil {
		return err
	}
	from, to := io.Pipe()
	go func() { to.CloseWithError(e.encryptStream(to, size)) }()
	r, err := e.NewReader(context.Background(), from, e.Manager, esdk.DecryptOptions{})
	if err != nil {
		return err
	}
	n, err := io.Copy(justWriter{io.Discard}, r)
	if err == nil && n != size {
		err = fmt.Errorf("%d bytes decrypted of %d", n, size)
	}
	return err
}

// peakRSS reads the largest resident set the process had from where Linux shows
// it.
func peakRSS() int64 {
	text, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}

func measureStreamMemory(o *options, r *report) error {
	size := o.bytes(memoryStream)
	if o.full {
		size *= 10
	}
	for _, kind := range []string{"unsigned", "signed"} {
		progress("streams: memory of %d MiB, %s", size>>20, kind)
		m, err := startStream(size, kind)
		if err != nil {
			return err
		}
		r.Memory = append(r.Memory, memoryRow{What: kind, MiB: mebibytes(size), PeakMiB: mebibytes(m.PeakRSS), HeapMiB: mebibytes(m.Heap)})
	}
	return nil
}

// startStream runs runStreamRole in a process of its own.
func startStream(size int64, kind string) (m streamMemory, err error) {
	self, err := os.Executable()
	if err != nil {
		return m, err
	}
	cmd := exec.Command(self, roleArgument, streamRoleName, strconv.FormatInt(size, 10), kind)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return m, fmt.Errorf("streaming in a process of its own: %w", err)
	}
	if err := json.Unmarshal(out, &m); err != nil {
		return m, fmt.Errorf("streaming in a process of its own: %w", err)
	}
	if m.Error != "" {
		return m, fmt.Errorf("streaming in a process of its own: %s", m.Error)
	}
	return m, nil
}
