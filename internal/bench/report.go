package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// report is all that was measured. Times are in the unit that the name says.
type report struct {
	Date     string       `json:"date"`
	Go       string       `json:"go"`
	CPU      string       `json:"cpu"`
	Cores    int          `json:"cores"`
	Folder   string       `json:"folder"`
	Seconds  float64      `json:"secondsPerCell"`
	Requests []requestRow `json:"requests,omitempty"`
	Store    []storeRow   `json:"store,omitempty"`
	SyncsSec float64      `json:"diskSyncsPerSecond,omitempty"`
	Start    []startRow   `json:"start,omitempty"`
	Sizes    []sizeRow    `json:"sizes,omitempty"`
	Streams  []streamRow  `json:"streams,omitempty"`
	Calls    []callRow    `json:"calls,omitempty"`
	Memory   []memoryRow  `json:"streamMemory,omitempty"`
}

type requestRow struct {
	Operation   string `json:"operation"`
	Bytes       int    `json:"bytes"`
	Concurrency int    `json:"concurrency"`
	Server      string `json:"server"`
	outcome
}

type storeRow struct {
	Writers        int     `json:"writers"`
	CommitsSec     float64 `json:"commitsPerSecond"`
	CommitsPerSync float64 `json:"commitsPerSync"`
	P50Millis      float64 `json:"p50Milliseconds"`
	P99Millis      float64 `json:"p99Milliseconds"`
}

type startRow struct {
	What   string  `json:"what"`
	Millis float64 `json:"milliseconds"`
}

type sizeRow struct {
	Keys        int     `json:"keys"`
	StoreMiB    float64 `json:"storeMiB"`
	StartMillis float64 `json:"startMilliseconds"`
	IdleMiB     float64 `json:"idleAnonymousMiB"` // after the first answer
	LoadMiB     float64 `json:"loadedAnonymousMiB"`
	RSSMiB      float64 `json:"loadedMiB"` // with the part of the store that is mapped
	FirstMicros float64 `json:"firstUseCPUMicroseconds"`
	FewMicros   float64 `json:"fewKeysCPUMicroseconds"`
	outcome
}

// streamRow is how fast a stream is beside the ceiling measured in the same
// rounds.
type streamRow struct {
	What    string  `json:"what"`
	MBSec   float64 `json:"megabytesPerSecond"`
	Ceiling string  `json:"ceiling"`
	Ratio   float64 `json:"ofCeiling"`
}

// callRow is streamRow for one call.
type callRow struct {
	What    string  `json:"what"`
	Micros  float64 `json:"microseconds"`
	Ceiling string  `json:"ceiling"`
	Ratio   float64 `json:"ofCeiling"`
}

type memoryRow struct {
	What    string  `json:"what"`
	MiB     float64 `json:"streamMiB"`
	PeakMiB float64 `json:"peakMiB"` // of the whole process
	HeapMiB float64 `json:"heapMiB"` // of Go's heap
}

func newReport(folder string, seconds time.Duration) *report {
	return &report{
		Date: time.Now().UTC().Format(time.DateOnly), Go: runtime.Version(), CPU: cpuModel(), Cores: runtime.NumCPU(),
		Folder: folder, Seconds: seconds.Seconds(),
	}
}

// cpuModel is what Linux calls the processor; elsewhere its architecture.
func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func (r *report) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(out, "%s, %s, %d cores (%s). Data in %s.\n", r.Date, r.Go, r.Cores, r.CPU, r.Folder)
	fmt.Fprintf(out, "Load generator and server share these cores. %.3g seconds a cell.\n", r.Seconds)
	if len(r.Requests) > 0 {
		fmt.Fprint(out, "\nRequests: CPU of the server alone, user and system; heap allocations a request.\n\n")
		fmt.Fprintln(w, "operation\tbytes\tconcurrent\tserver\tus CPU\trequests/s\tp50 us\tp99 us\tallocations\t")
		for _, c := range r.Requests {
			fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%.1f\t%.0f\t%.0f\t%.0f\t%.0f\t\n", c.Operation, c.Bytes, c.Concurrency, c.Server, c.CPUMicros, c.RequestsSec, c.P50Micros, c.P99Micros, c.Allocations)
		}
		w.Flush()
	}
	if len(r.Store) > 0 {
		fmt.Fprintf(out, "\nStore: durable changes of 512 bytes. The disk alone does %.0f synced writes of 4 KiB a second.\n\n", r.SyncsSec)
		fmt.Fprintln(w, "writers\tchanges/s\tchanges a sync\tp50 ms\tp99 ms\t")
		for _, s := range r.Store {
			fmt.Fprintf(w, "%d\t%.0f\t%.1f\t%.2f\t%.2f\t\n", s.Writers, s.CommitsSec, s.CommitsPerSync, s.P50Millis, s.P99Millis)
		}
		w.Flush()
	}
	if len(r.Start) > 0 {
		fmt.Fprintf(out, "\nStart: from exec of the binary to its first answer to Encrypt, median of %d.\n\n", startRuns)
		fmt.Fprintln(w, "server\tms\t")
		for _, s := range r.Start {
			fmt.Fprintf(w, "%s\t%.1f\t\n", s.What, s.Millis)
		}
		w.Flush()
	}
	if len(r.Sizes) > 0 {
		fmt.Fprintf(out, "\nSizes: Encrypt of 32 bytes, %d at a time, with up to %d keys chosen at random: the first time, when a key is in\nno cache; then with %d of these again and again, as many in each store; then with all of them. Idle and loaded are\nthe memory of the process itself; resident counts the mapped part of the store too, which the system can take back.\n\n", sizesConcurrency, sizesDistinct, sizesFew)
		fmt.Fprintln(w, "keys\tstore MiB\tstart ms\tidle MiB\tloaded MiB\tresident MiB\tus CPU first\tfew\tall\trequests/s\tp50 us\tp99 us\t")
		for _, s := range r.Sizes {
			fmt.Fprintf(w, "%d\t%.0f\t%.1f\t%.0f\t%.0f\t%.0f\t%.1f\t%.1f\t%.1f\t%.0f\t%.0f\t%.0f\t\n", s.Keys, s.StoreMiB, s.StartMillis, s.IdleMiB, s.LoadMiB, s.RSSMiB, s.FirstMicros, s.FewMicros, s.CPUMicros, s.RequestsSec, s.P50Micros, s.P99Micros)
		}
		w.Flush()
	}
	if len(r.Streams) > 0 {
		fmt.Fprint(out, "\nStreams: 64 MiB in frames of 4096 bytes, from memory to nowhere. What is compared takes turns, in another\norder each round, with its ceiling, the row with ratio 1 above it; medians.\n\n")
		fmt.Fprintln(w, "stream\tMB/s\tof ceiling\t")
		for _, s := range r.Streams {
			fmt.Fprintf(w, "%s\t%.0f\t%.2f\t\n", s.What, s.MBSec, s.Ratio)
		}
		w.Flush()
	}
	if len(r.Calls) > 0 {
		fmt.Fprint(out, "\nEnvelope calls, unsigned, compared in the same way.\n\n")
		fmt.Fprintln(w, "call\tus\tof ceiling\t")
		for _, c := range r.Calls {
			fmt.Fprintf(w, "%s\t%.1f\t%.2f\t\n", c.What, c.Micros, c.Ratio)
		}
		w.Flush()
	}
	if len(r.Memory) > 0 {
		fmt.Fprint(out, "\nStream memory: one process encrypts and decrypts at the same time. Resident is its largest resident set, with the\nprogram itself; heap is what Go took from the system for its heap.\n\n")
		fmt.Fprintln(w, "stream\tMiB\tresident MiB\theap MiB\t")
		for _, m := range r.Memory {
			fmt.Fprintf(w, "%s\t%.0f\t%.1f\t%.1f\t\n", m.What, m.MiB, m.PeakMiB, m.HeapMiB)
		}
		w.Flush()
	}
	return nil
}
