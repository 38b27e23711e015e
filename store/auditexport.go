package store

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// exportPage is how many events are read at once.
const exportPage = 500

// ExportEnd is the action of the last line of a whole export.
const ExportEnd = "export-end"

// exportSum counts what an export has written.
type exportSum struct {
	w    io.Writer
	hash hash.Hash
}

func (s *exportSum) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.hash.Write(p[:n])
	return n, err
}

// Export writes the events of a filter, oldest first: as JSON lines ("jsonl") or as CSV with a head ("csv"). The last
// line is no event: its action is ExportEnd, and it tells how many events there were and the SHA-256 of all bytes
// before it. An export without it broke off. It reads in pages, so that a slow w holds no transaction open. In CSV, a
// cell that a spreadsheet would take for a formula stands behind an apostrophe: events hold what strangers sent.
func (a *Audit) Export(ctx context.Context, w io.Writer, f Filter, format string) error {
	const what = "export audit events"
	sum := &exportSum{w: w, hash: sha256.New()}
	out := bufio.NewWriter(sum)
	var write func(Event) error
	flush := out.Flush
	switch format {
	case "jsonl":
		lines := json.NewEncoder(out)
		lines.SetEscapeHTML(false)
		write = func(e Event) error { return lines.Encode(e) }
	case "csv":
		rows := csv.NewWriter(out)
		if err := rows.Write([]string{"id", "at", "ref", "actor", "action", "subject", "account", "sp", "address", "outcome",
			"reason", "detail", "foreign"}); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		write = func(e Event) error {
			cells := []string{
				strconv.FormatInt(e.ID, 10), e.At.UTC().Format(time.RFC3339Nano), e.Ref, e.Actor, e.Action, e.Subject,
				string(e.Account), e.SP,
				e.Address, e.Outcome, e.Reason, string(e.Detail), map[bool]string{true: "foreign"}[e.Foreign],
			}
			for i := range cells {
				cells[i] = guarded(cells[i])
			}
			return rows.Write(cells)
		}
		flush = func() error {
			rows.Flush()
			if err := rows.Error(); err != nil {
				return err
			}
			return out.Flush()
		}
	default:
		return fmt.Errorf("%s: format %.40q is not known: want csv or jsonl", what, format)
	}
	count := 0
	for last := int64(0); ; {
		c := f.conditions()
		c.text.WriteString(" AND id > " + c.param(last))
		if f.Before > 0 {
			c.text.WriteString(" AND id < " + c.param(f.Before))
		}
		c.text.WriteString(" ORDER BY id LIMIT " + c.param(exportPage))
		events, err := a.events(ctx, c)
		if err != nil {
			return a.db.explain(what, err)
		}
		for _, e := range events {
			if err := write(e); err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			last = e.ID
			count++
		}
		if len(events) < exportPage {
			break
		}
	}
	if err := flush(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	end := Event{At: a.db.now().UTC(), Action: ExportEnd, Outcome: "ok"}
	// they always encode
	end.Detail = DetailOf(map[string]any{"events": count, "sha256": hex.EncodeToString(sum.hash.Sum(nil))})
	if err := errors.Join(write(end), flush()); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// guarded keeps a cell from being a formula. One that begins with an apostrophe gets
// one more, so that the first can always be taken off. The wide forms are for
// spreadsheets in Chinese and Japanese.
func guarded(cell string) string {
	first, _ := utf8.DecodeRuneInString(cell)
	if cell != "" && strings.ContainsRune("'=+-@\t\r\n＝＋－＠", first) {
		return "'" + cell
	}
	return cell
}
