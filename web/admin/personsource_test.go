package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/claims"
	"ssobridge/idp/directory"
	"ssobridge/partnerapi"
	"ssobridge/provisioning"
	"ssobridge/store"
	"ssobridge/web/admin"
)

const portalKey = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",` +
	`"y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","kid":"one"}`

// sourceWorld is a world with a source of people beside the directory.
type sourceWorld struct {
	*world
	portal idp.Source
	idp    *idp.IdP
	people admin.People
	users  admin.Users
	came   int
}

func newSourceWorld(t *testing.T) *sourceWorld {
	t.Helper()
	keys, err := claims.ParseKeys([]byte(portalKey))
	if err != nil {
		t.Fatal(err)
	}
	w := &sourceWorld{world: newWorld(t)}
	w.portal = idp.Source{Source: &claims.Source{Name: "portal", Issuer: "https://portal.example.com", Subject: claims.Own,
		Keys: keys, AllowAccounts: []string{"a07e1*"}, AllowRoles: []string{"account_manager", "campaign_creator"}}}
	sources := []idp.Source{w.portal}
	d := w.Directory
	everybody := idp.NewPeople(idp.PeopleOptions{Directory: d, Known: w.db.SourcePeople(), Sources: sources,
		Recorded: func(ctx context.Context) (*store.AccountForms, map[string]store.SourceState, error) {
			return w.idp.Recorded(ctx)
		}})
	w.options.Directory, w.options.SourceBounds = everybody, idp.SourceBounds(sources)
	w.options.LeaverAfter = func(source string) time.Duration {
		return map[string]time.Duration{"portal": 30 * 24 * time.Hour}[source]
	}
	if w.rules, err = provisioning.New(w.options); err != nil {
		t.Fatal(err)
	}
	w.Mappings.Rules, w.Mappings.Sources = w.rules, []string{"portal"}
	w.idp = w.newIdP(t, func(o *idp.Options) {
		o.Sources, o.SourceStates = sources, w.db.Sources()
		o.SourceKeys = claims.NewKeys(claims.KeysOptions{Now: time.Now})
	})
	w.people = admin.People{Store: w.db, Provisioning: w.rules, Directory: everybody, IdP: w.idp}
	w.users = admin.Users{Store: w.db, Provisioning: w.rules, Directory: everybody}
	return w
}

// comes has somebody come by a token of the source, as a signed launch stores it.
func (w *sourceWorld) comes(t *testing.T, sub, first, last string, groups []string,
	grants ...claims.Grant) store.PersonID {
	t.Helper()
	w.came++
	said := claims.Person{ID: w.portal.PersonID(sub), Login: "portal:" + sub, FirstName: first, LastName: last,
		Mail: sub + "@example.com", Groups: groups, Grants: grants}
	data, err := json.Marshal(said)
	if err != nil {
		t.Fatal(err)
	}
	p := store.PersonID(said.ID)
	if err := w.db.Sessions().Create(t.Context(), store.Session{TokenHash: fmt.Appendf(nil, "%032d", w.came), Person: p,
		Login: said.Login, Name: first + " " + last, EndsAt: time.Now().Add(time.Hour), Methods: []string{"launch:portal"},
		SourcePerson: &store.SourcePerson{Person: p, Source: "portal", Login: said.Login, FirstName: first, LastName: last,
			Mail: said.Mail, Claims: data}}, nil); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPeopleOfSources (ID-74): whoever came by a token is found, read, explained and previewed by what it said, within
// what the source may give today, and is never mixed up with somebody of the directory or of another source.
func TestPeopleOfSources(t *testing.T) {
	w, all := newSourceWorld(t), admin.Everything()
	ctx := t.Context()
	ana := w.comes(t, "ana", "Ana", "Díaz", []string{"editors"}, claims.Grant{Account: string(harbour),
		Role: "account_manager"}, claims.Grant{Account: "b07", Role: "account_manager"},
		claims.Grant{Account: string(harbour), Role: "owner"})
	w.comes(t, "alice", "Alicia", "Other", nil) // the login of somebody of the directory
	if _, err := w.Add(ctx, all, group("claim:portal:editors", "a07e1lxqqqo1"), "ann"); err == nil {
		t.Error("a client account that nobody lists is taken")
	}
	in := group("claim:portal:editors", "a07e1lxqqqo1")
	in.Unlisted, in.Role = true, "campaign_creator"
	if _, err := w.Add(ctx, all, in, "ann"); err != nil {
		t.Fatal(err)
	}

	for who, want := range map[string]string{"portal:ana": "portal:ana", "PORTAL:ana": "", string(ana): "portal:ana",
		"portal:ANA": "portal:ana", "alice": "alice", "portal:alice": "portal:alice", "ana": "", "other:ana": "",
		"source-portal.nobody": "", "source-other" + strings.TrimPrefix(string(ana), "source-portal"): ""} {
		e, err := w.people.Find(ctx, who)
		if want == "" {
			refused(t, who, err, admin.Missing, "user", admin.NoAct, "no entry of that name")
		} else if err != nil || e.Login != want || (e.Source == "portal") != strings.HasPrefix(want, "portal:") {
			t.Errorf("%s: %+v, %v", who, e, err)
		}
	}
	if id, err := w.users.Find(ctx, "portal:ana"); id != ana || err != nil {
		t.Errorf("found %s, %v", id, err)
	}

	found, more, err := w.people.Search(ctx, all, "al", 10)
	if err != nil || more || len(found) != 2 || found[0].Login != "alice" || found[0].Source != "" ||
		found[1].Login != "portal:alice" || found[1].Source != "portal" || found[1].Name != "Alicia Other" {
		t.Errorf("searched: %+v, more %v, %v", found, more, err)
	}
	if found, more, err = w.people.Search(ctx, all, "al", 1); err != nil || !more || len(found) != 1 {
		t.Errorf("one of two: %+v, more %v, %v", found, more, err)
	}
	found, _, err = w.people.Search(ctx, all, "díaz an", 10)
	if err != nil || len(found) != 1 || found[0].ID != string(ana) {
		t.Errorf("by two words: %+v, %v", found, err)
	}

	x, err := w.people.Explain(ctx, all, "portal:ana", admin.ExplainWhat{})
	if err != nil || x.Source == nil || x.Source.Name != "portal" || x.Source.Type != "signed_launch" ||
		x.Source.State != admin.SourceEnabled || time.Since(x.Source.SeenAt) > time.Hour || len(x.Assignments) != 2 {
		t.Fatalf("explained: %+v, %v", x, err)
	}
	if text := x.Summary(); !strings.HasPrefix(text, "Ana Díaz can sign in to a07e1lxqqqo1, Harbour Books from source portal") {
		t.Errorf("summary: %s", text)
	}
	for _, a := range x.Assignments {
		if a.Role == store.Owner || a.Account == "b07" {
			t.Errorf("outside what the source may give: %+v", a)
		}
	}
	p, err := w.people.Get(ctx, all, ana)
	if err != nil || p.Gone() || p.Source == nil || p.Entry.Mail != "ana@example.com" || len(p.Entry.Groups) != 1 {
		t.Errorf("read: %+v, %v", p, err)
	}
	if y, err := w.people.Explain(ctx, all, "alice", admin.ExplainWhat{}); err != nil || y.Source != nil || y.Summary() != "" {
		t.Errorf("somebody of the directory: %+v, %v", y.Source, err)
	}
	if y, err := w.people.Explain(ctx, all, "portal:alice", admin.ExplainWhat{}); err != nil ||
		!strings.HasPrefix(y.Summary(), "Alicia Other can't sign in to any client account: the last token of source portal") {
		t.Errorf("with nothing: %q, %v", y.Summary(), err)
	}

	// What the source may give less from now on, nobody has any more.
	w.portal.AllowAccounts = nil
	if y, err := w.people.Explain(ctx, all, string(ana), admin.ExplainWhat{}); err != nil || len(y.Assignments) != 0 {
		t.Errorf("with nothing allowed: %+v, %v", y.Assignments, err)
	}
	w.portal.AllowAccounts = []string{"a07e1*"}

	// A factor that is asked for and not proved refuses; a source that is off lets nobody in.
	policies := admin.ClientAccounts{Store: w.db, Provisioning: w.rules, IdP: w.idp}
	if _, err := policies.SetFactor(ctx, all, harbour, "required", event()); err != nil {
		t.Fatal(err)
	}
	x, err = w.people.Explain(ctx, all, string(ana), admin.ExplainWhat{Account: harbour})
	if err != nil || !strings.Contains(x.Summary(), "Ana Díaz can't sign in to Harbour Books (launch_factor") {
		t.Errorf("with a factor required: %q, %v", x.Summary(), err)
	}
	if err := w.db.Sources().SetEnabled(ctx, "portal", false, event()); err != nil {
		t.Fatal(err)
	}
	x, err = w.people.Explain(ctx, all, string(ana), admin.ExplainWhat{})
	if err != nil || x.Summary() != "Ana Díaz can't sign in: source portal is disabled." ||
		x.Source.State != admin.SourceDisabled {
		t.Errorf("with the source disabled: %q, %v", x.Summary(), err)
	}
	err = w.users.Create(ctx, all, store.UserKey{Person: ana, Account: harbour}, event())
	refused(t, "created with the source disabled", err, admin.Denied, "", admin.ExplainLogin, "source portal is disabled")

	// Whoever is forgotten is known no more.
	if _, err := w.users.Forget(ctx, all, ana, false, "ann"); err != nil {
		t.Fatal(err)
	}
	_, err = w.people.Get(ctx, all, ana)
	refused(t, "forgotten", err, admin.Missing, "person", admin.NoAct, "there is no person")
}

// TestPlansOfSources (ID-75): plans and previews of mappings count the people who came from sources, and those who stay
// away are leavers only where their source says after how long.
func TestPlansOfSources(t *testing.T) {
	w, all := newSourceWorld(t), admin.Everything()
	ctx := t.Context()
	ana := w.comes(t, "ana", "Ana", "Díaz", []string{"editors"})
	w.comes(t, "gus", "Gus", "Grün", []string{"ctct-a07e1lxqqqo0-account_manager"})
	w.comes(t, "hal", "Hal", "Holm", nil, claims.Grant{Account: string(harbour), Role: "account_manager"})
	in := group("claim:portal:editors", harbour)
	draft, err := w.Draft(ctx, all, in, "ann")
	if err != nil {
		t.Fatal(err)
	}
	sum, err := w.rules.PreviewMappings(ctx, draft.Change, nil)
	if err != nil || sum.Gains != 1 || sum.AtSignIn != 1 || sum.Creations != 0 {
		t.Errorf("preview of a mapping over a claim group: %+v, %v", sum, err)
	}
	in.Create = "in-advance"
	if _, err := w.Add(ctx, all, in, "ann"); err != nil {
		t.Fatal(err)
	}
	plan, walked, err := w.rules.MakePlan(ctx, provisioning.PlanOptions{Kind: "admin", Actor: "ann"})
	if err != nil || plan.Creations != 1 || plan.AtSignIn != 1 || plan.Leavers != 0 || walked.People < 4 {
		t.Fatalf("plan: %+v, %+v, %v", plan, walked, err)
	}
	items, err := w.db.Plans().Items(ctx, plan.ID, store.ItemFilter{Limit: 10})
	if err != nil || len(items) != 1 || items[0].Person != ana || items[0].Account != harbour ||
		items[0].Login != "portal:ana" {
		t.Errorf("items: %+v, %v", items, err)
	}

	// Users of people who stay away.
	old := time.Now().Add(-60 * 24 * time.Hour)
	for _, sub := range []string{"ana", "away", "elsewhere"} {
		id := store.PersonID(w.portal.PersonID(sub))
		if sub == "elsewhere" {
			other := *w.portal.Source
			other.Name = "other"
			id = store.PersonID(other.PersonID(sub))
		}
		if _, err := w.db.Ledger().Adopt(ctx, []store.SSOUser{{Person: id, Account: harbour, ExternalID: "x-" + sub,
			ExternalProvider: "p", LoginName: "l-" + sub, Role: store.AccountManager, State: store.Active,
			CreatedAt: old}}, event()); err != nil {
			t.Fatal(err)
		}
	}
	plan, _, err = w.rules.MakePlan(ctx, provisioning.PlanOptions{Kind: "admin", Actor: "ann"})
	if err != nil || plan.Leavers != 1 || plan.State != store.PlanReady {
		t.Fatalf("plan with leavers: %+v, %v", plan, err)
	}
	items, err = w.db.Plans().Items(ctx, plan.ID, store.ItemFilter{Kind: store.ItemLeaver, Limit: 10})
	if err != nil || len(items) != 1 || items[0].Person != store.PersonID(w.portal.PersonID("away")) ||
		!strings.Contains(items[0].Why, "has not come from source portal for 30 days (leaver_after)") {
		t.Errorf("leavers: %+v, %v", items, err)
	}
	rows, err := w.db.Ledger().Person(ctx, store.PersonID(w.portal.PersonID("away")))
	if err != nil || len(rows) != 1 || rows[0].State != store.Active {
		t.Errorf("a leaver's user: %+v, %v, want it active", rows, err)
	}
	if _, err := w.Directory.Read(ctx, string(ana)); err == nil {
		if e, _ := w.Directory.Read(ctx, string(ana)); e.Login != "" || e.Problem != directory.Disabled {
			t.Errorf("the directory has somebody of a source: %+v", e)
		}
	}
}

// What a revoked token said gives nobody anything, whoever made it: neither a plan nor an explanation counts it, until
// the person comes by a new one.
func TestRevokedTokensOfSources(t *testing.T) {
	w, all := newSourceWorld(t), admin.Everything()
	ctx := t.Context()
	in := group("claim:portal:editors", harbour)
	in.Create = "in-advance"
	if _, err := w.Add(ctx, all, in, "ann"); err != nil {
		t.Fatal(err)
	}
	forged := w.comes(t, "ana", "Ana", "Díaz", []string{"editors"})
	w.comes(t, "gus", "Gus", "Grün", []string{"editors"}, claims.Grant{Account: string(harbour), Role: "account_manager"})
	if err := w.db.Sources().Revoke(ctx, "portal", event()); err != nil {
		t.Fatal(err)
	}
	plan, _, err := w.rules.MakePlan(ctx, provisioning.PlanOptions{Kind: "admin", Actor: "ann"})
	if err != nil || plan.Creations != 0 || plan.AtSignIn != 0 {
		t.Errorf("plan by revoked tokens: %+v, %v, want nobody created", plan, err)
	}
	x, err := w.people.Explain(ctx, all, string(forged), admin.ExplainWhat{})
	if err != nil || len(x.Assignments) != 0 || len(x.Person.Groups) != 0 ||
		!strings.Contains(x.Summary(), "their first token says where they can sign in") {
		t.Errorf("explained: %q, %+v, %v", x.Summary(), x.Assignments, err)
	}
	err = w.users.Create(ctx, all, store.UserKey{Person: forged, Account: harbour}, event())
	if e, ok := admin.AsError(err); !ok || e.Kind != admin.Denied {
		t.Errorf("created by a revoked token: %v", err)
	}

	w.comes(t, "ana", "Ana", "Díaz", []string{"editors"})
	plan, _, err = w.rules.MakePlan(ctx, provisioning.PlanOptions{Kind: "admin", Actor: "ann"})
	if err != nil || plan.Creations != 1 {
		t.Errorf("plan after a new token: %+v, %v, want one created", plan, err)
	}
}

// Nobody who comes from a source, or was moved to one, is to own a client account that is ordered: the account would be
// there, and its owner could neither be stored nor sign in.
func TestOwnersOfSources(t *testing.T) {
	w := newSourceWorld(t)
	ctx := t.Context()
	w.comes(t, "ana", "Ana", "Díaz", nil, claims.Grant{Account: string(harbour), Role: "account_manager"})
	order := provisioning.AccountOrder{Owner: "portal:ana", Fields: partnerapi.NewAccount{OrganizationName: "Ana's Shop",
		ContactPhone: "+1 555 010 0100", ContactEmail: "ana@example.com", FirstName: "Ana", LastName: "Díaz",
		CountryCode: "us", TimeZoneID: "America/New_York", StateCode: "MA"}}
	if _, err := w.rules.OrderAccount(ctx, order); err == nil ||
		!strings.Contains(err.Error(), "comes from source portal, by which nobody is an owner") {
		t.Errorf("an owner of a source: %v", err)
	}
	order.Owner = "alice"
	if _, err := w.rules.OrderAccount(ctx, order); err != nil && strings.Contains(err.Error(), "source") {
		t.Errorf("an owner of the directory: %v", err)
	}
	alice, err := w.people.Find(ctx, "alice")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.db.Ledger().Adopt(ctx, []store.SSOUser{{Person: store.PersonID(alice.ID), Account: harbour,
		ExternalID: "x-alice", ExternalProvider: "p", LoginName: "l-alice", Role: store.AccountManager,
		State: store.Active}}, event()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.db.Ledger().MoveToSource(ctx, store.SourceMove{From: store.PersonID(alice.ID),
		To:    store.SourcePerson{Person: store.PersonID(w.portal.PersonID("al")), Source: "portal", Login: "portal:al"},
		Users: map[store.AccountID]store.Role{harbour: store.AccountManager}}, event()); err != nil {
		t.Fatal(err)
	}
	_, err = w.rules.OrderAccount(ctx, order)
	if err == nil || !strings.Contains(err.Error(), "was moved to source portal") {
		t.Errorf("an owner who was moved: %v", err)
	}
}

// Subjects of a file of moves are the claim by which the source's tokens name people: with another one, users would go
// to people who never come, and those who come would get second ones.
func TestMovesNameTheClaim(t *testing.T) {
	w, all := newSourceWorld(t), admin.Everything()
	moves := admin.Moves{Store: w.db, Directory: w.people.Directory, IdP: w.idp}
	for _, claim := range []string{"sub", "oid"} {
		if claim != "sub" {
			w.portal.OpenID = &claims.OpenID{Identity: claim}
		}
		p, err := moves.Read(t.Context(), all, "portal", strings.NewReader("login,subject\nalice,one\n"))
		if err != nil || p.Claim != claim {
			t.Errorf("subjects are %q, %v, want %s", p.Claim, err, claim)
		}
	}
}

// Whoever has stayed away for so long that a plan would call them a leaver is not created by it.
func TestPlansCreateNobodyWhoStaysAway(t *testing.T) {
	w, all := newSourceWorld(t), admin.Everything()
	ctx := t.Context()
	in := group("claim:portal:editors", harbour)
	in.Create = "in-advance"
	if _, err := w.Add(ctx, all, in, "ann"); err != nil {
		t.Fatal(err)
	}
	w.comes(t, "ana", "Ana", "Díaz", []string{"editors"})
	for after, want := range map[time.Duration]int{time.Nanosecond: 0, time.Hour: 1} {
		w.options.LeaverAfter = func(string) time.Duration { return after }
		rules, err := provisioning.New(w.options)
		if err != nil {
			t.Fatal(err)
		}
		plan, _, err := rules.MakePlan(ctx, provisioning.PlanOptions{Kind: "admin", Actor: "ann"})
		if err != nil || plan.Creations != want {
			t.Errorf("leavers after %v: %d creations, %v, want %d", after, plan.Creations, err, want)
		}
	}
}

// Whoever may see some client accounts alone finds people of a source only where they have one of these, and learns of
// the others not even that they are there.
func TestPeopleOfSourcesInScope(t *testing.T) {
	w := newSourceWorld(t)
	ctx := t.Context()
	ana := w.comes(t, "ana", "Ana", "Díaz", nil, claims.Grant{Account: string(harbour), Role: "account_manager"})
	for who, want := range map[string]bool{"portal:ana": true, string(ana): true, "portal:nobody": false, "alice": true} {
		if e, err := w.people.FindIn(ctx, admin.Accounts(harbour), who); (err == nil) != want || want && e.ID == "" {
			t.Errorf("%s by who sees their client account: %+v, %v", who, e, err)
		}
	}
	others := admin.Accounts("a07e1lxqqqp1")
	for _, who := range []string{"portal:ana", string(ana), "portal:nobody"} {
		e, err := w.people.FindIn(ctx, others, who)
		refused(t, who, err, admin.Missing, "user", admin.NoAct, "no entry of that name")
		if e.ID+e.Mail+e.Login != "" {
			t.Errorf("%s comes with the refusal: %+v", who, e)
		}
	}
	if _, err := w.people.FindIn(ctx, others, "alice"); err != nil {
		t.Errorf("somebody of the directory: %v", err)
	}
}

func event() store.Event {
	return store.Event{At: time.Now(), Actor: "ann", Action: "test", Outcome: "ok"}
}
