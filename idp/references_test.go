package idp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ssobridge/certs"
	"ssobridge/idp"
	"ssobridge/idp/directory"
)

func references(t testing.TB, fills ...byte) idp.References {
	t.Helper()
	var keys [][]byte
	for _, fill := range fills {
		keys = append(keys, bytes.Repeat([]byte{fill}, certs.MinSecret))
	}
	s, err := certs.NewSealer(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return idp.NewReferences(s)
}

// TestReferencesCarryTheirReason: past the bound for strangers, minute and reason are read from the reference alone, by
// every replica and after a change of the secret key; a reference that somebody made up or changed is read as nothing
// (row ID-15).
func TestReferencesCarryTheirReason(t *testing.T) {
	r := references(t, 1)
	at := time.Date(2026, 11, 28, 23, 59, 58, 0, time.UTC)
	all := append(idp.Reasons(), idp.ReasonAnswered, string(directory.BadCredentials), "revoked", "password_changed",
		"client_closed",
		idp.FactorWrong, idp.FactorInvite, idp.FactorExpired, idp.FactorMany, idp.FactorLast, idp.FactorUnconfirmed)
	for _, reason := range all {
		ref := r.Coded(reason, at)
		got, ok := references(t, 2, 1).Read(strings.ToLower(ref))
		if !ok || got.Reason != reason || !got.Minute.Equal(at.Truncate(time.Minute)) {
			t.Errorf("%s: %s is read as %+v, %v; a new reason is put at the end of codes in references.go", reason, ref, got, ok)
		}
		if text := idp.TextOf(reason); text.Cause == "" || text.Fix == "" || text == idp.TextOf("none of ours") {
			t.Errorf("%s has no text in reasontexts.go", reason)
		}
	}
	if got, ok := r.Read(r.Coded("none of ours", at)); !ok || got.Reason != "" {
		t.Errorf("a reason without a number: got %+v, %v", got, ok)
	}
	ref := r.Coded(idp.ReasonBusy, at)
	if _, ok := references(t, 3).Read(ref); ok {
		t.Error("it is read without the key")
	}
	for _, bad := range []string{"", "KD2T2QB11D", ref[:13], ref + "0", strings.Repeat("U", 14), strings.Repeat("0", 14),
		strings.Repeat("Z", 14), "é" + ref[2:]} {
		if got, ok := r.Read(bad); ok {
			t.Errorf("%q is read as %+v", bad, got)
		}
	}
	for i := range ref {
		for _, c := range "0123456789ABCDEFGHJKMNPQRSTVWXYZ" {
			changed := ref[:i] + string(c) + ref[i+1:]
			if _, ok := r.Read(changed); ok && changed != ref {
				t.Errorf("%s is read, made from %s", changed, ref)
			}
		}
	}
}

// TestCodesFit: each reason has a number of its own, and there is one for each: the next one would be read as the
// first.
func TestCodesFit(t *testing.T) {
	all, numbers := idp.Codes()
	if len(all) > numbers {
		t.Errorf("%d reasons for %d numbers", len(all), numbers)
	}
	for i, reason := range all {
		if slices.Index(all, reason) != i {
			t.Errorf("%s stands in codes twice", reason)
		}
	}
}

func TestReferencesReadBack(t *testing.T) {
	r := references(t, 1)
	reasons := idp.Reasons()
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(0, 1<<28*60-1).Draw(t, "at"), 0).UTC()
		reason := reasons[rapid.IntRange(0, len(reasons)-1).Draw(t, "reason")]
		ref := r.Coded(reason, at)
		if got, ok := r.Read(ref); !ok || len(ref) != 14 || got.Reason != reason ||
			!got.Minute.Equal(at.Truncate(time.Minute)) {
			t.Fatalf("%s at %s: %s is read as %+v, %v", reason, at, ref, got, ok)
		}
	})
}

// TestStrangersShareTheirBound: 20 a minute for each address block, 600 in all, none for whoever is known; each request
// takes one at most (row ID-15).
func TestStrangersShareTheirBound(t *testing.T) {
	at := start
	s := idp.NewFootprints(func() time.Time { return at })
	through := func(address string, requests int, known bool) (n int) {
		for range requests {
			_, f := s.Begin(context.Background(), address)
			if known {
				f.Known()
			}
			over := f.Over()
			if f.Over() != over {
				t.Errorf("%s: asked twice, it says something else", address)
			}
			if !over {
				n++
			}
		}
		return n
	}
	if n := through("192.0.2.1", 100, false); n != 20 {
		t.Errorf("one address: %d of 100, want 20", n)
	}
	if n := through("192.0.2.1", 100, true); n != 100 {
		t.Errorf("known people at that address: %d of 100", n)
	}
	if n := through("2001:db8::1", 15, false) + through("2001:db8::2", 15, false); n != 20 {
		t.Errorf("two addresses of one /64: %d of 30, want 20", n)
	}
	all := 0
	for i := range 100 {
		all += through(fmt.Sprintf("198.51.100.%d", i), 10, false)
	}
	if all != 600-40 {
		t.Errorf("all others: %d of 1,000, want 560", all)
	}
	// Who turns out to be known later has no bound from then on.
	_, f := s.Begin(context.Background(), "192.0.2.1")
	if !f.Over() {
		t.Error("over its bound, it may leave something")
	}
	if f.Known(); f.Over() {
		t.Error("known, it may leave nothing")
	}
	at = at.Add(time.Minute)
	if n := through("192.0.2.1", 100, false); n != 20 {
		t.Errorf("a minute later: %d of 100, want 20", n)
	}
	// Without anybody who counts there is no bound.
	if idp.FootprintOf(context.Background()).Over() {
		t.Error("a context of no request has a bound")
	}
}

// TestStrangersLogLines: past the bound their lines are left out, and counted by message; other lines stand.
func TestStrangersLogLines(t *testing.T) {
	s := idp.NewFootprints(func() time.Time { return start })
	var out bytes.Buffer
	log := slog.New(idp.Quiet(slog.NewJSONHandler(&out, nil), s)).With("a", 1).WithGroup("g")
	for range 30 {
		ctx, _ := s.Begin(context.Background(), "192.0.2.1")
		log.InfoContext(ctx, "sign-in refused")
		log.InfoContext(ctx, "request")
	}
	log.Info("background")
	lines := map[string]int{}
	for line := range strings.Lines(out.String()) {
		var l struct{ Msg string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		lines[l.Msg]++
	}
	if fmt.Sprint(lines) != "map[background:1 request:20 sign-in refused:20]" {
		t.Errorf("lines: %v", lines)
	}
	if got := s.LeftOut(); fmt.Sprint(got) != "map[request:10 sign-in refused:10]" {
		t.Errorf("left out: %v", got)
	}
	if got := s.LeftOut(); len(got) != 0 {
		t.Errorf("asked again: %v", got)
	}
}
