package journal

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"ssobridge/store"
)

// Content is what the journal says.
type Content struct {
	Words  []store.Revocation // in their order, without those that were withdrawn
	Begun  bool               // there is a journal
	Since  time.Time          // from when on it knows everything
	Seen   Mark               // how far the database had come when it was last seen
	Faults []string           // what is wrong with it; then it is not whole
}

// Read reads all of the journal, and of the sink, where there is one. A line whose MAC does not hold says nothing.
// One that holds counts, also beside faults: nobody else can have made it.
func (j *Journal) Read(ctx context.Context) (c Content, err error) {
	err = j.locked(ctx, func() error {
		r := reader{j: j, last: map[string]line{}, known: map[string]bool{"": true}}
		here, err := r.file(j.Path(), false)
		if err != nil {
			return err
		}
		c.Begun, c.Since, c.Faults = here.begun, here.since, here.faults
		if j.o.Sink != "" {
			there, err := r.file(j.o.Sink, true)
			switch {
			case err != nil:
				c.Faults = append(c.Faults, fmt.Sprintf("audit.sink can't be read: %v", err))
			case !c.Begun && there.begun:
				// The folder is lost, and the sink has all that was in it.
				c.Begun, c.Since, c.Faults = true, there.since, append(c.Faults, there.faults...)
			}
		}
		c.Seen = j.readMark()
		c.Words = r.words()
		if n := len(c.Words); c.Begun && c.Seen.Seq > 0 && (n == 0 || c.Words[n-1].Seq < c.Seen.Seq) {
			c.Faults = append(c.Faults, fmt.Sprintf("%s: its end is missing: it had word %d", j.Path(), c.Seen.Seq))
		}
		return nil
	})
	return c, err
}

// reader collects the last line of each entry.
type reader struct {
	j     *Journal
	last  map[string]line
	known map[string]bool // MACs of lines that were read
	stale bool            // a MAC was made with a secret key that is not the first any more
}

type readFile struct {
	begun  bool
	since  time.Time
	faults []string
}

const maxFaults = 5

func (r *reader) file(path string, sink bool) (out readFile, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	defer func() { _ = f.Close() }() // it was only read
	n, before := 0, ""
	var ended time.Time                                          // by the line at the end of a copy; zero: it goes on
	key := fmt.Sprintf("%x", r.j.o.Voucher.MAC(linePurpose))[:8] // a MAC begins with the id of its key
	fault := func(text string) {
		if len(out.faults) < maxFaults {
			out.faults = append(out.faults, fmt.Sprintf("%s, line %d: %s", path, n, text))
		}
	}
	_, err = eachLine(f, func(text []byte) {
		n++
		var l line
		if err := json.Unmarshal(text, &l); err != nil || l.Kind == "" {
			if !sink { // the sink has other lines too
				fault("it is none of the journal's")
			}
			return
		}
		if !r.j.holds(l) {
			fault("it was changed, or made with another secret_key")
			return
		}
		switch {
		case l.Kind == own && l.Word == begun:
			// A journal begins anew where older lines were left out. In the sink, Object is what stood there last.
			if !out.begun || l.At.Before(out.since) || !sink {
				out.since = l.At
			}
			out.begun = true
			if l.Object != "" {
				r.known[l.Object] = true
			}
		case sink && !r.known[l.Before], !sink && l.Before != before:
			fault("lines before it are missing")
		case n == 1 && !sink:
			fault("the beginning is missing")
		}
		if before = l.MAC; l.Kind == own && l.Word == copied {
			ended = l.At
		} else {
			ended = time.Time{}
		}
		r.known[l.MAC] = true
		r.stale = r.stale || !strings.HasPrefix(l.MAC, key)
		r.take(l)
	})
	if !ended.IsZero() && !sink {
		fault("it is the copy that went with a backup of " + ended.UTC().Format("2006-01-02 15:04:05 MST") +
			", and does not know what was revoked since")
	}
	return out, err
}

// take keeps the line, unless a later one of the same entry was read.
func (r *reader) take(l line) {
	if l.Entry == "" {
		return
	}
	if was, there := r.last[l.Entry]; there && was.Seq > l.Seq {
		return
	}
	r.last[l.Entry] = l
}

func (r *reader) words() []store.Revocation {
	all := make([]store.Revocation, 0, len(r.last))
	for _, l := range r.last {
		if l.Kind != own {
			all = append(all, l.Revocation)
		}
	}
	slices.SortFunc(all, func(a, b store.Revocation) int {
		return cmp.Or(cmp.Compare(a.Seq, b.Seq), a.At.Compare(b.At), cmp.Compare(allows(b), allows(a)),
			cmp.Compare(a.Entry, b.Entry))
	})
	return all
}

// allows puts, of two words of one number, the one that revokes last, so that it counts.
func allows(r store.Revocation) int {
	if r.Word == store.Allowed {
		return 1
	}
	return 0
}

// Prune leaves out what is older than before, and makes the MACs anew that an older secret key made. With a fault
// in it, it stays as it is: an admin is to see that. It returns how many lines went.
func (j *Journal) Prune(ctx context.Context, before time.Time) (gone int, err error) {
	err = j.locked(ctx, func() error {
		if j.state.file == nil {
			return nil
		}
		r := reader{j: j, last: map[string]line{}, known: map[string]bool{}}
		here, err := r.file(j.Path(), false)
		if err != nil || len(here.faults) > 0 {
			return err
		}
		all := r.words()
		var kept []store.Revocation
		for i, w := range all {
			if !w.At.Before(before) || i == len(all)-1 { // the last one stays: without it the end would seem cut off
				kept = append(kept, w)
			}
		}
		if gone = len(all) - len(kept); gone == 0 && !r.stale {
			return nil
		}
		since := here.since
		if gone > 0 && since.Before(before) {
			since = before
		}
		text, last := j.encode(append([]store.Revocation{{Kind: own, Word: begun, At: since}}, kept...), "")
		if err := replaceFile(j.Path(), text); err != nil {
			return fmt.Errorf("write %s: %w", j.Path(), err)
		}
		j.state = position{}
		if err := j.refresh(); err != nil {
			return err
		}
		// The mark too: the secret key that made it may be removed next.
		if m := j.readMark(); m.Seq > 0 || m.Audit > 0 {
			if err := j.writeMark(m); err != nil {
				return err
			}
		}
		// What follows in the sink goes on from here.
		text, _ = j.encode([]store.Revocation{{Kind: own, Word: begun, Object: last, At: since}}, "")
		return j.toSink(text)
	})
	return gone, err
}
