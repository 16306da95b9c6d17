package cli

import (
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/keywright/keywright/internal/envelope"
)

// bytesBar shows on a terminal how much of the files was read, how fast, and how
// long the rest will take. A nil one shows nothing.
type bytesBar struct {
	bar *progressbar.ProgressBar
}

// newBytesBar returns nil if stderr is no terminal. A total of 0 is unknown.
func newBytesBar(s *streams, mode envelope.Mode, total int64) *bytesBar {
	f, ok := s.err.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	if total == 0 {
		total = -1
	}
	doing := [...]string{envelope.Encrypt: "encrypting", envelope.Decrypt: "decrypting", envelope.Verify: "verifying", envelope.Rekey: "rekeying"}[mode]
	return &bytesBar{progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(f),
		progressbar.OptionSetDescription(doing),
		progressbar.OptionShowBytes(true),
		progressbar.OptionShowTotalBytes(true),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)}
}

func (b *bytesBar) add(n int) {
	if b != nil {
		b.bar.Add(n)
	}
}

// clear makes room for a line; the bar comes back with the next bytes.
func (b *bytesBar) clear() {
	if b != nil {
		b.bar.Clear()
	}
}
