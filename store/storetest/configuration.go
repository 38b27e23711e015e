package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ssobridge/store"
)

func testProviders(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	db := open(t, fresh(t))
	s := db.ServiceProviders()
	yes := true
	sp := store.ServiceProvider{
		EntityID: "https://sp.example/ü", Name: "An <SP> & more", Kind: store.ConstantContact, Enabled: true,
		ACS:          []store.Endpoint{{URL: "https://sp.example/acs", Binding: "post", Index: 1, IsDefault: &yes}},
		NameIDFormat: "persistent", NameID: "{external_id}", SignAssertion: true,
		Attributes:   []store.Attribute{{Name: "email", Value: "{mail}"}},
		Certificates: [][]byte{{1, 2, 3}}, RelayStates: []store.RelayState{{ID: "a", Value: "https://x/"}},
		Lifetime: 5 * time.Minute, Skew: time.Minute, Metadata: []byte("<x/>"),
	}
	must(t, s.Put(ctx, sp, event("put")))
	got, err := s.Get(ctx, sp.EntityID)
	must(t, err)
	if got.UpdatedAt.IsZero() {
		t.Error("UpdatedAt is not set")
	}
	sp.UpdatedAt = got.UpdatedAt
	if diff := cmp.Diff(sp, got); diff != "" {
		t.Errorf("stored and read back (-want +got):\n%s", diff)
	}
	sp.Name, sp.Enabled = "Other", false
	must(t, s.Put(ctx, sp, event("put")))
	must(t, s.Put(ctx, store.ServiceProvider{EntityID: "a", Kind: store.PlainSAML}, event("put")))
	list, err := s.List(ctx)
	must(t, err)
	if len(list) != 2 || list[0].EntityID != "a" || list[1].Name != "Other" || list[1].Enabled {
		t.Errorf("list %+v, want a and the changed one", list)
	}
	if err := s.Put(ctx, store.ServiceProvider{EntityID: "b", Kind: "unheard"}, event("bad")); err == nil {
		t.Error("a kind that is none was stored")
	}
	for _, id := range []string{"none", "A", "a "} {
		if _, err := s.Get(ctx, id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("get %q: %v, want ErrNotFound", id, err)
		}
	}
	must(t, s.Remove(ctx, "a", event("put")))
	if err := s.Remove(ctx, "a", event("bad")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("remove again: %v, want ErrNotFound", err)
	}
	if good, bad := events(t, db, "put"), events(t, db, "bad"); good != 4 || bad != 0 {
		t.Errorf("%d and %d events, want 4 and 0", good, bad)
	}
}

// testProviderChanges: a change sees what is stored and loses nothing; of those who
// claim one refresh, one gets it.
func testProviderChanges(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	db := open(t, fresh(t))
	s := db.ServiceProviders()
	due := time.Date(2027, 1, 5, 10, 0, 0, 123456000, time.UTC)
	sp := store.ServiceProvider{
		EntityID: "sp", Kind: store.PlainSAML,
		Source: &store.Source{URL: "https://sp.example/metadata", TrustKey: []byte{1}, EveryAtMost: time.Hour, NextAt: due,
			ReadAt: due, ValidUntil: due.Add(time.Hour), Pending: []byte("<x/>"), PendingAt: due},
	}
	must(t, s.Put(ctx, sp, event("put")))
	got, err := s.Get(ctx, "sp")
	must(t, err)
	if diff := cmp.Diff(sp.Source, got.Source); diff != "" {
		t.Errorf("source stored and read back (-want +got):\n%s", diff)
	}

	const writers = 8
	var wait sync.WaitGroup
	errs := make(chan error, 2*writers)
	var claims atomic.Int32
	for i := range writers {
		wait.Go(func() {
			errs <- s.Change(ctx, "sp", func(sp *store.ServiceProvider) (store.Event, error) {
				sp.Groups = append(sp.Groups, fmt.Sprint(i))
				return event("changed"), nil
			})
		})
		wait.Go(func() {
			claimed, err := s.ClaimRefresh(ctx, "sp", due, due.Add(time.Minute))
			if claimed {
				claims.Add(1)
			}
			errs <- err
		})
	}
	wait.Wait()
	close(errs)
	for err := range errs {
		must(t, err)
	}
	got, err = s.Get(ctx, "sp")
	must(t, err)
	if len(got.Groups) != writers || events(t, db, "changed") != writers {
		t.Errorf("%d changes and %d events, want %d", len(got.Groups), events(t, db, "changed"), writers)
	}
	if claims.Load() != 1 {
		t.Errorf("%d claims of one refresh", claims.Load())
	}
	before, err := db.Changes(ctx)
	must(t, err)
	if claimed, err := s.ClaimRefresh(ctx, "sp", got.Source.NextAt, due.Add(time.Hour)); err != nil || !claimed {
		t.Errorf("claim of the next: %t %v", claimed, err)
	}
	if after, err := db.Changes(ctx); err != nil || after != before {
		t.Errorf("a claim counts as a change of configuration: %d, %d, %v", before, after, err)
	}

	refused := errors.New("no")
	err = s.Change(ctx, "sp", func(sp *store.ServiceProvider) (store.Event, error) {
		sp.Name = "never"
		return event("never"), refused
	})
	if got, getErr := s.Get(ctx, "sp"); !errors.Is(err, refused) || getErr != nil || got.Name != "" ||
		events(t, db, "never") != 0 {
		t.Errorf("a change that failed: %v, name %q", err, got.Name)
	}
	if err := s.Change(ctx, "none", func(*store.ServiceProvider) (store.Event, error) {
		return event("never"),
			nil
	}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("change of none: %v", err)
	}
	if claimed, err := s.ClaimRefresh(ctx, "none", due, due); err != nil || claimed {
		t.Errorf("claim of none: %t %v", claimed, err)
	}
}

// testKeys: sealed columns come back byte for byte.
func testKeys(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	s := open(t, fresh(t)).Keys()
	var every [256]byte
	for i := range every {
		every[i] = byte(i)
	}
	k := store.SigningKey{ID: "k1", Use: "signing", State: "active", Algorithm: "rsa-3072",
		Certificate: []byte{0x30, 0}, Private: every[:], CreatedAt: time.Now().UTC().Truncate(time.Microsecond)}
	must(t, s.Add(ctx, k, event("k")))
	list, err := s.List(ctx)
	must(t, err)
	if diff := cmp.Diff([]store.SigningKey{k}, list); diff != "" {
		t.Errorf("stored and read back (-want +got):\n%s", diff)
	}
	if err := s.Add(ctx, k, event("k")); !errors.Is(err, store.ErrConflict) {
		t.Errorf("the same key again: %v, want ErrConflict", err)
	}
	if err := s.Add(ctx, store.SigningKey{ID: "k2", Use: "signing", State: "odd"}, event("k")); err == nil {
		t.Error("a state that is none was stored")
	}
	for _, state := range []string{"next", "published", "active", "retiring", "retired"} {
		must(t, s.Add(ctx, store.SigningKey{ID: "k-" + state, Use: "metadata", State: state, Holder: "pkcs11:x"}, event("k")))
	}
}

// testKeyChoices: row KEY-01, which key signs for whom, changed in one transaction.
func testKeyChoices(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	db := open(t, fresh(t))
	s := db.Keys()
	at := time.Now().UTC().Truncate(time.Microsecond)
	must(t, s.Add(ctx, store.SigningKey{ID: "a", Use: "signing", State: "active", Private: []byte("sealed"),
		CreatedAt: at}, event("k")))
	must(t, s.Add(ctx, store.SigningKey{ID: "b", Use: "signing", State: "published", Private: []byte("sealed"),
		CreatedAt: at.Add(time.Second), PublishedAt: at}, event("k")))
	must(t, db.ServiceProviders().Put(ctx, store.ServiceProvider{EntityID: "sp", Kind: store.PlainSAML}, event("put")))

	before, err := db.Changes(ctx)
	must(t, err)
	want := map[string]store.KeyChoice{
		"": {Key: "a", UpdatedAt: at},
		"sp": {EntityID: "sp", Key: "a", Previous: "b", Next: "b", SwitchAt: at.Add(time.Hour), Window: true,
			ConfirmedBy: "Kim", ConfirmedAt: at, Forced: true, UpdatedAt: at},
	}
	must(t, s.Change(ctx, func(r *store.KeyRing) ([]store.Event, error) {
		if len(r.Keys) != 2 || len(r.Choices) != 0 || len(r.Providers) != 1 || r.Providers[0].EntityID != "sp" {
			t.Errorf("ring %+v", r)
		}
		r.Keys[0].State, r.Keys[0].RetiringAt, r.Keys[0].Private = "retiring", at, nil
		r.Keys[1].State, r.Keys[1].ActiveAt = "active", at
		for entityID, c := range want {
			r.Choices[entityID] = c
		}
		return []store.Event{event("c")}, nil
	}))
	choices := func() map[string]store.KeyChoice {
		t.Helper()
		all, err := s.Choices(ctx)
		must(t, err)
		got := map[string]store.KeyChoice{}
		for _, c := range all {
			got[c.EntityID] = c
		}
		return got
	}
	if diff := cmp.Diff(want, choices()); diff != "" {
		t.Errorf("choices (-want +got):\n%s", diff)
	}
	keys, err := s.List(ctx)
	must(t, err)
	if a, b := keys[0], keys[1]; a.State != "retiring" || !a.RetiringAt.Equal(at) || len(a.Private) != 0 ||
		b.State != "active" || !b.ActiveAt.Equal(at) || !b.PublishedAt.Equal(at) || string(b.Private) != "sealed" {
		t.Errorf("keys %+v", keys)
	}
	after, err := db.Changes(ctx)
	must(t, err)
	if after <= before {
		t.Error("the change counter was not raised")
	}

	// What the change refuses is not stored, nor is its event; nor is what the database refuses.
	refused := errors.New("refused")
	err = s.Change(ctx, func(r *store.KeyRing) ([]store.Event, error) {
		r.Keys[0].State = "retired"
		delete(r.Choices, "sp")
		return []store.Event{event("c")}, refused
	})
	if !errors.Is(err, refused) {
		t.Errorf("%v, want the change's own error", err)
	}
	err = s.Change(ctx, func(r *store.KeyRing) ([]store.Event, error) {
		r.Choices["sp"] = store.KeyChoice{Key: "none"}
		return []store.Event{event("c")}, nil
	})
	if err == nil {
		t.Error("a choice of a key that is not there was stored")
	}
	if diff := cmp.Diff(want, choices()); diff != "" {
		t.Errorf("choices after refusals (-want +got):\n%s", diff)
	}
	if n := events(t, db, "c"); n != 1 {
		t.Errorf("%d events, want 1", n)
	}

	// Who is removed and registered anew begins with the key of all.
	other := errors.New("it is another one")
	if err := db.ServiceProviders().RemoveIf(ctx, "sp", func(store.ServiceProvider) error { return other },
		event("put")); !errors.Is(err, other) {
		t.Errorf("one that is not as it was read: %v", err)
	}
	if _, err := db.ServiceProviders().Get(ctx, "sp"); err != nil {
		t.Errorf("a refused removal has removed it: %v", err)
	}
	sp := store.ServiceProvider{EntityID: "sp", Kind: store.PlainSAML, Name: "another"}
	if err := db.ServiceProviders().PutIf(ctx, sp, func(was *store.ServiceProvider) error {
		if was == nil || was.EntityID != "sp" {
			t.Errorf("what is there: %+v", was)
		}
		return other
	}, event("put")); !errors.Is(err, other) {
		t.Errorf("one that is stored over another: %v", err)
	}
	if was, err := db.ServiceProviders().Get(ctx, "sp"); err != nil || was.Name != "" {
		t.Errorf("after what was refused: %+v, %v", was, err)
	}
	must(t, db.ServiceProviders().Remove(ctx, "sp", event("put")))
	delete(want, "sp")
	if diff := cmp.Diff(want, choices()); diff != "" {
		t.Errorf("choices after the removal (-want +got):\n%s", diff)
	}
	must(t, db.ServiceProviders().PutIf(ctx, sp, func(was *store.ServiceProvider) error {
		if was != nil {
			t.Errorf("where none is there: %+v", was)
		}
		return nil
	}, event("put")))
	must(t, s.Change(ctx, func(r *store.KeyRing) ([]store.Event, error) {
		clear(r.Choices)
		return nil, nil
	}))
	if got := choices(); len(got) != 0 {
		t.Errorf("choices %v, want none", got)
	}
}

// testKeyChangesDoNotCross: two replicas that count up a field lose no count.
func testKeyChangesDoNotCross(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	o := fresh(t)
	one, two := open(t, o), open(t, o)
	must(t, one.Keys().Add(ctx, store.SigningKey{ID: "a", Use: "signing", State: "active"}, event("k")))
	const each = 10
	var wg sync.WaitGroup
	errs := make(chan error, 2)
	for _, db := range []*store.DB{one, two} {
		wg.Go(func() {
			for range each {
				err := db.Keys().Change(ctx, func(r *store.KeyRing) ([]store.Event, error) {
					c := r.Choices[""]
					r.Choices[""] = store.KeyChoice{Key: "a", Previous: c.Previous + "x"}
					return nil, nil
				})
				if err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	choices, err := two.Keys().Choices(ctx)
	must(t, err)
	if len(choices) != 1 || len(choices[0].Previous) != 2*each {
		t.Errorf("choices %+v, want %d changes", choices, 2*each)
	}
}

func testMappings(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	t.Run("stored and read back", func(t *testing.T) {
		db := open(t, fresh(t))
		s := db.Mappings()
		m := store.Mapping{Kind: store.GroupMapping, GroupID: "uuid", GroupDN: "cn=a,dc=x", Account: "a1",
			Role: store.AccountManager, Priority: 5, CreatedBy: "admin:x",
			CreatedAt: time.Now().UTC().Truncate(time.Microsecond)}
		id, err := s.Add(ctx, m, nil, event("m"))
		must(t, err)
		m.ID = id
		must(t, s.SetGroupDN(ctx, id, "cn=b,dc=x"))
		m.GroupDN = "cn=b,dc=x"
		list, err := s.List(ctx)
		must(t, err)
		if diff := cmp.Diff([]store.Mapping{m}, list); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		must(t, s.Remove(ctx, list[0], event("m")))
		if err := s.Remove(ctx, list[0], event("m")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("remove again: %v, want ErrNotFound", err)
		}
		if err := s.SetGroupDN(ctx, id, "cn=c"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("rename a removed one: %v, want ErrNotFound", err)
		}
		again, err := s.Add(ctx, m, nil, event("m"))
		must(t, err)
		if again == id {
			t.Errorf("the id %d of a removed mapping was given again", id)
		}
		if n := events(t, db, "m"); n != 3 {
			t.Errorf("%d events, want 3", n)
		}
	})
	t.Run("contradictions", func(t *testing.T) {
		group := func(dn string, account store.AccountID, role store.Role, priority int) store.Mapping {
			return store.Mapping{Kind: store.GroupMapping, GroupDN: dn, Account: account, Role: role, Priority: priority}
		}
		pattern := func(p string, account store.AccountID, role store.Role, priority int) store.Mapping {
			return store.Mapping{Kind: store.GroupPattern, Pattern: p, Account: account, Role: role, Priority: priority}
		}
		person := func(p store.PersonID, role store.Role) store.Mapping {
			return store.Mapping{Kind: store.PersonMapping, Person: p, Account: "a1", Role: role}
		}
		const manager, creator, owner = store.AccountManager, store.CampaignCreator, store.Owner
		for _, c := range []struct {
			name        string
			first, then store.Mapping
			want        error
		}{
			{"same account, other role, same priority", group("cn=a", "a1", manager, 1), group("cn=b", "a1", creator, 1),
				store.ErrConflict},
			{"same account, other role, other priority", group("cn=a", "a1", manager, 1), group("cn=b", "a1", creator, 2), nil},
			{"same account, same role", group("cn=a", "a1", manager, 1), group("cn=b", "a1", manager, 1), nil},
			{"other account", group("cn=a", "a1", manager, 1), group("cn=b", "a2", creator, 1), nil},
			{"pattern captures the account", group("cn=a", "a1", manager, 1), pattern("x-{account}", "", creator, 1),
				store.ErrConflict},
			{"pattern captured the account", pattern("x-{account}", "", creator, 1), group("cn=a", "a1", manager, 1),
				store.ErrConflict},
			{"pattern captures account, same role", group("cn=a", "a1", manager, 1), pattern("x-{account}", "",
				manager, 1), nil},
			{"pattern captures role", group("cn=a", "a1", manager, 1), pattern("x-{role}", "a1", "", 1), store.ErrConflict},
			{"two patterns capture both", pattern("x-{account}-{role}", "", "", 1), pattern("y-{account}-{role}", "", "", 1),
				store.ErrConflict},
			{"two patterns, other priority", pattern("x-{account}-{role}", "", "", 1), pattern("y-{account}-{role}",
				"", "", 2), nil},
			{"two persons", person("p1", owner), person("p2", manager), nil},
			{"one person twice", person("p1", owner), person("p1", manager), store.ErrConflict},
			{"person and group", person("p1", owner), group("cn=a", "a1", manager, 0), store.ErrConflict},
			{"the same again", group("cn=a", "a1", manager, 1), group("cn=a", "a1", manager, 7), store.ErrConflict},
		} {
			t.Run(c.name, func(t *testing.T) {
				s := open(t, fresh(t)).Mappings()
				_, err := s.Add(ctx, c.first, nil, event("m"))
				must(t, err)
				if _, err := s.Add(ctx, c.then, nil, event("m")); !errors.Is(err, c.want) {
					t.Errorf("%v, want %v", err, c.want)
				}
			})
		}
	})
	t.Run("contradictions at once", func(t *testing.T) {
		o := fresh(t)
		replicas := []*store.Mappings{open(t, o).Mappings(), open(t, o).Mappings()}
		added := 0
		for _, err := range all(10, func(i int) error {
			role := []store.Role{store.AccountManager, store.CampaignCreator, store.Owner}[i%3]
			_, err := replicas[i%2].Add(ctx, store.Mapping{Kind: store.GroupMapping, GroupDN: "cn=a", Account: "a1", Role: role},
				nil, event("m"))
			return err
		}) {
			if err == nil {
				added++
			} else if !errors.Is(err, store.ErrConflict) {
				t.Errorf("add: %v", err)
			}
		}
		if added != 1 {
			t.Errorf("%d contradicting mappings stand side by side", added)
		}
	})
	t.Run("owner", func(t *testing.T) {
		db := open(t, fresh(t))
		s, l := db.Mappings(), db.Ledger()
		m := store.Mapping{Kind: store.PersonMapping, Person: "p1", Account: "a1", Role: store.Owner}
		u := store.SSOUser{Person: "p1", Account: "a1", ExternalID: "x1", ExternalProvider: "partner", Role: store.Owner}
		id, err := s.Add(ctx, m, &u, event("m"))
		must(t, err)
		got, err := l.Get(ctx, "p1", "a1")
		must(t, err)
		if got.State != store.Active || got.ExternalID != "x1" || got.Role != store.Owner || got.Mapping != id {
			t.Errorf("owner's SSO user %+v, want it active", got)
		}
		if _, err := l.Claim(ctx, time.Minute, store.PlanPriority); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a worker got the owner: %v", err)
		}
		// The external id is somebody else's; nothing of the mapping may stay.
		thief := store.Mapping{Kind: store.PersonMapping, Person: "p2", Account: "a1", Role: store.Owner}
		stolen := u
		stolen.Person = "p2"
		if _, err := s.Add(ctx, thief, &stolen, event("m")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("external id of another: %v, want ErrConflict", err)
		}
		if list, err := s.List(ctx); err != nil || len(list) != 1 {
			t.Errorf("mappings %+v, %v, want the first alone", list, err)
		}
		// A wrong external id is fixed by removing the mapping.
		must(t, s.Remove(ctx, switchedOn(t, db)[0], event("m")))
		u.ExternalID = "x2"
		if _, err = s.Add(ctx, m, &u, event("m")); err != nil {
			t.Errorf("told anew: %v", err)
		}
		if got, err := l.Get(ctx, "p1", "a1"); err != nil || got.ExternalID != "x2" {
			t.Errorf("told anew: %+v, %v", got, err)
		}
		// An SSO user that we created is not overwritten.
		_, _, err = l.Enqueue(ctx, store.SSOUser{Person: "p3", Account: "a1", ExternalID: "x3", ExternalProvider: "partner",
			LoginName: "l3", Role: store.AccountManager}, event("w"))
		must(t, err)
		if _, err := s.Add(ctx, store.Mapping{Kind: store.PersonMapping, Person: "p3", Account: "a1", Role: store.Owner},
			&store.SSOUser{Person: "p3", Account: "a1", ExternalID: "x4", ExternalProvider: "partner"},
			event("m")); !errors.Is(err, store.ErrConflict) {
			t.Errorf("over an SSO user of ours: %v, want ErrConflict", err)
		}
	})
}

func testAccounts(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	s := open(t, fresh(t)).Accounts()
	then := time.Now().UTC().Add(-time.Hour).Truncate(time.Microsecond)
	now := then.Add(time.Hour)
	must(t, s.ReplaceAll(ctx, []store.Account{{ID: "a1", Name: "One", BillingStatus: "Open", SeenAt: then},
		{ID: "a2", Name: "Two", BillingStatus: "Trial", SeenAt: then}}, event("a")))
	must(t, s.ReplaceAll(ctx, []store.Account{{ID: "a2", Name: "Zwei", BillingStatus: "Open", SeenAt: now},
		{ID: "a3", Name: "Three", SeenAt: now}}, event("a")))
	list, err := s.List(ctx)
	must(t, err)
	want := []store.Account{{ID: "a1", Name: "One", BillingStatus: "Open", SeenAt: then},
		{ID: "a2", Name: "Zwei", BillingStatus: "Open", SeenAt: now}, {ID: "a3", Name: "Three", SeenAt: now}}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
