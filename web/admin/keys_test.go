package admin_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"ssobridge/certs"
	"ssobridge/store"
	"ssobridge/store/storetest"
	"ssobridge/web/admin"
)

const wiki = "https://wiki.example.test"

// clock is one that the test moves.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

// event is who does it, when and from where.
func (c *clock) event() store.Event {
	return store.Event{At: c.Time, Actor: "admin:test", Outcome: "ok", Ref: "REF1"}
}

// newKeys are the keys of a store that has one that signs, and one service provider.
func newKeys(t *testing.T, holds string) (admin.Keys, *clock) {
	t.Helper()
	db := storetest.Open(t)
	sealer, err := certs.NewSealer(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	at := &clock{time.Now().UTC().Truncate(time.Second).Add(time.Second)}
	keys := admin.Keys{
		Store: db, Sealer: sealer, Engine: certs.NewEngine(certs.EngineOptions{Off: true}),
		PublicURL:    "https://bridge.example.test",
		SwitchBefore: 2 * time.Minute, SwitchAfter: 3 * time.Minute, Now: at.now,
	}
	if _, err := keys.MakeFirst(t.Context(), admin.Everything(), certs.P256, at.event()); err != nil {
		t.Fatal(err)
	}
	sp := store.ServiceProvider{EntityID: wiki, Name: "Wiki", Kind: store.PlainSAML, HoldsCertificates: holds}
	if err := db.ServiceProviders().Put(t.Context(), sp, store.Event{Action: "sp-add"}); err != nil {
		t.Fatal(err)
	}
	return keys, at
}

// refusedWith wants an Error with this field and act.
func refusedWith(t *testing.T, what string, err error, field string, act admin.Act) {
	t.Helper()
	var e *admin.Error
	if !errors.As(err, &e) || e.Field != field || e.Act != act || e.Fault == "" {
		t.Errorf("%s: %+v (%v), want the field %q and the act %q", what, e, err, field, act)
	}
}

// KEY-01: a switch is written down once, with an event, by whichever replica comes first; how the keys stand is told by
// the clock before that.
func TestKEY01SettleKeys(t *testing.T) {
	keys, at := newKeys(t, "one")
	ctx, all := t.Context(), admin.Everything()
	at.Time = at.Add(time.Second) // the first key is the older one
	key, err := keys.Generate(ctx, all, admin.NewKey{Algorithm: "p-256"}, at.event())
	if err != nil || key.State != admin.KeyNext {
		t.Fatal(key, err)
	}
	if err := keys.Publish(ctx, all, key.ID, at.event()); err != nil {
		t.Fatal(err)
	}
	_, err = keys.Promote(ctx, all, admin.Promotion{Key: key.ID, EntityID: wiki, ConfirmedBy: "Kim"}, at.event())
	refusedWith(t, "promoted without a time", err, "at", admin.AgreeOnTime)
	if !errors.Is(err, certs.ErrHoldsOne) {
		t.Errorf("promoted without a time: %v", err)
	}
	when := at.Add(time.Hour)
	if _, err := keys.Promote(ctx, all, admin.Promotion{Key: key.ID, EntityID: wiki, At: when}, at.event()); err != nil {
		t.Fatal(err)
	}
	list, err := keys.List(ctx, all)
	if err != nil || len(list.SignedFor) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	planned := list.SignedFor[0]
	if planned.Name != "Wiki" || planned.Next != key.ID || !planned.SwitchAt.Equal(when) ||
		!planned.WaitFrom.Equal(when.Add(-2*time.Minute)) || !planned.WaitUntil.Equal(when.Add(3*time.Minute)) {
		t.Errorf("planned %+v", planned)
	}
	if err := keys.Settle(ctx); err != nil {
		t.Fatal(err)
	}
	at.Time = when
	if list, err = keys.List(ctx, all); err != nil || list.SignedFor[0].Key != key.ID ||
		!list.SignedFor[0].WaitFrom.IsZero() || list.SignedFor[0].WaitUntil.IsZero() {
		t.Errorf("at the switch %+v, %v", list, err)
	}
	for range 2 {
		if err := keys.Settle(ctx); err != nil {
			t.Fatal(err)
		}
	}
	switches, err := keys.Store.Audit().List(ctx, store.Filter{Action: "key-switch"})
	if err != nil || len(switches) != 1 {
		t.Errorf("events %+v, %v", switches, err)
	}
	for action, want := range map[string]int{"key-add": 2, "key-publish": 1, "key-promote": 1} {
		events, err := keys.Store.Audit().List(ctx, store.Filter{Action: action})
		if err != nil || len(events) != want || events[0].Actor != "admin:test" || events[0].Ref != "REF1" ||
			events[0].Subject == "" {
			t.Errorf("%d events %s, %v, want %d: %+v", len(events), action, err, want, events)
		}
	}

	// KEY-02: a retired key's private part is gone from the store.
	if err := keys.Retire(ctx, all, list.Keys[0].ID, at.event()); err != nil {
		t.Fatal(err)
	}
	stored, err := keys.Store.Keys().List(ctx)
	if err != nil || len(stored[0].Private) > 0 || stored[0].State != admin.KeyRetired || len(stored[1].Private) == 0 {
		t.Errorf("keys %+v, %v", stored, err)
	}
}

// What can't be is refused with the input at fault and the act that fixes it, and nothing is changed.
func TestKeysRefuse(t *testing.T) {
	keys, at := newKeys(t, "two")
	ctx, all := t.Context(), admin.Everything()
	list, err := keys.List(ctx, all)
	if err != nil || len(list.Keys) != 1 {
		t.Fatal(list, err)
	}
	first := list.Keys[0].ID
	at.Time = at.Add(time.Second) // the first key is the older one
	next, err := keys.Generate(ctx, all, admin.NewKey{Algorithm: "p-256"}, at.event())
	if err != nil {
		t.Fatal(err)
	}
	_, err = keys.MakeFirst(ctx, all, certs.P256, at.event())
	refusedWith(t, "a second first key", err, "", admin.ListKeys)
	if !errors.Is(err, admin.ErrHasKey) {
		t.Errorf("a second first key: %v", err)
	}
	for _, c := range []struct {
		name  string
		n     admin.NewKey
		field string
		act   admin.Act
	}{
		{"a kind that is none", admin.NewKey{Algorithm: "rot13"}, "algorithm", admin.NoAct},
		{"a use that is none", admin.NewKey{Use: "doors"}, "use", admin.NoAct},
		{"a life of an hour", admin.NewKey{Life: time.Hour}, "life", admin.NoAct},
		{"in no token", admin.NewKey{Label: "sign"}, "label", admin.ConfigureToken},
	} {
		_, err := keys.Generate(ctx, all, c.n, at.event())
		refusedWith(t, c.name, err, c.field, c.act)
	}
	for _, c := range []struct {
		name  string
		p     admin.Promotion
		field string
		act   admin.Act
	}{
		{"for nobody", admin.Promotion{Key: next.ID, ConfirmedBy: "Kim"}, "sp", admin.SayForWhom},
		{"for one and for all", admin.Promotion{Key: next.ID, EntityID: wiki, All: true, ConfirmedBy: "Kim"}, "sp",
			admin.SayForWhom},
		{"for somebody unknown", admin.Promotion{Key: next.ID, EntityID: "https://other.test", ConfirmedBy: "Kim"}, "sp",
			admin.ListProviders},
		{"no such key", admin.Promotion{Key: "ffff", EntityID: wiki, ConfirmedBy: "Kim"}, "key", admin.ListKeys},
		{"none published", admin.Promotion{EntityID: wiki, ConfirmedBy: "Kim"}, "key", admin.NameKey},
		{"not published yet", admin.Promotion{Key: next.ID, EntityID: wiki, ConfirmedBy: "Kim"}, "key", admin.ListKeys},
		{"nobody confirmed", admin.Promotion{Key: first, EntityID: wiki}, "confirmed_by", admin.ConfirmLoaded},
		{"blanks for a name", admin.Promotion{Key: first, EntityID: wiki, ConfirmedBy: "  "}, "confirmed_by",
			admin.ConfirmLoaded},
		{"a long name", admin.Promotion{Key: first, EntityID: wiki, ConfirmedBy: strings.Repeat("x", 201)},
			"confirmed_by", admin.NoAct},
		{"a time that has passed", admin.Promotion{Key: first, EntityID: wiki, At: at.Add(-time.Hour)}, "at", admin.NoAct},
	} {
		_, err := keys.Promote(ctx, all, c.p, at.event())
		refusedWith(t, c.name, err, c.field, c.act)
	}
	_, err = keys.Rollback(ctx, all, wiki, false, at.event())
	refusedWith(t, "no step back", err, "sp", admin.ListKeys)
	_, err = keys.Rollback(ctx, all, "", false, at.event())
	refusedWith(t, "back for nobody", err, "sp", admin.SayForWhom)
	refusedWith(t, "retire what signs", keys.Retire(ctx, all, first, at.event()), "key", admin.PromoteOther)
	refusedWith(t, "publish what is active", keys.Publish(ctx, all, first, at.event()), "key", admin.ListKeys)

	after, err := keys.List(ctx, all)
	if err != nil || len(after.Keys) != 2 || after.Keys[0].State != admin.KeyActive ||
		after.Keys[1].State != admin.KeyNext || after.SignedFor[0].Key != first {
		t.Errorf("after the refusals: %+v, %v", after, err)
	}
	if found, err := keys.Find(ctx, all, strings.ToUpper(first[:6])); err != nil || found.ID != first {
		t.Errorf("by the first digits: %+v, %v", found, err)
	}
	fingerprint := " " + first[:2] + ":" + first[2:4] + ":" + first[4:6] + "\n"
	if found, err := keys.Find(ctx, all, fingerprint); err != nil || found.ID != first {
		t.Errorf("the beginning of a fingerprint: %v, %v", found, err)
	}
	whole := after.Keys[0].Fingerprint
	if found, err := keys.Find(ctx, all, whole); err != nil || found.ID != first {
		t.Errorf("a whole fingerprint: %v, %v", found, err)
	}
	_, err = keys.Find(ctx, all, whole[:len(whole)-1]+"x")
	refusedWith(t, "another fingerprint", err, "key", admin.ListKeys)
	for _, blank := range []string{" ", "\n", ":", " : "} { // "" alone is the key that waits
		_, err = keys.Find(ctx, all, blank)
		refusedWith(t, "a blank", err, "key", admin.ListKeys)
	}
	_, err = keys.Find(ctx, all, first[:3])
	refusedWith(t, "by too few digits", err, "key", admin.ListKeys)
}

// Nobody has said how many certificates a service provider holds: a key is promoted there at an agreed time, or in an
// emergency, and not at once.
func TestPromoteWhereNobodyAsked(t *testing.T) {
	keys, at := newKeys(t, "")
	ctx, all := t.Context(), admin.Everything()
	at.Time = at.Add(time.Second)
	key, err := keys.Generate(ctx, all, admin.NewKey{Algorithm: "p-256"}, at.event())
	if err != nil {
		t.Fatal(err)
	}
	if err := keys.Publish(ctx, all, key.ID, at.event()); err != nil {
		t.Fatal(err)
	}
	at.Time = at.Add(time.Second)
	_, err = keys.Promote(ctx, all, admin.Promotion{Key: key.ID, EntityID: wiki, ConfirmedBy: "Kim"}, at.event())
	refusedWith(t, "at once", err, "holds_certificates", admin.SetProvider)
	for _, p := range []admin.Promotion{
		{Key: key.ID, EntityID: wiki, At: at.Add(time.Hour)},
		{Key: key.ID, EntityID: wiki, Force: true},
	} {
		if _, err := keys.Promote(ctx, all, p, at.event()); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

// The key of the metadata belongs to no service provider, and is promoted with a confirmation all the same.
func TestKeyOfMetadata(t *testing.T) {
	keys, at := newKeys(t, "two")
	ctx, all := t.Context(), admin.Everything()
	first, err := keys.Generate(ctx, all, admin.NewKey{Algorithm: "p-256", Use: admin.ForMetadata}, at.event())
	if err != nil || first.State != admin.KeyActive {
		t.Fatal(first, err)
	}
	next, err := keys.Generate(ctx, all, admin.NewKey{Algorithm: "p-256", Use: admin.ForMetadata}, at.event())
	if err != nil || next.State != admin.KeyNext {
		t.Fatal(next, err)
	}
	if err := keys.Publish(ctx, all, next.ID, at.event()); err != nil {
		t.Fatal(err)
	}
	_, err = keys.Promote(ctx, all, admin.Promotion{Key: next.ID, EntityID: wiki, ConfirmedBy: "Kim"}, at.event())
	refusedWith(t, "for one service provider", err, "sp", admin.NoAct)
	_, err = keys.Promote(ctx, all, admin.Promotion{Key: next.ID, All: true}, at.event())
	refusedWith(t, "nobody confirmed", err, "confirmed_by", admin.ConfirmLoaded)
	if _, err := keys.Promote(ctx, all, admin.Promotion{Key: next.ID, All: true, ConfirmedBy: "Kim"},
		at.event()); err != nil {
		t.Fatal(err)
	}
	events, err := keys.Store.Audit().List(ctx, store.Filter{Action: "key-promote"})
	var about struct {
		By string `json:"confirmed_by"`
	}
	if err != nil || len(events) != 1 || json.Unmarshal(events[0].Detail, &about) != nil || about.By != "Kim" {
		t.Errorf("events %+v, %v", events, err)
	}
}

// Keys sign for all client accounts: who may see some of them neither changes nor sees them.
func TestKeysAreForTheWhole(t *testing.T) {
	keys, at := newKeys(t, "two")
	ctx := t.Context()
	for _, scope := range []admin.Scope{{}, admin.Accounts("a07e1lxqqqo0")} {
		_, list := keys.List(ctx, scope)
		_, find := keys.Find(ctx, scope, "abcd")
		_, made := keys.Generate(ctx, scope, admin.NewKey{Algorithm: "p-256"}, at.event())
		_, first := keys.MakeFirst(ctx, scope, certs.P256, at.event())
		_, promoted := keys.Promote(ctx, scope, admin.Promotion{All: true, Force: true}, at.event())
		_, back := keys.Rollback(ctx, scope, wiki, false, at.event())
		_, ends := admin.Expiries{Keys: keys}.List(ctx, scope)
		for name, err := range map[string]error{
			"list": list, "find": find, "generate": made, "make the first": first, "promote": promoted, "roll back": back,
			"expiries": ends,
			"publish":  keys.Publish(ctx, scope, "abcd", at.event()), "retire": keys.Retire(ctx, scope, "abcd", at.event()),
		} {
			var e *admin.Error
			if !errors.As(err, &e) || e.Kind != admin.Forbidden {
				t.Errorf("%s: %v, want Forbidden", name, err)
			}
		}
	}
	if events, err := keys.Store.Audit().List(ctx, store.Filter{Action: "key-add"}); err != nil || len(events) != 1 {
		t.Errorf("%d keys were added, %v", len(events), err)
	}
}

// A key that can't be opened is found, with what to do; so is that there is none.
func TestKeyFindings(t *testing.T) {
	keys, _ := newKeys(t, "two")
	level := func(findings []admin.Finding) (worst admin.Level, act admin.Act, hints string) {
		for _, f := range findings {
			worst, hints = max(worst, f.Level), hints+f.Hint
			if f.Level == admin.Failure && f.Act != admin.NoAct {
				act = f.Act
			}
		}
		return worst, act, hints
	}
	if worst, _, _ := level(keys.Findings(t.Context())); worst != admin.OK {
		t.Errorf("a good key: %+v", keys.Findings(t.Context()))
	}
	other, err := certs.NewSealer(bytes.Repeat([]byte{8}, 32))
	if err != nil {
		t.Fatal(err)
	}
	good := keys.Sealer
	keys.Sealer = other
	if worst, _, hints := level(keys.Findings(t.Context())); worst != admin.Failure || !strings.Contains(hints,
		"secret_key is not the one") {
		t.Errorf("another secret key: %+v", keys.Findings(t.Context()))
	}
	keys.Sealer, keys.Store = good, storetest.Open(t)
	if worst, act, _ := level(keys.Findings(t.Context())); worst != admin.Failure || act != admin.MakeFirstKey {
		t.Errorf("no key: %+v", keys.Findings(t.Context()))
	}
}

// A key of another identity provider is sealed and leaves an event; what is wrong with its files is named, and nothing
// of them is repeated (REAL-27).
func TestImportKey(t *testing.T) {
	keys, at := newKeys(t, "two")
	ctx, all := t.Context(), admin.Everything()
	old, err := certs.Generate(certs.RSA2048, "old idp", 24*time.Hour, at.Time, nil)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := pkcs12.Modern2023.Encode(old.Signer, old.Certificate, nil, "changeit")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = keys.Import(ctx, all, admin.ImportedKey{Files: [][]byte{sealed}, Passphrase: "other"}, at.event())
	refusedWith(t, "another passphrase", err, "passphrase", admin.NoAct)
	_, _, err = keys.Import(ctx, all, admin.ImportedKey{Files: [][]byte{[]byte("hello")}}, at.event())
	refusedWith(t, "no key", err, "files", admin.NoAct)
	_, _, err = keys.Import(ctx, all, admin.ImportedKey{Use: "tls"}, at.event())
	refusedWith(t, "another use", err, "use", admin.NoAct)
	if _, _, err = keys.Import(ctx, admin.Accounts("a1"), admin.ImportedKey{}, at.event()); err == nil {
		t.Error("who sees one client account imports a key")
	}
	key, notes, err := keys.Import(ctx, all, admin.ImportedKey{Files: [][]byte{sealed}, Passphrase: "changeit"},
		at.event())
	if err != nil || key.State != admin.KeyNext || !bytes.Equal(key.Certificate, old.Certificate.Raw) || len(notes) != 1 {
		t.Fatalf("%+v, %q, %v", key, notes, err)
	}
	stored, err := keys.Store.Keys().List(ctx)
	if err != nil || len(stored) != 2 {
		t.Fatalf("%d keys, %v", len(stored), err)
	}
	private, err := old.PKCS8()
	if err != nil || bytes.Contains(stored[1].Private, private[40:80]) {
		t.Errorf("the private key is stored in clear, %v", err)
	}
	if err := keys.Publish(ctx, all, key.ID, at.event()); err != nil {
		t.Error(err)
	}
	if _, err := keys.Promote(ctx, all, admin.Promotion{Key: key.ID, All: true, ConfirmedBy: "they know it"},
		at.event()); err != nil {
		t.Error(err)
	}
	_, _, err = keys.Import(ctx, all, admin.ImportedKey{Files: [][]byte{sealed}, Passphrase: "changeit"}, at.event())
	refusedWith(t, "a second time", err, "files", admin.ListKeys)
	events, err := keys.Store.Audit().List(ctx, store.Filter{Action: "key-add", Subject: key.ID})
	if err != nil || len(events) != 1 || !strings.Contains(string(events[0].Detail), `"imported":true`) {
		t.Errorf("%+v, %v", events, err)
	}
}
