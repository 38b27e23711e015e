package idp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ssobridge/idp"
	"ssobridge/store"
)

// keepRefusal has one request refused, and tells whether it may leave a trace and log lines of its own.
func keepRefusal(s *idp.Footprints, address, reason string, known bool) (kept bool) {
	_, f := s.Begin(context.Background(), address)
	if known {
		f.Known()
	}
	f.Refused(reason)
	kept = !f.Over()
	f.Done()
	return kept
}

func counts(s *idp.Footprints) map[string]int64 {
	sums := map[string]int64{}
	for _, n := range s.Counted() {
		sums[n.Reason] += n.Requests
	}
	return sums
}

// TestRefusalsOfAKind: the first ten in a second of a kind are kept, also of people who are known; the rest is counted,
// by reason. A flood of one kind takes no room of another one's (row COST-01).
func TestRefusalsOfAKind(t *testing.T) {
	at := start.Truncate(time.Minute)
	s := idp.NewFootprints(func() time.Time { return at })
	many := func(n int, reason string, known bool) (kept int) {
		for i := range n {
			if keepRefusal(s, fmt.Sprintf("198.51.%d.%d", i/250%250, i%250), reason, known) {
				kept++
			}
		}
		return kept
	}
	if n := many(1000, idp.ReasonUnknownRelayState, true); n != 10 {
		t.Errorf("known people: %d of 1,000 in a second are kept, want 10", n)
	}
	if n := many(1000, idp.ReasonUnknownRelayState, false); n != 10 {
		t.Errorf("strangers, the same reason: %d of 1,000 in a second are kept, want 10", n)
	}
	if !keepRefusal(s, "192.0.2.1", idp.ReasonDirectoryDown, true) {
		t.Error("in the middle of it, one person's refusal for another reason is only counted")
	}
	at = at.Add(time.Second)
	if n := many(1000, idp.ReasonUnknownRelayState, true); n != 10 {
		t.Errorf("a second later: %d of 1,000 are kept, want 10", n)
	}
	if got, want := counts(s), map[string]int64{idp.ReasonUnknownRelayState: 3 * 990}; !maps.Equal(got, want) {
		t.Errorf("counted: %v, want %v", got, want)
	}
	if got := counts(s); len(got) != 0 {
		t.Errorf("counted again: %v", got)
	}
	if got, want := s.Reasons(), map[string]int64{idp.ReasonUnknownRelayState: 3 * 990}; !maps.Equal(got, want) {
		t.Errorf("for the log: %v, want %v", got, want)
	}
	// What has no number of its own is counted under none.
	if n := many(12, "a word of nobody", true); n != 10 {
		t.Errorf("an unknown reason: %d of 12 are kept, want 10", n)
	}
	if got, want := counts(s), map[string]int64{"": 2}; !maps.Equal(got, want) {
		t.Errorf("counted: %v, want %v", got, want)
	}
}

// TestRefusalsOfStrangers: a flood of strangers leaves no more than their bound, and ten refusals a minute of each
// other kind have room all the same, also from the flooding address (row COST-01).
func TestRefusalsOfStrangers(t *testing.T) {
	at := start.Truncate(time.Minute)
	s := idp.NewFootprints(func() time.Time { return at })
	flood := func(reason string) (kept int) {
		for second := range 60 {
			at = start.Truncate(time.Minute).Add(time.Duration(second) * time.Second)
			for i := range 100 {
				if keepRefusal(s, fmt.Sprintf("198.51.%d.%d", second, i), reason, false) {
					kept++
				}
			}
		}
		return kept
	}
	if n := flood(idp.ReasonUnknownACS); n != 600 {
		t.Errorf("a minute's flood: %d are kept, want 600", n)
	}
	for i := range 30 {
		if kept := keepRefusal(s, "198.51.0.1", idp.ReasonReplayed, false); kept != (i < 10) {
			t.Errorf("refusal %d of another kind beside it: kept %v", i+1, kept)
		}
	}
	if !keepRefusal(s, "198.51.0.1", idp.ReasonReplayed, true) {
		t.Error("a known person's refusal beside it is only counted")
	}
	if got, want := counts(s), map[string]int64{idp.ReasonUnknownACS: 5400,
		idp.ReasonReplayed: 20}; !maps.Equal(got, want) {
		t.Errorf("counted: %v, want %v", got, want)
	}
}

// TestManySignInsAreKept: what is no refusal, by somebody known, has no bound (row COST-02).
func TestManySignInsAreKept(t *testing.T) {
	s := idp.NewFootprints(func() time.Time { return start })
	for range 5000 {
		_, f := s.Begin(context.Background(), "192.0.2.1")
		f.Known()
		if f.Over() {
			t.Fatal("a sign-in leaves no trace")
		}
		f.Done()
	}
	if got := counts(s); len(got) != 0 {
		t.Errorf("counted: %v", got)
	}
}

// TestOneRequestIsCountedOnce: whatever is learned of a request while it is served, it is kept or counted, and counted
// once, for its first reason.
func TestOneRequestIsCountedOnce(t *testing.T) {
	s := idp.NewFootprints(func() time.Time { return start })
	for range 10 {
		keepRefusal(s, "192.0.2.1", idp.ReasonBusy, true)
	}
	_, f := s.Begin(context.Background(), "192.0.2.1")
	f.Known()
	f.Refused(idp.ReasonBusy)
	f.Refused(idp.ReasonUnknownSignIn)
	first := f.Over()
	if !first || f.Over() != first || f.Reason() != idp.ReasonBusy {
		t.Errorf("over %v, reason %q", f.Over(), f.Reason())
	}
	f.Done()
	// Who is behind it is looked for before it is taken for a stranger's, once.
	for range 10 {
		keepRefusal(s, "192.0.2.2", idp.ReasonReplayed, false)
	}
	ctx, f := s.Begin(context.Background(), "192.0.2.2")
	looked := 0
	f.Ask(func() {
		looked++
		if idp.FootprintOf(ctx) != f {
			t.Error("another footprint")
		}
		f.Over() // as a log line on the way asks
		f.Known()
	})
	f.Refused(idp.ReasonReplayed)
	first = f.Over()
	if first || f.Over() != first || looked != 1 {
		t.Errorf("somebody known is taken for a stranger; looked %d times", looked)
	}
	f.Done()
	// A trace that finds no room is counted too: its own reference leads nowhere.
	_, f = s.Begin(context.Background(), "192.0.2.3")
	f.Refused(idp.ReasonNoProvider)
	if f.Over() {
		t.Error("the first of its kind is over")
	}
	f.NoRoom()
	if !f.Over() {
		t.Error("without a trace, the reference carries nothing")
	}
	f.Done()
	// A page that is no refusal, past the strangers' bound.
	for range 21 {
		_, f = s.Begin(context.Background(), "192.0.2.4")
		f.Over()
		f.Done()
	}
	if f.Reason() != idp.ReasonAnswered {
		t.Errorf("its reference carries %q", f.Reason())
	}
	_, f = s.Begin(context.Background(), "192.0.2.4")
	f.Done() // nobody asked: an asset
	want := map[string]int64{idp.ReasonBusy: 1, idp.ReasonNoProvider: 1, idp.ReasonAnswered: 1}
	if got := counts(s); !maps.Equal(got, want) {
		t.Errorf("counted: %v, want %v", got, want)
	}
	var none *idp.Footprint
	none.Refused("x")
	none.NoRoom()
	none.Ask(nil)
	none.Done()
	if none.Over() || none.LeftNothing() {
		t.Error("nobody counts, and it is over")
	}
}

// TestCountsHaveTheMomentOfTheReference: a request that ends in the next minute is counted in the one that its
// reference names, or the reference would be answered by nothing (row COST-03).
func TestCountsHaveTheMomentOfTheReference(t *testing.T) {
	began := start.Truncate(time.Minute).Add(59 * time.Second)
	at := began
	s := idp.NewFootprints(func() time.Time { return at })
	for range 11 {
		at = began
		_, f := s.Begin(context.Background(), "192.0.2.1")
		f.Refused(idp.ReasonBusy)
		f.Over()
		at = at.Add(2 * time.Second)
		f.Done()
		if !f.Began().Equal(began) {
			t.Errorf("began %v, want %v", f.Began(), began)
		}
	}
	if all := s.Counted(); len(all) != 1 || !all[0].First.Equal(began) || !all[0].Last.Equal(began) {
		t.Errorf("counted: %+v, want one at %v", all, began)
	}
}

// TestCountsAreStoredInTheEnd: what could not be stored is not lost, and stays in few entries.
func TestCountsAreStoredInTheEnd(t *testing.T) {
	at := start.Truncate(store.StatisticStep)
	s := idp.NewFootprints(func() time.Time { return at })
	for range 10 {
		keepRefusal(s, "192.0.2.1", idp.ReasonBusy, true)
	}
	first := at
	for range 100 {
		keepRefusal(s, "192.0.2.1", idp.ReasonBusy, true)
		keepRefusal(s, "192.0.2.1", idp.ReasonBusy, true)
		s.Uncounted(s.Counted())
	}
	at = at.Add(time.Millisecond)
	keepRefusal(s, "192.0.2.1", idp.ReasonBusy, true)
	got := s.Counted()
	want := []store.RequestCount{{Reason: idp.ReasonBusy, First: first, Last: at, Requests: 201}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

// TestWarningsOfRequests: a warning that each request repeats, though none is refused, is written ten times a second.
func TestWarningsOfRequests(t *testing.T) {
	at := start
	s := idp.NewFootprints(func() time.Time { return at })
	var out bytes.Buffer
	log := slog.New(idp.Quiet(slog.NewJSONHandler(&out, nil), s))
	for range 50 {
		ctx, f := s.Begin(context.Background(), "192.0.2.1")
		f.Known()
		log.WarnContext(ctx, "directory does not answer")
		log.InfoContext(ctx, "response issued")
	}
	for range 50 {
		log.Warn("of the background")
	}
	at = at.Add(time.Second)
	ctx, f := s.Begin(context.Background(), "192.0.2.1")
	f.Known()
	log.WarnContext(ctx, "directory does not answer")
	for message, want := range map[string]int{"directory does not answer": 11, "response issued": 50,
		"of the background": 50} {
		if n := strings.Count(out.String(), message); n != want {
			t.Errorf("%s: %d lines, want %d", message, n, want)
		}
	}
	if got := s.LeftOut(); fmt.Sprint(got) != "map[directory does not answer:40]" {
		t.Errorf("left out: %v", got)
	}
}

// around are counts that a test gives.
type around struct {
	asked []string
	count store.RequestCount
	err   error
}

func (a *around) Around(_ context.Context, reason string, minute time.Time) (store.RequestCount, error) {
	a.asked = append(a.asked, reason+" "+minute.Format(time.TimeOnly))
	return a.count, a.err
}

// TestReferencesAreAnswered: a reference that carries its reason is answered by how many there were, or by its reason
// alone; a made-up one is none, and nothing is looked for (row COST-03).
func TestReferencesAreAnswered(t *testing.T) {
	r, at := references(t, 1), time.Date(2026, 11, 28, 10, 2, 5, 0, time.UTC)
	ref := r.Coded(idp.ReasonUnknownACS, at)
	counted := store.RequestCount{Requests: 41_200, First: at.Add(-time.Minute),
		Last: at.Add(time.Minute + 40*time.Second)}
	for name, c := range map[string]struct {
		ref   string
		count store.RequestCount
		err   error
		want  string
	}{
		"many": {ref, counted, nil, "One of 41,200 requests refused for unknown_acs between 2026-11-28 10:01 " +
			"and 10:04 UTC."},
		"in small letters": {strings.ToLower(ref), counted, nil,
			"One of 41,200 requests refused for unknown_acs between 2026-11-28 10:01 and 10:04 UTC."},
		"one": {ref, store.RequestCount{Requests: 1, First: at, Last: at}, nil,
			"The only request refused for unknown_acs between 2026-11-28 10:02 and 10:03 UTC."},
		"over midnight": {ref, store.RequestCount{Requests: 1_234_567, First: at, Last: at.Add(14 * time.Hour)}, nil,
			"One of 1,234,567 requests refused for unknown_acs between 2026-11-28 10:02 and 2026-11-29 00:03 UTC."},
		"no refusal": {r.Coded(idp.ReasonAnswered, at), counted, nil,
			"One of 41,200 requests answered, not refused, between 2026-11-28 10:01 and 10:04 UTC."},
		"no reason": {r.Coded("none of ours", at), counted, nil,
			"One of 41,200 requests refused for a reason that is not recorded between 2026-11-28 10:01 and 10:04 UTC."},
		"not written": {ref, store.RequestCount{}, store.ErrNotFound,
			"A request refused for unknown_acs at 2026-11-28 10:02 UTC. No count of such requests is recorded for that time."},
	} {
		got, ok, err := r.Find(t.Context(), &around{count: c.count, err: c.err}, audited(nil), c.ref)
		if err != nil || !ok || got.Summary() != c.want || got.Cause == "" || got.Fix == "" {
			t.Errorf("%s: got %+v, %v, %v\n%s\nwant\n%s", name, got, ok, err, got.Summary(), c.want)
		}
	}
	down := &around{err: errors.New("no database")}
	if _, ok, err := r.Find(t.Context(), down, audited(nil), ref); !ok || err == nil {
		t.Errorf("the store is down: got %v, %v", ok, err)
	}
	if !slices.Equal(down.asked, []string{"unknown_acs 10:02:00"}) {
		t.Errorf("asked for %v", down.asked)
	}
	none := &around{count: counted}
	for _, bad := range []string{"", "KD2T2QB11D", ref[:13], ref + "0", strings.Repeat("0", 14),
		references(t, 2).Coded(idp.ReasonUnknownACS, at)} {
		if got, ok, err := r.Find(t.Context(), none, audited(nil), bad); ok || err != nil {
			t.Errorf("%q is answered: %+v, %v", bad, got, err)
		}
	}
	if len(none.asked) > 0 {
		t.Errorf("made-up references had %v looked for", none.asked)
	}
}

// audited are events that a test gives.
type audited []store.Event

func (a audited) List(_ context.Context, f store.Filter) (found []store.Event, err error) {
	for _, e := range a {
		if e.Ref == f.Ref {
			found = append(found, e)
		}
	}
	return found, nil
}

// TestAuditedReferencesAreAnswered: what a known person was refused stands in the audit, each time. Where there was no
// room for its trace, the event's reference is answered by the count too, also where the request began in the minute
// before; one whose trace went by age is not (row COST-03).
func TestAuditedReferencesAreAnswered(t *testing.T) {
	r, at := references(t, 1), time.Date(2026, 11, 28, 10, 2, 5, 0, time.UTC)
	events := audited{
		{Ref: "KD2T2QB11D", At: at, Action: "login", Outcome: "ok"},
		{Ref: "KD2T2QB11D", At: at, Action: "refusal", Outcome: "refused", Reason: idp.ReasonUnknownRelayState},
		{Ref: "0000000000", At: at, Action: "login", Outcome: "ok"},
	}
	counted := store.RequestCount{Requests: 41_200, First: at.Add(-time.Minute), Last: at.Add(time.Minute)}
	got, ok, err := r.Find(t.Context(), &around{count: counted}, events, "kd2t2qb11d")
	const want = "One of 41,200 requests refused for unknown_relay_state between 2026-11-28 10:01 and 10:04 UTC."
	if err != nil || !ok || got.Summary() != want || got.Cause == "" {
		t.Errorf("got %+v, %v, %v\n%s\nwant\n%s", got, ok, err, got.Summary(), want)
	}
	old := &around{err: store.ErrNotFound}
	if got, ok, err := r.Find(t.Context(), old, events, "KD2T2QB11D"); ok || err != nil {
		t.Errorf("not counted: got %+v, %v", got, err)
	}
	if want := []string{"unknown_relay_state 10:02:00", "unknown_relay_state 10:01:00"}; !slices.Equal(old.asked, want) {
		t.Errorf("asked for %v, want %v", old.asked, want)
	}
	if _, ok, err := r.Find(t.Context(), &around{err: errors.New("no database")}, events, "KD2T2QB11D"); ok || err == nil {
		t.Errorf("the store is down: got %v, %v", ok, err)
	}
	// nothing was refused, or nothing is known
	for _, ref := range []string{"0000000000", "1111111111", "KD2T2QB11", "KD2T2QB11!"} {
		if got, ok, err := r.Find(t.Context(), &around{count: counted}, events, ref); ok || err != nil {
			t.Errorf("%s: got %+v, %v", ref, got, err)
		}
	}
}
