package admin_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"ssobridge/certs"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// An old secret key is shown with what needs it, its work is made anew, and it goes when nothing needs it.
func TestSecrets(t *testing.T) {
	w := newWorld(t)
	ctx, all := t.Context(), admin.Everything()
	key := func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
	former, err := certs.NewSealer(key(7))
	if err != nil {
		t.Fatal(err)
	}
	event := store.Event{At: time.Now(), Actor: "ann", Outcome: "ok"}
	keys := admin.Keys{Store: w.db, Sealer: former, Engine: certs.NewEngine(certs.EngineOptions{Off: true}), Now: time.Now}
	if _, err := keys.MakeFirst(ctx, all, certs.P256, event); err != nil {
		t.Fatal(err)
	}
	sealer, err := certs.NewSealer(key(8), key(7))
	if err != nil {
		t.Fatal(err)
	}
	old := sealer.KeyIDs()[1].String()
	if err := w.db.SecretKeys().Use(ctx, old, event); err != nil {
		t.Fatal(err)
	}
	var lacks []string
	chained := 0
	secrets := admin.Secrets{Store: w.db, Sealer: sealer, IdP: w.idpWith(t, sealer),
		Audit:   admin.Audit{Store: w.db, Sealer: sealer, Now: time.Now},
		Lacking: func(context.Context) ([]string, error) { return lacks, nil },
		Chain:   func(context.Context) error { chained++; return nil },
		Journal: func(context.Context) error { return nil }}

	status, err := secrets.Status(ctx, all)
	if err != nil || len(status.Keys) != 2 || status.Keys[0].State != admin.SecretInUse ||
		status.Keys[1].State != admin.SecretKnown || status.Keys[1].ID != old || len(status.Keys[1].NeededBy) != 1 ||
		status.Keys[1].NeededBy[0].Text() != "1 signing key" || len(status.Lost) != 0 {
		t.Fatalf("status: %+v, %v", status, err)
	}
	_, err = secrets.Remove(ctx, all, "00000000", false, event)
	refused(t, "one that is not known", err, admin.Input, "id", admin.ListSecrets, "is not in secret_keys")
	_, err = secrets.Remove(ctx, all, status.Keys[0].ID, false, event)
	refused(t, "the one in use", err, admin.Input, "id", admin.NoAct, "is the one in use")

	lacks = []string{"replica-2"}
	_, _, err = secrets.Rotate(ctx, all, event)
	refused(t, "a replica that does not know it", err, admin.Input, "secret_keys", admin.NoAct, "the running replica-2")
	lacks = nil
	if id, changed, err := secrets.Rotate(ctx, all, event); err != nil || id != status.Keys[0].ID || changed != 1 {
		t.Errorf("rotated: %s, %d, %v", id, changed, err)
	}
	if status, err = secrets.Status(ctx, all); err != nil || len(status.Keys[1].NeededBy) != 0 ||
		len(status.Keys[0].NeededBy) != 1 {
		t.Errorf("afterwards: %+v, %v", status, err)
	}
	done, err := secrets.Remove(ctx, all, " "+strings.ToUpper(old)+" ", true, event)
	if err != nil || done.ID != old || chained != 1 {
		t.Fatalf("removed: %+v, %d, %v", done, chained, err)
	}
	_, err = secrets.Remove(ctx, all, old, false, event)
	refused(t, "removed twice", err, admin.Missing, "id", admin.NoAct, "was removed before")
	events, err := w.db.Audit().List(ctx, store.Filter{Action: "secret-key-remove"})
	if err != nil || len(events) != 1 || events[0].Subject != old || events[0].Actor != "ann" {
		t.Errorf("audit: %+v, %v", events, err)
	}
	// Without the old one, what it has made is lost, and said to be.
	some := admin.Accounts(harbour)
	for what, err := range map[string]error{
		"status": second(secrets.Status(ctx, some)), "remove": second(secrets.Remove(ctx, some, old, true, event)),
		"rotate": func() error { _, _, err := secrets.Rotate(ctx, some, event); return err }(),
	} {
		if e, ok := errors.AsType[*admin.Error](err); !ok || e.Kind != admin.Forbidden {
			t.Errorf("%s outside the scope: %v", what, err)
		}
	}
}

// What no known secret key opens is said to be lost.
func TestSecretsLost(t *testing.T) {
	w := newWorld(t)
	ctx, all := t.Context(), admin.Everything()
	former, err := certs.NewSealer(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	keys := admin.Keys{Store: w.db, Sealer: former, Engine: certs.NewEngine(certs.EngineOptions{Off: true}), Now: time.Now}
	if _, err := keys.MakeFirst(ctx, all, certs.P256, store.Event{At: time.Now(), Actor: "ann"}); err != nil {
		t.Fatal(err)
	}
	sealer, err := certs.NewSealer(bytes.Repeat([]byte{8}, 32))
	if err != nil {
		t.Fatal(err)
	}
	status, err := admin.Secrets{Store: w.db, Sealer: sealer, IdP: w.idpWith(t, sealer)}.Status(ctx, all)
	if err != nil || len(status.Lost) != 1 || status.Lost[0].Text() != "1 signing key" {
		t.Errorf("lost: %+v, %v", status.Lost, err)
	}
}

// A clock that jumped is accepted with an event; one that is believed, or differs from the database's, is not.
func TestClock(t *testing.T) {
	w := newWorld(t)
	ctx, all := t.Context(), admin.Everything()
	now := time.Now()
	var doubt *admin.ClockDoubt
	clock := admin.Clock{Store: w.db, Now: func() time.Time { return now },
		Look: func(context.Context) (*admin.ClockDoubt, error) { return doubt, nil }}
	event := store.Event{At: now, Actor: "ann", Outcome: "ok"}

	_, err := clock.Accept(ctx, all, event)
	refused(t, "a clock that is believed", err, admin.Changed, "", admin.NoAct, "nothing to accept")
	doubt = &admin.ClockDoubt{What: "the two clocks differ", Hint: "set both"}
	_, err = clock.Accept(ctx, all, event)
	refused(t, "a clock that differs", err, admin.Input, "", admin.NoAct, "the two clocks differ: set both")
	doubt.Jumped = true
	_, err = clock.Accept(ctx, admin.Accounts(harbour), event)
	refused(t, "outside of the scope", err, admin.Forbidden, "", admin.NoAct, "")
	if at, err := clock.Accept(ctx, all, event); err != nil || !at.Equal(now) {
		t.Errorf("accepted: %s, %v", at, err)
	}
	events, err := w.db.Audit().List(ctx, store.Filter{Action: "clock-accept"})
	if err != nil || len(events) != 1 || events[0].Subject != "retention" {
		t.Errorf("audit: %+v, %v", events, err)
	}
}
