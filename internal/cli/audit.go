package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/keywright/keywright/internal/audit"
	"github.com/keywright/keywright/internal/server"
)

type auditCmd struct {
	Verify   auditVerifyCmd   `cmd:"" help:"Verify that the audit log is as it was written."`
	Read     auditReadCmd     `cmd:"" help:"Print the records of the audit log, as lines of JSON."`
	NewChain auditNewChainCmd `cmd:"" name:"new-chain" help:"Begin a new audit log, where the old one was lost."`
}

type auditVerifyCmd struct {
	dataFlags
	Dir             string `help:"Folder of a copy of the log, or of an old one. Without a recovery key its hashes alone are verified, and no store is needed. Default audit in the data folder." placeholder:"DIR"`
	RecoveryKey     bool   `help:"Ask for the recovery key, and authenticate all that it can." xor:"recovery"`
	RecoveryKeyFile string `help:"File of the recovery key." placeholder:"FILE" xor:"recovery"`
	JSON            bool   `help:"Print JSON."`
}

// Help implements kong.HelpProvider.
func (c *auditVerifyCmd) Help() string {
	return `Every record is checked against the chain of hashes. That a thief of the server did not make a whole new chain is told by the MACs: the server can check those of the open segment, the recovery key those of all. The exit code is 1 where something is not as it was written.

Nothing tells whether the newest records were cut off, or segments deleted before their time: compare the numbers with what you know.

Examples:

    keywright audit verify --data /var/lib/keywright
    keywright audit verify --data /var/lib/keywright --recovery-key
    keywright audit verify --dir /backup/audit`
}

// Run verifies the audit log.
func (c *auditVerifyCmd) Run(ctx context.Context, s *streams) error {
	report, err := c.verify(ctx, s)
	if err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(s.out, report)
	} else {
		err = printReport(s, report)
	}
	if err == nil && report.Damage != nil {
		err = hinted{errors.New("the audit log is damaged: " + report.Damage.String()), "keep the folder as it is, and compare it with a copy or with what was delivered elsewhere"}
	}
	return err
}

func (c *auditVerifyCmd) verify(ctx context.Context, s *streams) (report *server.AuditReport, err error) {
	recovery := ""
	if c.RecoveryKey || c.RecoveryKeyFile != "" {
		if recovery, err = s.secret(c.RecoveryKeyFile, "recovery key", "--recovery-key-file"); err != nil {
			return nil, err
		}
	} else if c.Dir != "" {
		return server.VerifyAuditFolder(ctx, c.Dir)
	}
	err = c.with(ctx, s, func(o *server.Operator) (err error) {
		if recovery == "" {
			report, err = o.VerifyAudit(ctx)
		} else {
			report, err = o.VerifyAuditWithRecoveryKey(ctx, c.folder(), c.Dir, recovery)
		}
		return err
	})
	return report, err
}

func printReport(s *streams, r *server.AuditReport) error {
	w := bufio.NewWriter(s.out)
	fmt.Fprintf(w, "log: %s\nchain: %s\nsegments: %d\n", r.Folder, r.Chain, r.Segments)
	if r.Records > 0 {
		fmt.Fprintf(w, "records: %d, number %d to %d\n", r.Records, r.FirstSequence, r.LastSequence)
	} else {
		fmt.Fprintln(w, "records: none")
	}
	if r.Frames > 0 {
		fmt.Fprintf(w, "time: %s to %s\n", r.Oldest.Format(timeForm), r.Newest.Format(timeForm))
	}
	if r.Resets > 0 {
		fmt.Fprintf(w, "store put back: %d times, and accepted\n", r.Resets)
	}
	if r.IncompleteBytes > 0 {
		fmt.Fprintf(w, "incomplete at the end: %d bytes, being written or cut off by a crash\n", r.IncompleteBytes)
	}
	switch {
	case r.Damage != nil:
		fmt.Fprintln(w, "authenticated: see the error; what stands above covers what is before it")
	case r.AuthenticatedFrom == 0:
		fmt.Fprintln(w, "authenticated: nothing; the hashes agree, which somebody who rewrites the whole log can bring about")
	case r.AuthenticatedFrom == r.FirstSequence:
		fmt.Fprintf(w, "authenticated: all, with the %s\n", r.AuthenticatedWith)
	default:
		fmt.Fprintf(w, "authenticated: from record %d on, with the %s; of what is before it the hashes agree\n", r.AuthenticatedFrom, r.AuthenticatedWith)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if r.Damage == nil && r.AuthenticatedWith != server.WithRecoveryKey {
		fmt.Fprintln(s.err, "hint: the recovery key authenticates more: --recovery-key or --recovery-key-file")
	}
	return nil
}

type auditReadCmd struct {
	Data     string `help:"Data folder. Default ./keywright-data." placeholder:"DIR" env:"KEYWRIGHT_DATA" xor:"where"`
	Dir      string `help:"Folder of a copy of the log, or of an old one." placeholder:"DIR" xor:"where"`
	From     uint64 `help:"Number of the first record to print. Default the oldest there is." placeholder:"N"`
	Numbered bool   `help:"Print each record within an object that has its number, time and segment too."`
}

// Help implements kong.HelpProvider.
func (c *auditReadCmd) Help() string {
	return `A record is a line: a JSON object in CloudTrail's form. The chain of hashes is checked on the way. No key is needed, and a server may be running.

Examples:

    keywright audit read | jq 'select(.errorCode == "AccessDenied")'
    keywright audit read --from 1000 --numbered`
}

// Run prints the records.
func (c *auditReadCmd) Run(ctx context.Context, s *streams) error {
	dir := c.Dir
	if dir == "" {
		data := dataFlags{Data: c.Data}
		dir = filepath.Join(data.folder(), "audit")
	}
	w := bufio.NewWriterSize(s.out, 64<<10)
	for r, err := range audit.Read(dir, c.From) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = c.print(w, r)
		}
		if err != nil {
			return errors.Join(err, w.Flush())
		}
	}
	return w.Flush()
}

func (c *auditReadCmd) print(w *bufio.Writer, r audit.Record) error {
	if c.Numbered {
		line, err := json.Marshal(struct {
			Sequence uint64          `json:"sequence"`
			Time     time.Time       `json:"time"`
			Segment  string          `json:"segment"`
			Event    json.RawMessage `json:"event"`
		}{r.Sequence, r.Time, r.Segment, r.Event})
		if err != nil {
			return fmt.Errorf("printing record %d: %w", r.Sequence, err)
		}
		r.Event = line
	}
	w.Write(r.Event) // its error is that of the next call
	return w.WriteByte('\n')
}

type auditNewChainCmd struct {
	dataFlags
	RecoveryKeyFile    string `help:"File of the recovery key. Else it is asked for." placeholder:"FILE" xor:"recovery"`
	WithoutRecoveryKey bool   `help:"Begin a log that the recovery key cannot verify from its beginning." xor:"recovery"`
	JSON               bool   `help:"Print JSON."`
}

// Help implements kong.HelpProvider.
func (c *auditNewChainCmd) Help() string {
	return `For a data folder whose audit log was lost or is damaged, so that the server does not start. The server must be stopped. What is left of the old log is moved to a folder beside the new one, whose first record says who did this. The recovery key is needed so that it can verify the new log.

Example:

    keywright audit new-chain --data /var/lib/keywright`
}

// Run begins a new audit log.
func (c *auditNewChainCmd) Run(ctx context.Context, s *streams) (err error) {
	recovery := ""
	if !c.WithoutRecoveryKey {
		if recovery, err = s.secret(c.RecoveryKeyFile, "recovery key", "--recovery-key-file"); err != nil {
			return err
		}
	}
	log := slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	made, err := server.BeginAudit(ctx, c.config(), recovery, log)
	if err != nil {
		return startError(err)
	}
	if c.JSON {
		return printJSON(s.out, made)
	}
	fmt.Fprintf(s.out, "a new audit log begins in %s\n", made.Folder)
	if made.Aside != "" {
		fmt.Fprintf(s.out, "what was left of the old one is in %s\n", made.Aside)
	}
	return nil
}
