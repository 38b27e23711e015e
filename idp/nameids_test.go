package idp_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ssobridge/certs"
	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/store"
)

const mailFormat = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"

// newMailFixture has a service provider that knows people by their mail address, which alice and bob may pass to each
// other.
func newMailFixture(t *testing.T, change func(*idp.Options)) *fixture {
	t.Helper()
	f := newFixture(t, "rsa-2048", change)
	sp := plainSP()
	sp.NameIDFormat, sp.NameID = mailFormat, "{mail}"
	f.put(t, sp)
	other := sp
	other.EntityID, other.ACS = "https://other.test", slices.Clone(sp.ACS)
	f.put(t, other)
	var groups []directory.Group
	f.directory.change("alice", func(who *person) { groups = who.entry.Groups })
	f.directory.change("bob", func(who *person) { who.entry.Groups = groups })
	return f
}

func (f *fixture) mail(login, address string) {
	f.directory.change(login, func(who *person) { who.entry.Mail = address })
}

// goTo signs somebody in at a service provider, with a browser of its own, and returns the page and the session.
func (f *fixture) goTo(t *testing.T, entityID, login, password string) (idp.Page, idp.Visitor) {
	t.Helper()
	ctx := context.Background()
	v := visitor("browser of " + login + " " + t.Name() + entityID + now.Now().String())
	a, err := f.Launch(ctx, idp.LaunchRequest{EntityID: entityID}, v)
	id := begun(t, a, err).SignIn
	a, err = f.Login(ctx, id, login, password, v)
	must[idp.GoOn](t, a, err)
	v.Session = a.NewSession
	a, err = f.resume(id, v)
	if err != nil {
		t.Fatal(err)
	}
	return a.Page, v
}

func (f *fixture) delivered(t *testing.T, entityID, login, password string) {
	t.Helper()
	if page, _ := f.goTo(t, entityID, login, password); page == nil || !is[idp.Deliver](page) {
		t.Errorf("%s at %s got %#v, want the Response", login, entityID, page)
	}
}

func (f *fixture) refusedNameID(t *testing.T, entityID, login, password string) {
	t.Helper()
	page, _ := f.goTo(t, entityID, login, password)
	if r, ok := page.(idp.Refusal); !ok || r.Reason != idp.ReasonNameIDTaken || r.Status != 403 {
		t.Errorf("%s at %s got %#v, want a refusal", login, entityID, page)
	}
}

func is[T idp.Page](page idp.Page) bool {
	_, ok := page.(T)
	return ok
}

// ID-05: a NameID that one person got is given to nobody else at that service provider, until an administrator releases
// it.
func TestNameIDBelongsToOnePerson(t *testing.T) {
	ctx := context.Background()
	f := newMailFixture(t, nil)
	f.mail("alice", "office@partner.test")
	f.delivered(t, plain, "alice", "correct horse")
	f.mail("alice", "alice@partner.test")
	f.mail("bob", "Office@Partner.Test") // letter case tells no two addresses apart
	f.refusedNameID(t, plain, "bob", "battery staple")
	f.delivered(t, "https://other.test", "bob", "battery staple") // another service provider is another matter
	f.delivered(t, plain, "alice", "correct horse")               // and alice may have several
	f.mail("bob", "bob@partner.test")
	f.delivered(t, plain, "bob", "battery staple")

	// It is on record, and the address is not.
	events, err := f.db.Audit().List(ctx, store.Filter{Action: "refusal", Limit: 10})
	if err != nil || len(events) != 1 || events[0].Reason != idp.ReasonNameIDTaken || events[0].Subject != string(bobID) ||
		events[0].SP != plain {
		t.Errorf("events %+v, %v", events, err)
	}
	if log := f.log.String(); !strings.Contains(log, "reason="+idp.ReasonNameIDTaken) || strings.Contains(log, "Office@") {
		t.Error("the log says nothing of the refusal, or has the address")
	}

	sp, err := f.db.ServiceProviders().Get(ctx, plain)
	if err != nil {
		t.Fatal(err)
	}
	held, err := f.IssuedNameID(ctx, sp, "OFFICE@partner.test")
	if err != nil || held.Person != aliceID || held.FirstAt.IsZero() || held.LastAt.IsZero() {
		t.Fatalf("held by %+v, %v", held, err)
	}
	if _, err := f.IssuedNameID(ctx, sp, "nobody@partner.test"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("one that nobody got: %v", err)
	}
	if err := f.ReleaseNameID(ctx, held, store.Event{At: now.Now(), Actor: "admin:test"}); err != nil {
		t.Fatal(err)
	}
	if err := f.ReleaseNameID(ctx, held, store.Event{At: now.Now(), Actor: "admin:test"}); !errors.Is(err,
		store.ErrConflict) {
		t.Errorf("released twice: %v", err)
	}
	f.mail("bob", "office@partner.test")
	f.delivered(t, plain, "bob", "battery staple")
	f.mail("alice", "office@partner.test")
	f.refusedNameID(t, plain, "alice", "correct horse")
	events, err = f.db.Audit().List(ctx, store.Filter{Action: "name-id-release", Limit: 10})
	if err != nil || len(events) != 1 || events[0].Subject != string(aliceID) || events[0].SP != plain ||
		events[0].Actor != "admin:test" {
		t.Errorf("events %+v, %v", events, err)
	}
}

// ID-05: of two who would get one NameID at the same moment, one gets it.
func TestNameIDOfTwoAtOnce(t *testing.T) {
	ctx := context.Background()
	f := newMailFixture(t, nil)
	f.mail("alice", "desk@partner.test")
	f.mail("bob", "desk@partner.test")
	type way struct {
		id string
		v  idp.Visitor
	}
	var ways []way
	for login, password := range map[string]string{"alice": "correct horse", "bob": "battery staple"} {
		v := visitor("browser of " + login)
		a, err := f.Launch(ctx, idp.LaunchRequest{EntityID: plain}, v)
		w := way{begun(t, a, err).SignIn, v}
		a, err = f.Login(ctx, w.id, login, password, v)
		must[idp.GoOn](t, a, err)
		w.v.Session = a.NewSession
		ways = append(ways, w)
	}
	var wg sync.WaitGroup
	pages := make([]idp.Page, len(ways))
	for i, w := range ways {
		wg.Go(func() {
			a, err := f.resume(w.id, w.v)
			if err != nil {
				t.Error(err)
			}
			pages[i] = a.Page
		})
	}
	wg.Wait()
	delivered := 0
	for _, page := range pages {
		if is[idp.Deliver](page) {
			delivered++
		} else if r, ok := page.(idp.Refusal); !ok || r.Reason != idp.ReasonNameIDTaken {
			t.Errorf("page %#v", page)
		}
	}
	if delivered != 1 {
		t.Errorf("%d got it, want 1", delivered)
	}
}

// ID-05: what is forgotten of a person leaves a hash, which nobody passes; the person who comes back does.
func TestNameIDOutlivesForgetting(t *testing.T) {
	ctx := context.Background()
	f := newMailFixture(t, nil)
	f.mail("alice", "office@partner.test")
	f.delivered(t, plain, "alice", "correct horse")
	_, remains, err := f.db.Ledger().ForgetPerson(ctx, store.Forget{Person: aliceID, Deleted: true,
		Bare: directory.NormalizeLogin}, store.Event{Actor: "admin:test", Action: "forget"})
	if err != nil || len(remains.Users) > 0 {
		t.Fatal(remains, err)
	}
	f.mail("bob", "office@partner.test")
	f.refusedNameID(t, plain, "bob", "battery staple")
	sp, err := f.db.ServiceProviders().Get(ctx, plain)
	if err != nil {
		t.Fatal(err)
	}
	held, err := f.IssuedNameID(ctx, sp, "office@partner.test")
	if err != nil || held.Person != "" {
		t.Errorf("held by %+v, %v", held, err)
	}
	f.delivered(t, plain, "alice", "correct horse")
	if held, err = f.IssuedNameID(ctx, sp, "office@partner.test"); err != nil || held.Person != aliceID {
		t.Errorf("held by %+v, %v", held, err)
	}
}

// ID-05: the first issue writes a row, the next ones nothing for a day.
func TestNameIDIsWrittenOnce(t *testing.T) {
	ctx := context.Background()
	f := newMailFixture(t, nil)
	sp, err := f.db.ServiceProviders().Get(ctx, plain)
	if err != nil {
		t.Fatal(err)
	}
	last := func() time.Time {
		t.Helper()
		held, err := f.IssuedNameID(ctx, sp, "alice@partner.test")
		if err != nil {
			t.Fatal(err)
		}
		return held.LastAt
	}
	f.delivered(t, plain, "alice", "correct horse")
	first := last()
	now.Advance(time.Hour)
	f.delivered(t, plain, "alice", "correct horse")
	if got := last(); !got.Equal(first) {
		t.Errorf("last issued at %s after an hour, want %s still", got, first)
	}
	now.Advance(24 * time.Hour)
	f.delivered(t, plain, "alice", "correct horse")
	if got := last(); !got.After(first) {
		t.Errorf("last issued at %s after a day", got)
	}
}

// ID-05: what the version before has issued is taken over; of two who got one name, the first keeps it.
func TestNameIDsAreTakenOver(t *testing.T) {
	ctx := context.Background()
	f := newMailFixture(t, nil)
	f.mail("alice", "alice@partner.test")
	_, v := f.goTo(t, "https://other.test", "alice", "correct horse")
	f.before(t, v, plain, "office@partner.test", start)
	_, v = f.goTo(t, "https://other.test", "bob", "battery staple")
	f.before(t, v, plain, "Office@partner.test", start.Add(time.Second))
	if n, err := f.TakeOverNameIDs(ctx); n != 2 || err != nil {
		t.Fatalf("%d taken over, %v", n, err)
	}
	if n, err := f.TakeOverNameIDs(ctx); n != 0 || err != nil {
		t.Errorf("%d taken over again, %v", n, err)
	}
	f.mail("bob", "office@partner.test")
	f.refusedNameID(t, plain, "bob", "battery staple")
	f.mail("alice", "office@partner.test")
	f.delivered(t, plain, "alice", "correct horse")
	if !strings.Contains(f.log.String(), "two people have got one NameID") {
		t.Error("the log does not tell of the two")
	}
}

// ID-05: the key of the hashes goes over to another secret key with nothing lost; without any that sealed it, nothing
// is issued.
func TestNameKeyIsSealedAnew(t *testing.T) {
	ctx := context.Background()
	first, second := []byte(strings.Repeat("k", 32)), []byte(strings.Repeat("n", 32))
	var same idp.Options
	f := newMailFixture(t, func(o *idp.Options) { same = *o })
	f.mail("alice", "office@partner.test")
	f.delivered(t, plain, "alice", "correct horse")
	sealer, err := certs.NewSealer(second, first)
	if err != nil {
		t.Fatal(err)
	}
	same.Sealer = sealer
	p, err := idp.New(same)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		if changed, err := p.SealNameKey(ctx, store.Event{Actor: "admin:test", Action: "secrets-rotate"}); changed != want ||
			err != nil {
			t.Fatalf("sealed anew: %t, %v; want %t", changed, err, want)
		}
	}
	sp, err := f.db.ServiceProviders().Get(ctx, plain)
	if err != nil {
		t.Fatal(err)
	}
	if held, err := p.IssuedNameID(ctx, sp, "office@partner.test"); err != nil || held.Person != aliceID {
		t.Errorf("held by %+v, %v", held, err)
	}
	// The first provider knows only the secret key that no longer seals.
	if _, err := f.IssuedNameID(ctx, sp, "office@partner.test"); err == nil {
		t.Error("the key was opened without its secret key")
	}
}

// before stores a participation as the version before this one does.
func (f *fixture) before(t *testing.T, v idp.Visitor, entityID, nameID string, at time.Time) {
	t.Helper()
	token := sha256.Sum256([]byte(v.Session))
	f.exec(t, `INSERT INTO participations (token_hash, entity_id, name_id, session_index, name_id_format, issued_at) VALUES (?, ?, ?, 'x', ?, ?)`,
		token[:], entityID, nameID, mailFormat, at.UnixMicro())
}
