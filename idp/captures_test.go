package idp_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"ssobridge/idp"
	"ssobridge/store"
)

// Assertions are captured of the one person that an admin named, while it holds, and are sealed.
func TestCaptures(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t, "rsa-2048", nil)
	by := store.Event{At: now.Now(), Actor: "admin:test"}
	launch := func(login, password, ref string) {
		t.Helper()
		v := visitor("of " + login)
		v.Ref = ref
		a, err := f.Launch(ctx, idp.LaunchRequest{}, v)
		on := begun(t, a, err)
		a, err = f.Login(ctx, on.SignIn, login, password, v)
		must[idp.GoOn](t, a, err)
		v.Session = a.NewSession
		a, err = f.Resume(ctx, on.SignIn, v)
		must[idp.Deliver](t, a, err)
	}
	none := func(ref string) {
		t.Helper()
		if all, err := f.CapturedAssertions(ctx, ref, by); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("captured under %s: %+v, %v", ref, all, err)
		}
	}
	launch("alice", "correct horse", "BEFORE0000")
	none("BEFORE0000")
	for _, life := range []time.Duration{0, -time.Minute, time.Hour + time.Second} {
		if _, err := f.CaptureFor(ctx, aliceID, life, by); err == nil {
			t.Errorf("captured for %s", life)
		}
	}
	until, err := f.CaptureFor(ctx, aliceID, time.Hour, by)
	if err != nil || !until.Equal(now.Now().Add(time.Hour)) {
		t.Fatalf("until %s, %v", until, err)
	}
	if at, err := f.CapturedUntil(ctx, aliceID); err != nil || !at.Equal(until) {
		t.Errorf("captured until %s, %v", at, err)
	}
	launch("alice", "correct horse", "WHILE00000")
	launch("bob", "battery staple", "OTHER00000")
	none("OTHER00000")
	all, err := f.CapturedAssertions(ctx, "WHILE00000", by)
	if err != nil || len(all) != 1 || all[0].Person != aliceID || !strings.Contains(all[0].XML, "<saml:Assertion") ||
		!strings.Contains(all[0].XML, "SignatureValue>left out") {
		t.Fatalf("captured %+v, %v", all, err)
	}
	if e := f.events(t)[0]; e.Action != "capture-read" || e.Actor != "admin:test" || e.Subject != string(aliceID) {
		t.Errorf("a look left the event %+v", e)
	}
	records, err := f.db.Captures().Of(ctx, "WHILE00000", by)
	if err != nil || strings.Contains(string(records[0].Sealed), "Assertion") {
		t.Errorf("what is stored can be read: %v", err)
	}
	// Put under another reference it does not open.
	records[0].Ref = "FORGED0000"
	if err := f.db.Captures().Keep(ctx, records[0]); err != nil {
		t.Fatal(err)
	}
	if all, err := f.CapturedAssertions(ctx, "FORGED0000", by); err == nil {
		t.Errorf("under another reference: %+v", all)
	}

	// As long as it could be used, nobody sees its signature.
	now.Advance(14 * time.Minute)
	if all, err = f.CapturedAssertions(ctx, "WHILE00000", by); err != nil || !strings.Contains(all[0].XML,
		"SignatureValue>left out") {
		t.Errorf("while it could be used: %+v, %v", all, err)
	}
	now.Advance(2 * time.Minute)
	if all, err = f.CapturedAssertions(ctx, "WHILE00000", by); err != nil || strings.Contains(all[0].XML, "left out") ||
		!strings.Contains(all[0].XML, "SignatureValue") {
		t.Errorf("afterwards: %+v, %v", all, err)
	}
	now.Advance(44 * time.Minute)
	launch("alice", "correct horse", "AFTER00000")
	none("AFTER00000")
	if _, err := f.CaptureFor(ctx, aliceID, time.Hour, by); err != nil {
		t.Fatal(err)
	}
	if err := f.EndCapture(ctx, aliceID, by); err != nil {
		t.Fatal(err)
	}
	launch("alice", "correct horse", "ENDED00000")
	none("ENDED00000")
	now.Advance(24 * time.Hour)
	none("WHILE00000")
}
