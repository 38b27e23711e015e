package provisioning_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/partnerapi"
	"ssobridge/partnerapi/sandbox"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

const newShop = "Quayside Books"

// accountWorld is a world with an owner-to-be and the list of accounts read.
func accountWorld(tb testing.TB, o settings) *world {
	tb.Helper()
	o.timeout = or(o.timeout, 2*time.Second)
	w := newWorld(tb, o)
	w.people.set(person("alice", group("sales")), person("bob"), problem("dora", directory.Disabled),
		with(person("noid"), func(p *directory.Entry) { p.ID = "" }))
	if err := w.RefreshAccounts(tb.Context()); err != nil {
		tb.Fatalf("RefreshAccounts: %v", err)
	}
	return w
}

func shop(owner string, change ...func(*provisioning.AccountOrder)) provisioning.AccountOrder {
	o := provisioning.AccountOrder{Owner: owner, Fields: partnerapi.NewAccount{OrganizationName: newShop,
		CountryCode: "us", StateCode: "MA"}}
	for _, c := range change {
		c(&o)
	}
	return o
}

func (w *world) order(change ...func(*provisioning.AccountOrder)) store.AccountRequest {
	w.tb.Helper()
	r, err := w.OrderAccount(w.tb.Context(), shop("alice", change...))
	if err != nil {
		w.tb.Fatalf("OrderAccount: %v", err)
	}
	return r
}

// shops are the accounts of that name at Constant Contact.
func (w *world) shops() (all []sandbox.Account) {
	for _, a := range w.sandbox.Accounts() {
		if a.OrganizationName == newShop {
			all = append(all, a)
		}
	}
	return all
}

func (w *world) request(id int64) store.AccountRequest {
	w.tb.Helper()
	return must(w.db.Accounts().AccountRequest(w.tb.Context(), id))(w.tb)
}

// complete checks that a request became one account, with all that goes with it, each once.
func (w *world) complete(id int64) {
	w.tb.Helper()
	r := w.request(id)
	shops := w.shops()
	if len(shops) != 1 {
		w.tb.Fatalf("accounts at Constant Contact: got %d, want 1", len(shops))
	}
	if r.State != store.RequestCreated || string(r.Account) != shops[0].ID || r.ErrorText != "" {
		w.tb.Errorf("request: got %s of account %s (%s), want created as %s", r.State, r.Account, r.ErrorText, shops[0].ID)
	}
	if a, err := w.db.Accounts().Get(w.tb.Context(), r.Account); err != nil || a.Name != newShop {
		w.tb.Errorf("client account: got %+v, %v", a, err)
	}
	var owners int
	for _, m := range must(w.ListMappings(w.tb.Context()))(w.tb) {
		if m.Account == r.Account && m.Role == store.Owner && m.Person == "alice" {
			owners++
		}
	}
	if owners != 1 {
		w.tb.Errorf("owner's mappings: got %d, want 1", owners)
	}
	d := w.decide(person("alice"), justLook, wanting(r.Account))
	if d.Outcome != provisioning.Granted || d.User.ExternalID != r.ExternalID || d.User.Role != store.Owner {
		w.tb.Errorf("the owner: got %s %s, user %+v", d.Outcome, d.Reason, d.User)
	}
	var there int
	for _, u := range w.sandbox.Users() {
		if u.ExternalID == r.ExternalID && u.Account == string(r.Account) {
			there++
		}
	}
	if there != 1 {
		w.tb.Errorf("owners at Constant Contact with external_id %s: got %d, want 1", r.ExternalID, there)
	}
}

func TestCreateAccount(t *testing.T) {
	w := accountWorld(t, settings{})
	w.add(mapping.Spec{Pattern: "ctct-{account}-{role}"})
	r := w.order()
	var body partnerapi.NewAccount
	if err := json.Unmarshal(r.Body, &body); err != nil {
		t.Fatal(err)
	}
	if body.ContactEmail != "alice@example.test" || body.FirstName != "Jane" || body.ExternalProvider != provider ||
		!strings.HasPrefix(body.LoginName, "quaysidebooks-") || !strings.HasPrefix(body.ExternalID, "alice.owner.") ||
		r.Person != "alice" {
		t.Errorf("order: got %+v", body)
	}
	if again := w.order(); again.LoginName != r.LoginName || again.ExternalID != r.ExternalID {
		t.Errorf("the same order twice: got %s and %s", r.LoginName, again.LoginName)
	}
	created, err := w.CreateAccount(t.Context(), r, "admin:test")
	if err != nil || created.State != store.RequestCreated || created.Account == "" || created.ProvisionUUID == "" {
		t.Fatalf("CreateAccount: got %+v, %v", created, err)
	}
	w.complete(created.ID)

	// The owner stays the owner, whatever a pattern gives.
	alice := person("alice", group("ctct-"+string(created.Account)+"-campaign_creator"))
	d := w.decide(alice, justLook)
	expect(t, d, provisioning.Granted, "")
	if d.User.ExternalID != r.ExternalID {
		t.Errorf("the owner in another group: got %+v", d.User)
	}
	if _, err := w.CreateAccount(t.Context(), r, "admin:test"); !errors.Is(err, store.ErrConflict) {
		t.Errorf("the same order again: got %v, want a conflict", err)
	}
	if again, err := w.RetryAccount(t.Context(), created.ID, "", "admin:test"); err != nil ||
		again.State != store.RequestCreated {
		t.Errorf("retry of what is done: got %s, %v", again.State, err)
	}
	w.complete(created.ID)
	for _, action := range []string{"account-create-wanted", "account-create", "account-created"} {
		if got := w.events(action); len(got) != 1 || got[0].Actor != "admin:test" || got[0].Outcome != "ok" {
			t.Errorf("audit of %s: got %+v", action, got)
		}
	}
}

func TestOrderAccountRefusals(t *testing.T) {
	w := accountWorld(t, settings{})
	if _, _, err := w.db.Ledger().Enqueue(t.Context(), store.SSOUser{Person: "alice", Account: harbour,
		ExternalID:       "taken",
		ExternalProvider: provider, Role: store.AccountManager}, store.Event{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.OrderAccount(t.Context(), shop("nobody")); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("nobody: got %v", err)
	}
	for name, c := range map[string]struct {
		owner  string
		change func(*provisioning.AccountOrder)
		fields string
	}{
		"disabled owner":      {"dora", nil, "owner"},
		"owner without an id": {"noid", nil, "owner"},
		"country":             {"alice", func(o *provisioning.AccountOrder) { o.Fields.CountryCode = "u" }, "country_code"},
		"no state":            {"alice", func(o *provisioning.AccountOrder) { o.Fields.StateCode = "" }, "state_code"},
		"short login name":    {"alice", func(o *provisioning.AccountOrder) { o.LoginName = "abc" }, "login_name"},
		"mail": {"alice", func(o *provisioning.AccountOrder) { o.Fields.ContactEmail = "x" },
			"contact_email"},
		"two at once": {"alice", func(o *provisioning.AccountOrder) {
			o.Fields.ContactEmail,
				o.Fields.CountryCode = "x", ""
		}, "contact_email country_code"},
		"long organisation": {"alice", func(o *provisioning.AccountOrder) {
			o.Fields.OrganizationName = strings.Repeat("x",
				51)
		}, "organization_name"},
		"taken external_id": {"alice", func(o *provisioning.AccountOrder) { o.ExternalID = "taken" }, "external_id"},
		"external_id too long": {"alice", func(o *provisioning.AccountOrder) { o.ExternalID = strings.Repeat("x", 256) },
			"external_id"},
	} {
		t.Run(name, func(t *testing.T) {
			o := shop(c.owner)
			if c.change != nil {
				c.change(&o)
			}
			_, err := w.OrderAccount(t.Context(), o)
			if got := strings.Join(faultFields(err), " "); got != c.fields {
				t.Errorf("got %v, want faults of %s", err, c.fields)
			}
		})
	}
	// An order that was changed after its check is refused before it is stored.
	r := w.order()
	r.ExternalID = "another"
	if _, err := w.CreateAccount(t.Context(), r, "admin:test"); err == nil {
		t.Error("a changed order: got no error")
	}
	if all := must(w.db.Accounts().AccountRequests(t.Context(), 10))(t); len(all) != 0 || len(w.shops()) != 0 {
		t.Errorf("after refusals: %d requests, %d accounts", len(all), len(w.shops()))
	}
}

// A creation whose answer was lost or that failed goes on by RetryAccount, and is made once.
func TestCreateAccountFaults(t *testing.T) {
	for name, c := range map[string]struct {
		fault sandbox.FaultKind
		state string
	}{
		"acted, no answer":       {sandbox.FaultActAndHang, store.RequestUnknown},
		"acted, broken off":      {sandbox.FaultActAndCut, store.RequestUnknown},
		"acted, then 500":        {sandbox.FaultFailAfter, store.RequestUnknown},
		"500, and did not act":   {sandbox.FaultFailBefore, store.RequestUnknown},
		"throttled":              {sandbox.FaultThrottle, store.RequestWanted},
		"the day's calls are up": {sandbox.FaultQuota, store.RequestWanted},
	} {
		t.Run(name, func(t *testing.T) {
			w := accountWorld(t, settings{timeout: 300 * time.Millisecond})
			w.sandbox.Fault(sandbox.Fault{Kind: c.fault, Path: "partner/accounts", Method: http.MethodPost, Times: 1})
			r, err := w.CreateAccount(t.Context(), w.order(), "admin:test")
			if err != nil || r.State != c.state || r.ErrorText == "" || r.Account != "" {
				t.Fatalf("CreateAccount: got %s (%s), %v, want %s", r.State, r.ErrorText, err, c.state)
			}
			w.advance(24 * time.Hour)
			r, err = w.RetryAccount(t.Context(), r.ID, "", "admin:test")
			if err != nil {
				t.Fatalf("RetryAccount: %+v, %v", r, err)
			}
			w.complete(r.ID)
		})
	}
}

// Something on the way looks at answers, and refuses the one that says that the account is there. Nobody is told that
// nothing was created: it would be ordered once more, by another login name.
func TestCreateAccountAnswerFiltered(t *testing.T) {
	w := accountWorld(t, settings{})
	order := w.order()
	w.filter.Store(true)
	r, err := w.CreateAccount(t.Context(), order, "admin:test")
	if err != nil || r.State != store.RequestUnknown || !strings.Contains(r.ErrorText, "403") {
		t.Fatalf("got %s (%s), %v, want it unknown, with the status", r.State, r.ErrorText, err)
	}
	w.filter.Store(false)
	if r, err = w.RetryAccount(t.Context(), r.ID, "", "admin:test"); err != nil {
		t.Fatalf("RetryAccount: %+v, %v", r, err)
	}
	w.complete(r.ID)
}

// The network fails before anything is sent.
func TestCreateAccountOffline(t *testing.T) {
	w := accountWorld(t, settings{})
	order := w.order()
	w.offline.Store(true)
	r, err := w.CreateAccount(t.Context(), order, "admin:test")
	if err != nil || r.State != store.RequestWanted {
		t.Fatalf("got %s, %v, want it wanted", r.State, err)
	}
	w.offline.Store(false)
	if r, err = w.RetryAccount(t.Context(), r.ID, "", "admin:test"); err != nil {
		t.Fatal(err)
	}
	w.complete(r.ID)
}

// A 503 means that the account comes later: it is looked for, never asked for again.
func TestCreateAccountLater(t *testing.T) {
	for _, by := range []string{"a command", "the worker"} {
		t.Run(by, func(t *testing.T) {
			w := accountWorld(t, settings{})
			w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultAcceptLater, Path: "partner/accounts", Method: http.MethodPost,
				Times: 1, Delay: 10 * time.Minute})
			r, err := w.CreateAccount(t.Context(), w.order(), "admin:test")
			if err != nil || r.State != store.RequestAccepted {
				t.Fatalf("CreateAccount: got %s, %v, want accepted", r.State, err)
			}
			w.advance(2 * time.Minute)
			if r, err = w.RetryAccount(t.Context(), r.ID, "", "admin:test"); err != nil || r.State != store.RequestAccepted {
				t.Fatalf("too early: got %s, %v, want accepted", r.State, err)
			}
			w.advance(10 * time.Minute)
			if by == "the worker" {
				err = w.RefreshAccounts(t.Context())
			} else {
				r, err = w.RetryAccount(t.Context(), r.ID, "", "admin:test")
			}
			if err != nil {
				t.Fatal(err)
			}
			w.complete(r.ID)
			posts := 0
			for _, call := range w.sandbox.Calls() {
				if call.Method == http.MethodPost && strings.HasSuffix(call.Path, "/partner/accounts") {
					posts++
				}
			}
			if posts != 1 {
				t.Errorf("creations sent: got %d, want 1", posts)
			}
		})
	}
}

// The program dies between any two steps. What it had stored until then is put into the store by hand.
func TestCreateAccountCrashes(t *testing.T) {
	for _, c := range []struct {
		died  string
		steps func(w *world, r store.AccountRequest)
	}{
		{"before the call", func(*world, store.AccountRequest) {}},
		{"about to call", func(w *world, r store.AccountRequest) {
			w.move(r, store.RequestWanted,
				store.RequestSending, "")
		}},
		{"after the call", func(w *world, r store.AccountRequest) {
			w.move(r, store.RequestWanted, store.RequestSending, "")
			w.send(r)
		}},
		{"with the id", func(w *world, r store.AccountRequest) {
			w.move(r, store.RequestWanted, store.RequestSending, "")
			w.move(r, store.RequestSending, store.RequestAccepted, w.send(r))
		}},
		{"with the account", func(w *world, r store.AccountRequest) {
			w.move(r, store.RequestWanted, store.RequestSending, "")
			id := w.send(r)
			w.move(r, store.RequestSending, store.RequestAccepted, id)
			if err := w.db.Accounts().Put(w.tb.Context(), store.Account{ID: id, Name: newShop}, store.Event{}); err != nil {
				w.tb.Fatal(err)
			}
		}},
		{"with the owner", func(w *world, r store.AccountRequest) {
			w.move(r, store.RequestWanted, store.RequestSending, "")
			id := w.send(r)
			w.move(r, store.RequestSending, store.RequestAccepted, id)
			if err := w.db.Accounts().Put(w.tb.Context(), store.Account{ID: id, Name: newShop}, store.Event{}); err != nil {
				w.tb.Fatal(err)
			}
			w.add(mapping.Spec{Person: "alice", Account: string(id), Role: "owner", ExternalID: r.ExternalID})
		}},
	} {
		for _, by := range []string{"a command", "the worker"} {
			t.Run(c.died+", found by "+by, func(t *testing.T) {
				w := accountWorld(t, settings{})
				r, err := w.db.Accounts().WantAccount(t.Context(), w.order(), store.Event{})
				if err != nil {
					t.Fatal(err)
				}
				c.steps(w, r)
				if w.request(r.ID).State == store.RequestSending {
					if _, err := w.RetryAccount(t.Context(), r.ID, "", "admin:test"); strings.Join(faultFields(err), "") != "request" {
						t.Errorf("while its call may run: got %v, want to be told to wait", err)
					}
				}
				w.advance(10 * time.Minute)
				if by == "the worker" {
					// It only ends what is there; what was never sent waits for an admin.
					if err := w.RefreshAccounts(t.Context()); err != nil {
						t.Fatal(err)
					}
					if len(w.shops()) == 0 {
						if got := w.request(r.ID).State; got == store.RequestCreated {
							t.Error("created by nobody")
						}
						return
					}
				} else if _, err := w.RetryAccount(t.Context(), r.ID, "", "admin:test"); err != nil {
					t.Fatalf("RetryAccount: %v", err)
				}
				w.complete(r.ID)
			})
		}
	}
}

func (w *world) move(r store.AccountRequest, from, to string, account store.AccountID) {
	w.tb.Helper()
	r.State, r.Account = to, account
	if err := w.db.Accounts().SettleAccount(w.tb.Context(), r, from, store.Event{}); err != nil {
		w.tb.Fatal(err)
	}
}

// send makes the call as the program does.
func (w *world) send(r store.AccountRequest) store.AccountID {
	w.tb.Helper()
	var body partnerapi.NewAccount
	if err := json.Unmarshal(r.Body, &body); err != nil {
		w.tb.Fatal(err)
	}
	created, err := w.client.CreateAccount(w.tb.Context(), partnerapi.PrioritySignIn, body)
	if err != nil {
		w.tb.Fatal(err)
	}
	return store.AccountID(created.EncodedAccountID)
}

// Where it can't be told which account a request became, an admin is asked.
func TestRetryAccountAsks(t *testing.T) {
	w := accountWorld(t, settings{})
	r, err := w.db.Accounts().WantAccount(t.Context(), w.order(), store.Event{})
	if err != nil {
		t.Fatal(err)
	}
	w.move(r, store.RequestWanted, store.RequestSending, "")
	id := w.send(r)
	// Another one of the same name came in the meantime, by other hands.
	other := w.order(func(o *provisioning.AccountOrder) { o.LoginName = "another-shop" })
	otherID := w.send(other)
	w.advance(10 * time.Minute)
	got, err := w.RetryAccount(t.Context(), r.ID, "", "admin:test")
	if strings.Join(faultFields(err), "") != "account" || !strings.Contains(err.Error(), string(id)) ||
		!strings.Contains(err.Error(), string(otherID)) || got.State != store.RequestAccepted {
		t.Fatalf("two of one name: got %s, %v, want to be asked which", got.State, err)
	}
	if _, err := w.RetryAccount(t.Context(), r.ID, "a07enosuch", "admin:test"); strings.Join(faultFields(err),
		"") != "account" {
		t.Errorf("an account that is not there: got %v", err)
	}
	if got, err = w.RetryAccount(t.Context(), r.ID, id, "admin:test"); err != nil || got.State != store.RequestCreated ||
		got.Account != id {
		t.Fatalf("named: got %s of %s, %v", got.State, got.Account, err)
	}
	// What one request became no other can.
	second, err := w.db.Accounts().WantAccount(t.Context(), other, store.Event{})
	if err != nil {
		t.Fatal(err)
	}
	w.move(second, store.RequestWanted, store.RequestUnknown, "")
	if _, err := w.RetryAccount(t.Context(), second.ID, id, "admin:test"); strings.Join(faultFields(err),
		"") != "account" {
		t.Errorf("another request's account: got %v", err)
	}
	if _, err := w.RetryAccount(t.Context(), 99, "", "admin:test"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("no such request: got %v", err)
	}
}

// A login name that is somebody else's is a conflict, and the next order takes another one by itself.
func TestCreateAccountConflict(t *testing.T) {
	w := accountWorld(t, settings{})
	first := w.order()
	if err := w.sandbox.AddUser(sandbox.User{Account: string(harbour), LoginName: first.LoginName,
		ContactEmail: "x@example.test", FirstName: "X", LastName: "Y", RoleName: "account_manager", ExternalID: "zz",
		ExternalProvider: provider}); err != nil {
		t.Fatal(err)
	}
	r, err := w.CreateAccount(t.Context(), first, "admin:test")
	if err != nil || r.State != store.RequestConflict || r.ErrorText == "" || len(w.shops()) != 0 {
		t.Fatalf("got %s (%s), %v, want a conflict", r.State, r.ErrorText, err)
	}
	if _, err := w.RetryAccount(t.Context(), r.ID, "", "admin:test"); strings.Join(faultFields(err), "") != "request" {
		t.Errorf("retry of a conflict: got %v", err)
	}
	second := w.order()
	if second.LoginName == first.LoginName {
		t.Fatalf("the next order has the login name %s again", second.LoginName)
	}
	if r, err = w.CreateAccount(t.Context(), second, "admin:test"); err != nil {
		t.Fatal(err)
	}
	w.complete(r.ID)
}
