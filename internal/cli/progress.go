package cli

import (
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// bar shows how far a long command is. It is shown on a terminal only.
type bar struct {
	bar *progressbar.ProgressBar
}

func newBar(s *streams, doing, unit string) *bar {
	f, ok := s.err.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return &bar{}
	}
	return &bar{progressbar.NewOptions64(-1,
		progressbar.OptionSetWriter(f),
		progressbar.OptionSetDescription(doing),
		progressbar.OptionSetItsString(unit),
		progressbar.OptionShowCount(),
		progressbar.OptionClearOnFinish(),
	)}
}

// records is a server.Progress.
func (b *bar) records(done, total int) {
	if b.bar != nil {
		b.bar.ChangeMax(total)
		b.bar.Set(done)
	}
}

// Write counts bytes.
func (b *bar) Write(p []byte) (int, error) {
	if b.bar != nil {
		b.bar.Add(len(p))
	}
	return len(p), nil
}

// restored counts the records of a backup.
func (b *bar) restored(records int, _ int64) { b.records(records, -1) }

func (b *bar) end() {
	if b.bar != nil {
		b.bar.Clear()
	}
}
