package journal_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ssobridge/certs"
	"ssobridge/cmd/internal/journal"
	"ssobridge/store"
)

// sealer is one for the secret keys of these letters, the first in use.
func sealer(t *testing.T, letters string) *certs.Sealer {
	t.Helper()
	var secrets [][]byte
	for _, l := range []byte(letters) {
		secrets = append(secrets, bytes.Repeat([]byte{l}, certs.MinSecret))
	}
	s, err := certs.NewSealer(secrets...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type fixture struct {
	*journal.Journal
	t    *testing.T
	dir  string
	sink string
	now  time.Time
}

func open(t *testing.T, dir, sink, secrets string) *fixture {
	t.Helper()
	f := &fixture{t: t, dir: dir, sink: sink, now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	f.Journal = journal.New(journal.Options{
		Dir: dir, Sink: sink, Voucher: sealer(t, secrets), Now: func() time.Time { return f.now },
		Logger: slog.New(slog.DiscardHandler),
	})
	return f
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) read() journal.Content {
	f.t.Helper()
	c, err := f.Read(context.Background())
	f.must(err)
	return c
}

// said are the words of a content in short.
func said(c journal.Content) (all []string) {
	for _, w := range c.Words {
		all = append(all, fmt.Sprintf("%d %s %s", w.Seq, w.Object, w.Word))
	}
	return all
}

func word(seq int64, object, what string) store.Revocation {
	return store.Revocation{Seq: seq, Entry: fmt.Sprintf("%s-%s-%d", object, what, seq), Kind: store.UserObject,
		Object: object, Word: what, At: time.Date(2026, 11, 1, 12, 0, int(seq), 0, time.UTC)}
}

// source is a database.
type source struct {
	words    []store.Revocation
	standing store.Standing
}

func (s source) Standing(context.Context) (store.Standing, error) { return s.standing, nil }

func (s source) After(_ context.Context, seq int64, limit int) (all []store.Revocation, err error) {
	for _, w := range s.words {
		if w.Seq > seq && len(all) < limit {
			all = append(all, w)
		}
	}
	return all, nil
}

// ID-16
func TestJournal(t *testing.T) {
	ctx := context.Background()
	f := open(t, t.TempDir(), "", "a")
	if c := f.read(); c.Begun || len(c.Faults) > 0 {
		t.Errorf("nothing is there: %+v", c)
	}
	since := f.now.Add(-time.Hour)
	f.must(f.Begin(ctx, since))
	f.must(f.Begin(ctx, f.now)) // once
	first := []store.Revocation{word(1, "x", store.SwitchedOff)}
	f.must(f.Before(ctx, first))
	f.After(ctx, first, true)
	// One whose commit failed, and one of the same number that did not.
	lost := []store.Revocation{word(2, "y", store.SwitchedOff)}
	f.must(f.Before(ctx, lost))
	f.After(ctx, lost, false)
	f.After(ctx, []store.Revocation{word(2, "x", store.Allowed)}, true)
	want := []string{"1 x off", "2 x allowed"}
	c := f.read()
	if !slices.Equal(said(c), want) || !c.Begun || !c.Since.Equal(since) || c.Seen.Seq != 2 || len(c.Faults) > 0 {
		t.Errorf("%q, %+v, want %q", said(c), c, want)
	}
	if info, err := os.Stat(f.Path()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}

	// Others read of in the database; what is there already is not written twice.
	st := store.Standing{Seq: 5, Audit: 10}
	from := source{standing: st, words: []store.Revocation{word(1, "x", store.SwitchedOff), word(2, "x", store.Allowed),
		word(3, "z", store.SwitchedOff), word(5, "z", store.Allowed)}}
	f.must(f.Before(ctx, []store.Revocation{word(3, "z", store.SwitchedOff)}))
	f.must(f.Follow(ctx, from))
	f.must(f.Follow(ctx, from))
	want = append(want, "3 z off", "5 z allowed")
	if c := f.read(); !slices.Equal(said(c), want) || c.Seen.Seq != 5 || c.Seen.Audit != 10 {
		t.Errorf("%q, %+v, want %q", said(c), c.Seen, want)
	}
	if raw, _ := os.ReadFile(f.Path()); bytes.Count(raw, []byte("z-off-3")) != 1 {
		t.Errorf("written twice:\n%s", raw)
	}
	// A database that is behind is none to follow.
	for name, st := range map[string]store.Standing{
		"fewer words": {Seq: 4, Audit: 10}, "fewer events": {Seq: 5, Audit: 9}, "elsewhere": {Seq: 5, Audit: 10,
			Place: "b", WasAt: "a"},
	} {
		if err := f.Follow(ctx, source{standing: st}); !errors.Is(err, journal.ErrRestored) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// its place is known for the first time
	f.must(f.Follow(ctx, source{standing: store.Standing{Seq: 5, Audit: 11, Place: "a"}}))
	// Another database is none to follow, however far it has come, unless it is the same one that was moved there.
	further := store.Standing{Seq: 5, Audit: 20, Place: "b", WasAt: "b"}
	if err := f.Follow(ctx, source{standing: further}); !errors.Is(err, journal.ErrRestored) {
		t.Errorf("another database: %v", err)
	}
	if c := f.read(); !c.Seen.Another(further) || c.Seen.Place != "a" || c.Seen.Audit != 11 {
		t.Errorf("the mark, after another database: %+v", c.Seen)
	}
	if (journal.Mark{Audit: 11, Place: "a"}).Another(further) {
		t.Error("a database in which nothing was revoked keeps from all others")
	}
	further.Former = "a"
	f.must(f.Follow(ctx, source{standing: further}))
	if c := f.read(); c.Seen.Place != "b" || c.Seen.Audit != 20 {
		t.Errorf("the mark, after the database was moved: %+v", c.Seen)
	}

	// Another process goes on with the same file.
	g := open(t, f.dir, "", "a")
	g.must(g.Before(ctx, []store.Revocation{word(6, "q", store.Revoked)}))
	f.must(f.Before(ctx, []store.Revocation{word(7, "r", store.Revoked)}))
	if c := g.read(); len(c.Faults) > 0 || len(c.Words) != 6 {
		t.Errorf("two processes: %+v", c)
	}
	// What a crash left of a line is no line, and no fault.
	file, err := os.OpenFile(f.Path(), os.O_WRONLY|os.O_APPEND, 0)
	f.must(err)
	_, err = file.WriteString(`{"seq":8,"entry":"half`)
	f.must(errors.Join(err, file.Close()))
	f.must(f.Before(ctx, []store.Revocation{word(8, "s", store.Revoked)}))
	if c := g.read(); len(c.Faults) > 0 || len(c.Words) != 7 {
		t.Errorf("after a crash: %+v", c)
	}
}

// SET-04: the copy that goes with a backup says that it is one. What was revoked after it is not taken for all there
// is, and the journal itself goes on as if nothing had been copied.
func TestJournalCopy(t *testing.T) {
	ctx := context.Background()
	f := open(t, t.TempDir(), "", "a")
	if text, err := f.Copy(ctx); text != nil || err != nil {
		t.Errorf("of no journal: %q, %v", text, err)
	}
	f.must(f.Begin(ctx, f.now))
	f.must(f.Before(ctx, []store.Revocation{word(1, "x", store.SwitchedOff)}))
	text, err := f.Copy(ctx)
	f.must(err)
	f.must(f.Before(ctx, []store.Revocation{word(2, "y", store.SwitchedOff)}))
	if c := f.read(); len(c.Faults) > 0 || len(c.Words) != 2 {
		t.Errorf("the journal itself: %+v", c)
	}
	other := open(t, t.TempDir(), "", "a")
	f.must(os.WriteFile(other.Path(), text, 0o600))
	if c := other.read(); len(c.Words) != 1 || len(c.Faults) != 1 || !strings.Contains(c.Faults[0],
		"does not know what was revoked since") {
		t.Errorf("the copy: %+v", c)
	}
	// It can be gone on with, once somebody has accepted what it lacks.
	f.must(other.Before(ctx, []store.Revocation{word(2, "z", store.SwitchedOff)}))
	if c := other.read(); len(c.Faults) > 0 || len(c.Words) != 2 {
		t.Errorf("gone on with: %+v", c)
	}
	// Its end can't be cut off unseen, where the mark says how far the database was.
	if cut := open(t, t.TempDir(), "", "b"); os.WriteFile(cut.Path(), text, 0o600) == nil && len(cut.read().Faults) == 0 {
		t.Error("a copy that another installation made counts")
	}
}

func TestJournalByManyProcesses(t *testing.T) {
	dir := t.TempDir()
	var wait sync.WaitGroup
	for p := range 4 {
		j := open(t, dir, "", "a")
		wait.Go(func() {
			for i := range 25 {
				if err := j.Before(context.Background(), []store.Revocation{word(int64(100*p+i), "o", store.Revoked)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	// The first line is no beginning: nobody began it.
	if c := open(t, dir, "", "a").read(); len(c.Words) != 100 || len(c.Faults) != 1 {
		t.Errorf("%d words, faults %q", len(c.Words), c.Faults)
	}
}

// Lines that somebody changed, cut out or made are noticed, and those that hold count all the same.
func TestJournalTampered(t *testing.T) {
	ctx := context.Background()
	make := func(t *testing.T, secrets string) *fixture {
		f := open(t, t.TempDir(), "", secrets)
		f.must(f.Begin(ctx, f.now))
		for i := range 3 {
			f.must(f.Before(ctx, []store.Revocation{word(int64(i+1), string(rune('x'+i)), store.SwitchedOff)}))
		}
		return f
	}
	for name, c := range map[string]struct {
		change func(lines []string) []string
		left   int
	}{
		"changed":         {func(l []string) []string { l[2] = strings.Replace(l[2], `"off"`, `"allowed"`, 1); return l }, 2},
		"a line is gone":  {func(l []string) []string { return slices.Delete(l, 2, 3) }, 2},
		"the first gone":  {func(l []string) []string { return l[1:] }, 3},
		"two are swapped": {func(l []string) []string { l[1], l[2] = l[2], l[1]; return l }, 3},
		"made up": {func(l []string) []string {
			return slices.Insert(l, 2,
				`{"seq":9,"entry":"e","kind":"user","object":"o","word":"off","at":"2026-11-01T12:00:00Z","before":"","mac":"`+
					hex.EncodeToString(make(t, "z").fakeMAC())+`"}`)
		}, 3},
		"no JSON":     {func(l []string) []string { l[1] = "{"; return l }, 2},
		"a long line": {func(l []string) []string { l[1] = strings.Repeat("x", 9000); return l }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			f := make(t, "a")
			raw, err := os.ReadFile(f.Path())
			f.must(err)
			lines := c.change(strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n"))
			f.must(os.WriteFile(f.Path(), []byte(strings.Join(lines, "\n")+"\n"), 0o600))
			got := open(t, f.dir, "", "a").read()
			if len(got.Faults) == 0 || len(got.Words) != c.left {
				t.Errorf("faults %q, %d words, want %d", got.Faults, len(got.Words), c.left)
			}
			// It stays as it is, for whoever looks into it.
			if n, err := open(t, f.dir, "", "a").Prune(ctx, f.now.Add(time.Hour)); n != 0 || err != nil {
				t.Errorf("pruned %d, %v", n, err)
			}
		})
	}
	t.Run("another secret key", func(t *testing.T) {
		f := make(t, "a")
		if got := open(t, f.dir, "", "b").read(); len(got.Words) != 0 || len(got.Faults) == 0 {
			t.Errorf("%+v", got)
		}
		if got := open(t, f.dir, "", "ba").read(); len(got.Words) != 3 || len(got.Faults) != 0 {
			t.Errorf("with both: %+v", got)
		}
	})
	t.Run("its end is gone", func(t *testing.T) {
		f := make(t, "a")
		f.must(f.SetMark(ctx, journal.Mark{Seq: 3}))
		raw, err := os.ReadFile(f.Path())
		f.must(err)
		f.must(os.WriteFile(f.Path(), raw[:bytes.LastIndexByte(raw[:len(raw)-1], '\n')+1], 0o600))
		if got := f.read(); len(got.Words) != 2 || len(got.Faults) != 1 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("a forged mark", func(t *testing.T) {
		f := make(t, "a")
		f.must(os.WriteFile(filepath.Join(f.dir, "revocations.mark"),
			[]byte(`{"seq":99,"audit":99,"at":"2026-11-01T12:00:00Z","mac":"00"}`), 0o600))
		if got := f.read(); got.Seen.Seq != 0 {
			t.Errorf("%+v", got.Seen)
		}
	})
}

func (f *fixture) fakeMAC() []byte { return sealer(f.t, "z").MAC("revocation journal") }

// What is older than the audit goes; the MACs are made anew when the secret key was replaced. The sink goes on.
func TestJournalPruned(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	sink := filepath.Join(dir, "sink.jsonl")
	f := open(t, dir, sink, "a")
	f.must(f.Begin(ctx, f.now.Add(-time.Hour)))
	f.must(f.Before(ctx, []store.Revocation{word(1, "x", store.SwitchedOff), word(2, "y", store.SwitchedOff)}))
	g := open(t, dir, sink, "ba")
	before := word(2, "", "").At
	if n, err := g.Prune(ctx, before); n != 1 || err != nil {
		t.Fatalf("pruned %d, %v", n, err)
	}
	g.must(g.Before(ctx, []store.Revocation{word(3, "z", store.SwitchedOff)}))
	c := open(t, dir, "", "b").read()
	if want := []string{"2 y off", "3 z off"}; !slices.Equal(said(c), want) || len(c.Faults) > 0 ||
		!c.Since.Equal(before) {
		t.Errorf("%q, %+v, want %q", said(c), c, want)
	}
	if n, err := g.Prune(ctx, before); n != 0 || err != nil {
		t.Errorf("pruned again: %d, %v", n, err)
	}
	f.must(f.Before(ctx, []store.Revocation{word(4, "q", store.SwitchedOff)})) // by a process that had the old file open

	// The folder is lost: the sink has all of it, and lines of others beside.
	file, err := os.OpenFile(sink, os.O_WRONLY|os.O_APPEND, 0)
	f.must(err)
	_, err = file.WriteString(`{"seq":7,"hash":"aa","at":"2026-11-01T12:00:00Z","signature":"bb"}` + "\n")
	f.must(errors.Join(err, file.Close()))
	c = open(t, t.TempDir(), sink, "ba").read()
	if want := []string{"1 x off", "2 y off", "3 z off", "4 q off"}; !slices.Equal(said(c), want) || len(c.Faults) > 0 ||
		!c.Begun || !c.Since.Equal(f.now.Add(-time.Hour)) {
		t.Errorf("from the sink: %q, %+v", said(c), c)
	}
	raw, err := os.ReadFile(sink)
	f.must(err)
	lines := strings.Split(string(raw), "\n")
	f.must(os.WriteFile(sink, []byte(strings.Join(slices.Delete(lines, 1, 2), "\n")), 0o600))
	if c := open(t, t.TempDir(), sink, "ba").read(); len(c.Faults) == 0 {
		t.Errorf("a line of the sink is gone: %+v", c)
	}
}

// A disk that takes nothing is told of until it does.
func TestJournalFault(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "state")
	f := open(t, dir, "", "a")
	if err := f.Before(ctx, []store.Revocation{word(1, "x", store.Revoked)}); err == nil || f.Fault() == "" {
		t.Errorf("%v, fault %q", err, f.Fault())
	}
	f.After(ctx, []store.Revocation{word(1, "x", store.Revoked)}, true)
	f.must(os.Mkdir(dir, 0o700))
	f.must(f.Follow(ctx, source{standing: store.Standing{Seq: 1}, words: []store.Revocation{word(1, "x", store.Revoked)}}))
	if c := f.read(); f.Fault() != "" || len(c.Words) != 1 {
		t.Errorf("fault %q, %+v", f.Fault(), c)
	}
}
