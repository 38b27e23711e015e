package admin_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"ssobridge/store"
	"ssobridge/store/storetest"
	"ssobridge/web/admin"
)

// Readiness, overview and the full check go through one list, each through its part of it, in its order.
func TestStatusIsOneList(t *testing.T) {
	keys, at := newKeys(t, "two")
	ctx, all := t.Context(), admin.Everything()
	down := errors.New("down")
	var signIns error
	s := admin.Status{
		Store: keys.Store, StoreName: "sqlite", Keys: keys, Providers: admin.Providers{Store: keys.Store, Now: at.now},
		SignIns: func(context.Context) error { return signIns }, Now: at.now,
		Machine: []admin.Check{{For: admin.ForFullCheck,
			Run: func(context.Context) []admin.Finding { return []admin.Finding{{Name: "machine"}} }}},
	}
	look := func(asked admin.Asked) (found []admin.Finding) {
		t.Helper()
		if err := s.Look(ctx, all, asked, func(f admin.Finding) { found = append(found, f) }); err != nil {
			t.Fatal(err)
		}
		return found
	}
	names := func(found []admin.Finding) (names []string) {
		for _, f := range found {
			names = append(names, f.Name)
		}
		return names
	}
	if got := names(look(admin.ForReadiness)); !slices.Equal(got, []string{"store", "sign-ins"}) {
		t.Errorf("readiness looks at %v: it is asked every few seconds, by a load balancer", got)
	}
	health := s.LookForHealth(ctx, admin.Health{})
	if p, _ := health.Part(admin.PartProviders); p.Worst().Act != admin.AddConstantContact {
		t.Errorf("the snapshot finds of service providers: %+v", p)
	}
	if err := s.Ready(ctx); err != nil {
		t.Errorf("ready: %v", err)
	}
	signIns = down
	if err := s.Ready(ctx); !errors.Is(err, down) {
		t.Errorf("sign-ins are down: %v", err)
	}
	signIns = nil
	closed := s
	closed.Store = storetest.Open(t)
	if err := closed.Store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := closed.Ready(ctx); err == nil || !strings.Contains(err.Error(), "reach the store") {
		t.Errorf("the store is closed: %v", err)
	}
	var e *admin.Error
	if err := s.Look(ctx, admin.Accounts("a07e1lxqqqo0"), admin.ForHealth, nil); !errors.As(err, &e) ||
		e.Kind != admin.Forbidden {
		t.Errorf("for somebody who may see one account: %v", err)
	}
}

// What is found of service providers says what fixes it.
func TestProviderFindings(t *testing.T) {
	p, at := newProviders(t)
	ctx := t.Context()
	good := func(id string) store.ServiceProvider {
		sp, err := admin.ConstantContact{EntityID: id}.Record()
		if err != nil {
			t.Fatal(err)
		}
		return sp
	}
	put := func(sp store.ServiceProvider) {
		t.Helper()
		if err := p.Store.ServiceProviders().Put(ctx, sp, store.Event{Action: "sp-add"}); err != nil {
			t.Fatal(err)
		}
	}
	find := func(id string, act admin.Act) (admin.Finding, bool) {
		for _, f := range p.Findings(ctx) {
			if strings.Contains(f.Name, id) && f.Act == act {
				return f, true
			}
		}
		return admin.Finding{}, false
	}
	put(good("https://one.example"))
	for _, f := range p.Findings(ctx) {
		if f.Level != admin.OK {
			t.Errorf("a good one: %+v", f)
		}
	}
	for _, c := range []struct {
		name   string
		change func(*store.ServiceProvider)
		level  admin.Level
		act    admin.Act
	}{
		{"off", func(sp *store.ServiceProvider) { sp.Enabled = false }, admin.Warning, admin.NoAct},
		{"waits", func(sp *store.ServiceProvider) { sp.Source = &store.Source{Pending: []byte("x")} }, admin.Warning,
			admin.ReviewProvider},
		{"expired", func(sp *store.ServiceProvider) { sp.Source = &store.Source{ValidUntil: at.Add(-time.Hour)} },
			admin.Failure, admin.RefreshProvider},
		{"no-key", func(sp *store.ServiceProvider) { sp.Encryption = "required" }, admin.Failure, admin.StopEncryption},
		{"faulty", func(sp *store.ServiceProvider) { sp.ACS = nil }, admin.Failure, admin.ImportAgain},
	} {
		sp := good("https://" + c.name + ".example")
		c.change(&sp)
		put(sp)
		if f, ok := find(sp.EntityID, c.act); !ok || f.Level != c.level {
			t.Errorf("%s: %+v", c.name, p.Findings(ctx))
		}
	}
}
