package admin_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"ssobridge/certs"
	"ssobridge/idp"
	"ssobridge/idp/mfa"
	"ssobridge/partnerapi/sandbox"
	"ssobridge/provisioning"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// newIdP is an identity provider over a world.
func (w *world) newIdP(t *testing.T, change ...func(*idp.Options)) *idp.IdP {
	t.Helper()
	sealer, err := certs.NewSealer(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return w.idpWith(t, sealer, change...)
}

// idpWith is one with these secret keys.
func (w *world) idpWith(t *testing.T, sealer *certs.Sealer, change ...func(*idp.Options)) *idp.IdP {
	t.Helper()
	db := w.db
	o := idp.Options{
		EntityID: "https://sso.example.com", PublicURL: "https://sso.example.com",
		SignIns: db.SignIns(), Sessions: db.Sessions(), Logouts: db.Logouts(), Providers: db.ServiceProviders(),
		Groups: db.NamedGroups(), Accounts: db.Accounts(), NameIDs: db.NameIDs(), Keys: db.Keys(), Throttle: db.Throttle(),
		Audit: db.Audit(), Changes: db.Changes, Sealer: sealer, Directory: w.Directory, Gate: w.rules, Forms: db.Forms(),
		Captures: db.Captures(), SecondFactors: db.SecondFactors(), Now: time.Now, Random: rand.Reader,
		SecondFactor: idp.FactorOptions{People: mfa.Offered},
		Logger:       slog.New(slog.DiscardHandler),
	}
	for _, c := range change {
		c(&o)
	}
	p, err := idp.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// newAccounts is what can be done with client accounts over a world, with the list read.
func newAccounts(t *testing.T) (*world, admin.ClientAccounts) {
	w := newWorld(t)
	accounts := admin.ClientAccounts{Store: w.db, Provisioning: w.rules, IdP: w.newIdP(t),
		PublicURL: "https://sso.example.com"}
	if err := accounts.Refresh(t.Context(), admin.Everything()); err != nil {
		t.Fatal(err)
	}
	return w, accounts
}

// Client accounts are found as they are written, listed by pages, and shown with what is asked for at them.
func TestClientAccounts(t *testing.T) {
	w, accounts := newAccounts(t)
	ctx, all, one := t.Context(), admin.Everything(), admin.Accounts(harbour)

	if id, err := accounts.Find(ctx, all, " A07E1LXQQQO0 ", false); err != nil || id != harbour {
		t.Errorf("in other letters: %s, %v", id, err)
	}
	_, err := accounts.Find(ctx, all, "nosuchaccount", false)
	refused(t, "one that no list knows", err, admin.Missing, "account", admin.RefreshAccounts,
		"client account is not known: nosuchaccount")
	if id, err := accounts.Find(ctx, all, "nosuchaccount", true); err != nil || id != "nosuchaccount" {
		t.Errorf("taken as it is written: %s, %v", id, err)
	}
	_, err = accounts.Find(ctx, all, "not/an/account", true)
	refused(t, "what is no id", err, admin.Input, "account", admin.ListAccounts, "account id")
	_, err = accounts.Find(ctx, one, "a07e1lxqqqp1", false)
	refused(t, "one outside of the scope", err, admin.Forbidden, "account", admin.NoAct, "not among those")

	list, total, err := accounts.List(ctx, all, admin.ClientAccountFilter{})
	if err != nil || total < 3 || len(list) != total || list[0].ID >= list[1].ID {
		t.Fatalf("all: %+v of %d, %v", list, total, err)
	}
	page, _, err := accounts.List(ctx, all, admin.ClientAccountFilter{After: list[0].ID, Limit: 1})
	if err != nil || len(page) != 1 || page[0].ID != list[1].ID {
		t.Errorf("the second page: %+v, %v", page, err)
	}
	found, total, err := accounts.List(ctx, all, admin.ClientAccountFilter{Find: "HARBOUR"})
	if err != nil || len(found) != 1 || found[0].ID != harbour || total != len(list) {
		t.Errorf("by name: %+v of %d, %v", found, total, err)
	}
	if mine, total, err := accounts.List(ctx, one, admin.ClientAccountFilter{}); err != nil || total != 1 ||
		len(mine) != 1 || mine[0].ID != harbour {
		t.Errorf("of the scope: %+v of %d, %v", mine, total, err)
	}

	a, err := accounts.Get(ctx, one, harbour)
	if err != nil || a.Factor != mfa.Offered || a.OwnFactor ||
		a.Launch != "https://sso.example.com/launch/"+string(harbour) {
		t.Errorf("one: %+v, %v", a, err)
	}
	_, err = accounts.Get(ctx, all, "nosuchaccount")
	refused(t, "one that is not listed", err, admin.Missing, "account", admin.RefreshAccounts, "is not listed")
	event := store.Event{At: time.Now(), Actor: "ann"}
	if now, err := accounts.SetFactor(ctx, one, harbour, "required", event); err != nil || now != mfa.Required {
		t.Errorf("second factor: %s, %v", now, err)
	}
	if a, err = accounts.Get(ctx, one, harbour); err != nil || a.Factor != mfa.Required || !a.OwnFactor {
		t.Errorf("with a policy of its own: %+v, %v", a, err)
	}
	_, err = accounts.SetFactor(ctx, one, harbour, "sometimes", event)
	refused(t, "a policy that is none", err, admin.Input, "policy", admin.NoAct, "default, off, offered, required")
	if now, err := accounts.SetFactor(ctx, one, harbour, admin.DefaultFactor, event); err != nil || now != mfa.Offered {
		t.Errorf("back to the configuration's: %s, %v", now, err)
	}

	w.peer.Fault(sandbox.Fault{Kind: sandbox.FaultGateway, Path: "/partner/accounts", Status: 502})
	refused(t, "a list that does not come", accounts.Refresh(ctx, all), admin.Outside, "", admin.TryLater, "status 502")
}

// The acts on one client account: what is wrong with them is named by the input, and nobody outside of the scope may.
func TestClientAccountActs(t *testing.T) {
	w, accounts := newAccounts(t)
	ctx, all, none := t.Context(), admin.Everything(), admin.Accounts("another")
	calls := func() int { return len(w.peer.Calls()) }

	plan, err := accounts.SetPlan(ctx, all, harbour, admin.PlanInput{Plan: "GOLD", BillingDay: 3}, "ann")
	if err != nil || plan.PlanType != "GOLD" {
		t.Errorf("the plan: %+v, %v", plan, err)
	}
	before := calls()
	_, err = accounts.SetPlan(ctx, all, harbour, admin.PlanInput{Plan: "GOLD", BillingDay: 40}, "ann")
	refused(t, "a day that is none", err, admin.Input, "billing_day", admin.NoAct, "billing_day: is not 1 to 31")
	_, err = accounts.SetPlan(ctx, all, harbour, admin.PlanInput{Plan: "TRIAL"}, "ann")
	refused(t, "back to a trial", err, admin.Input, "plan", admin.NoAct, "there is no way back")
	if n := calls(); n != before {
		t.Errorf("%d calls for what was refused here", n-before)
	}
	if plan, err = accounts.ReadPlan(ctx, all, harbour, "ann"); err != nil || plan.PlanType != "GOLD" {
		t.Errorf("read: %+v, %v", plan, err)
	}
	_, err = accounts.ReadPlan(ctx, all, "nosuchaccount", "ann")
	refused(t, "the plan of another partner's", err, admin.Missing, "account", admin.ListAccounts,
		"knows no client account nosuchaccount")

	in := admin.UnsubscribeInput{Addresses: []string{"a@example.com"}, Source: "Contact"}
	if n, err := accounts.Unsubscribe(ctx, all, harbour, in, "ann"); err != nil || n != 1 {
		t.Errorf("unsubscribed %d, %v", n, err)
	}
	bad := admin.UnsubscribeInput{Addresses: []string{"no address"}, Source: "Contact"}
	refused(t, "no address", bad.Check(), admin.Input, "addresses", admin.NoAct, "addresses[0]: ")
	_, err = accounts.Unsubscribe(ctx, all, harbour, bad, "ann")
	refused(t, "no address, sent", err, admin.Input, "addresses", admin.NoAct, "addresses[0]: ")
	refused(t, "nobody", admin.UnsubscribeInput{Source: "Contact"}.Check(), admin.Input, "addresses", admin.NoAct,
		"addresses: is empty")

	read := admin.CallInput{Method: "GET", Path: "/contacts", Query: []string{"limit=10"}}
	if read.Writes() || accounts.CheckCall(all, harbour, read) != nil {
		t.Error("a call that reads is not taken")
	}
	if answer, err := accounts.Call(ctx, all, harbour, read, "ann"); err != nil || len(answer) == 0 {
		t.Errorf("called: %s, %v", answer, err)
	}
	for what, c := range map[string]struct {
		in          admin.CallInput
		field, text string
	}{
		"a path that climbs": {admin.CallInput{Method: "GET", Path: "/contacts/../account"}, "path",
			"has the part . or .."},
		"a query that is none": {admin.CallInput{Method: "GET", Path: "/contacts", Query: []string{"limit"}}, "query",
			"want KEY=VALUE"},
		"a method that is none": {admin.CallInput{Method: "FETCH", Path: "/contacts"}, "method",
			"method: is none of GET, POST"},
		"a body that is no JSON": {admin.CallInput{Method: "POST", Path: "/contacts", Body: "{"}, "body",
			"body: is not JSON"},
	} {
		refused(t, what, accounts.CheckCall(all, harbour, c.in), admin.Input, c.field, admin.NoAct, c.text)
		_, err := accounts.Call(ctx, all, harbour, c.in, "ann")
		refused(t, what+", sent", err, admin.Input, c.field, admin.NoAct, c.text)
	}
	_, err = accounts.Call(ctx, all, harbour, admin.CallInput{Method: "DELETE", Path: "/contacts"}, "ann")
	refused(t, "a call that is not listed", err, admin.Input, "path", admin.NoAct, "does not list DELETE /contacts")

	before = calls()
	_, err = accounts.Cancel(ctx, all, harbour, admin.CancelInput{Typed: "a07e1lxqqqp1"}, "ann")
	refused(t, "cancel, with another id typed", err, admin.Input, "typed", admin.ConfirmByID, "nothing was cancelled")
	_, err = accounts.Cancel(ctx, all, harbour, admin.CancelInput{Typed: string(harbour), ReasonID: 4}, "ann")
	refused(t, "cancel, for no published reason", err, admin.Input, "reason_id", admin.NoAct, "1, 2, 3, 11")
	_, err = accounts.Cancel(ctx, all, harbour, admin.CancelInput{Typed: string(harbour),
		At: time.Now().Add(-time.Hour)}, "ann")
	refused(t, "cancel, in the past", err, admin.Input, "effective_date", admin.NoAct, "is past")
	if n := calls(); n != before {
		t.Errorf("%d calls for cancellations that were refused here", n-before)
	}
	if _, err := accounts.Cancel(ctx, all, harbour, admin.CancelInput{Typed: string(harbour), ReasonID: 1},
		"ann"); err != nil {
		t.Error(err)
	}
	if a, err := accounts.Get(ctx, all, harbour); err != nil || !strings.HasPrefix(a.BillingStatus, "Cancel") {
		t.Errorf("after the cancellation: %+v, %v", a, err)
	}

	event := store.Event{At: time.Now(), Actor: "ann"}
	before = calls()
	for what, err := range map[string]error{
		"get":         second(accounts.Get(ctx, none, harbour)),
		"factor":      second(accounts.SetFactor(ctx, none, harbour, "off", event)),
		"read":        second(accounts.ReadPlan(ctx, none, harbour, "ann")),
		"plan":        second(accounts.SetPlan(ctx, none, harbour, admin.PlanInput{Plan: "GOLD"}, "ann")),
		"cancel":      second(accounts.Cancel(ctx, none, harbour, admin.CancelInput{Typed: string(harbour)}, "ann")),
		"unsubscribe": second(accounts.Unsubscribe(ctx, none, harbour, in, "ann")),
		"check call":  accounts.CheckCall(none, harbour, read),
		"call":        second(accounts.Call(ctx, none, harbour, read, "ann")),
		"refresh":     accounts.Refresh(ctx, none),
		"prepare":     second(accounts.Prepare(ctx, none, admin.OrderInput{Owner: "alice"})),
		"create":      second(accounts.Create(ctx, none, admin.Order{}, "ann")),
		"orders":      second(accounts.Orders(ctx, none)),
		"resume":      second(accounts.Resume(ctx, none, 1, "", false, "ann")),
	} {
		if e, ok := errors.AsType[*admin.Error](err); !ok || e.Kind != admin.Forbidden {
			t.Errorf("%s outside the scope: %v", what, err)
		}
	}
	if n := calls(); n != before {
		t.Errorf("%d calls for somebody outside of the scope", n-before)
	}
}

// An order is looked at, sent once, and brought to its end; each way in which it can stand says what to do.
func TestClientAccountOrders(t *testing.T) {
	w, accounts := newAccounts(t)
	ctx, all := t.Context(), admin.Everything()
	shop := func(name string) admin.OrderInput {
		return admin.OrderInput{Owner: "alice", OrganizationName: name, CountryCode: "us", StateCode: "MA"}
	}

	wrong := shop("Shop")
	wrong.Owner = "nobody"
	_, err := accounts.Prepare(ctx, all, wrong)
	refused(t, "an owner who is not there", err, admin.Missing, "owner", admin.NoAct, `find the owner "nobody"`)
	wrong = shop("Shop")
	wrong.CountryCode = "x"
	_, err = accounts.Prepare(ctx, all, wrong)
	refused(t, "a country that is none", err, admin.Input, "country_code", admin.NoAct, "is not two or three letters")

	order, err := accounts.Prepare(ctx, all, shop("Night Owl Shop"))
	if err != nil || !strings.Contains(string(order.Body), "\n  \"organization_name\": \"Night Owl Shop\"") ||
		strings.Contains(string(order.Body), "password") {
		t.Fatalf("the order: %s, %v", order.Body, err)
	}
	again, err := accounts.Prepare(ctx, all, shop("Night Owl Shop"))
	if err != nil || again.Seen != order.Seen || order.Seen == "" {
		t.Errorf("the same order has another name: %q and %q, %v", order.Seen, again.Seen, err)
	}
	other, err := accounts.Prepare(ctx, all, shop("Day Owl Shop"))
	if err != nil || other.Seen == order.Seen {
		t.Errorf("another order has the same name: %v", err)
	}
	if open, err := accounts.Orders(ctx, all); err != nil || len(open) != 0 {
		t.Errorf("looking stored %+v, %v", open, err)
	}
	done, err := accounts.Create(ctx, all, order, "ann")
	if err != nil || done.State != store.RequestCreated || done.Account == "" {
		t.Fatalf("created: %+v, %v", done, err)
	}
	_, err = accounts.Create(ctx, all, again, "ann")
	refused(t, "the same order once more", err, admin.Changed, "login_name", admin.ListAccounts, "was ordered before")
	if done, err = accounts.Resume(ctx, all, done.ID, "", false, "ann"); err != nil || done.State != store.RequestCreated {
		t.Errorf("resumed when it was done: %+v, %v", done, err)
	}
	_, err = accounts.Resume(ctx, all, 99, "", false, "ann")
	refused(t, "an order that is not there", err, admin.Missing, "id", admin.ListAccounts, "there is no request 99")
	_, err = accounts.Resume(ctx, all, done.ID, "nosuchaccount", false, "ann")
	refused(t, "an account that no list knows", err, admin.Missing, "account", admin.RefreshAccounts, "is not known")

	// No clear answer: it may have been created.
	order, err = accounts.Prepare(ctx, all, shop("Heron Shop"))
	if err != nil {
		t.Fatal(err)
	}
	w.peer.Fault(sandbox.Fault{Kind: sandbox.FaultFailAfter, Path: "/partner/accounts", Method: "POST", Times: 1})
	done, err = accounts.Create(ctx, all, order, "ann")
	refused(t, "an order without an answer", err, admin.Outside, "", admin.RetryRequest, "it may have been created")
	if done, err = accounts.Resume(ctx, all, done.ID, "", false, "ann"); err != nil || done.State != store.RequestCreated {
		t.Errorf("found in the list: %+v, %v", done, err)
	}

	// The login name is somebody else's.
	taken := shop("Gull Shop")
	taken.LoginName = "gullshop"
	if err := w.peer.AddUser(sandbox.User{Account: string(harbour), LoginName: taken.LoginName, FirstName: "Xenia",
		ContactEmail: "x@example.test", LastName: "Yang", RoleName: "account_manager", ExternalID: "zz",
		ExternalProvider: sandbox.DefaultExternalProvider}); err != nil {
		t.Fatal(err)
	}
	if order, err = accounts.Prepare(ctx, all, taken); err != nil {
		t.Fatal(err)
	}
	done, err = accounts.Create(ctx, all, order, "ann")
	refused(t, "a login name that is taken", err, admin.Outside, "", admin.NoAct, "nothing was created")
	_, err = accounts.Resume(ctx, all, done.ID, "", false, "ann")
	refused(t, "one that was refused", err, admin.Input, "request", admin.NameOrdered, "was refused")
	_, err = accounts.Resume(ctx, all, done.ID, "a07e1lxqqqz9", true, "ann")
	refused(t, "an account that is not listed", err, admin.Input, "account", admin.NameOrdered,
		"is not among the client accounts that Constant Contact lists")

	// Nothing was sent: it waits for another try.
	w.peer.Fault(sandbox.Fault{Kind: sandbox.FaultQuota, Path: "/partner/accounts", Method: "POST", Times: 1})
	done, err = accounts.Create(ctx, all, other, "ann")
	refused(t, "an order that was not sent", err, admin.Outside, "", admin.RetryRequest,
		"was not sent, and nothing was created")
	if open, err := accounts.Orders(ctx, all, store.RequestWanted); err != nil || len(open) != 1 || open[0].ID != done.ID {
		t.Errorf("open: %+v, %v", open, err)
	}
	if open, err := accounts.Orders(ctx, all, store.RequestUnknown); err != nil || len(open) != 0 {
		t.Errorf("open without an answer: %+v, %v", open, err)
	}
}

// Calls on behalf of client accounts are off where the configuration lists none.
func TestClientAccountCallsOff(t *testing.T) {
	w := newWorld(t)
	off := admin.ClientAccounts{Store: w.db, Provisioning: w.without(t), PublicURL: "https://sso.example.com"}
	in := admin.CallInput{Method: "GET", Path: "/contacts"}
	if methods := off.CallMethods(); len(methods) != 0 {
		t.Errorf("methods: %v", methods)
	}
	refused(t, "a check", off.CheckCall(admin.Everything(), harbour, in), admin.Input, "path", admin.NoAct, "switched off")
	_, err := off.Call(t.Context(), admin.Everything(), harbour, in, "ann")
	refused(t, "a call", err, admin.Input, "path", admin.NoAct, "switched off")
	if len(w.peer.Calls()) != 0 {
		t.Error("it was sent")
	}
}

// Topics are subscribed to this bridge and tested; the secret of its address is in nothing that comes back.
func TestWebhooks(t *testing.T) {
	w := newWorld(t)
	ctx, all, some := t.Context(), admin.Everything(), admin.Accounts(harbour)
	const secret = "https://sso.example.com/webhooks/constant-contact/0123456789abcdef0123456789abcdef"
	hooks := admin.Webhooks{Provisioning: w.rules, URL: secret,
		Shown: "https://sso.example.com/webhooks/constant-contact/***"}

	topic, err := hooks.Set(ctx, all, 3, "", "ann")
	if err != nil || !topic.Here || topic.PostedTo != hooks.Shown {
		t.Errorf("set: %+v, %v", topic, err)
	}
	list, err := hooks.List(ctx, all)
	if err != nil || !slices.ContainsFunc(list, func(one admin.Topic) bool {
		return one.ID == 3 && one.Here && one.PostedTo == hooks.Shown
	}) {
		t.Errorf("listed: %+v, %v", list, err)
	}
	for _, one := range list {
		if strings.Contains(one.PostedTo, "0123456789abcdef") {
			t.Errorf("the secret is shown: %+v", one)
		}
	}
	if topic, err = hooks.Test(ctx, all, 3, "ann"); err != nil || topic.ID != 3 {
		t.Errorf("tested: %+v, %v", topic, err)
	}
	if topic, err = hooks.Set(ctx, all, 1, "https://elsewhere.example/hook", "ann"); err != nil || topic.Here ||
		topic.PostedTo != "https://elsewhere.example/hook" {
		t.Errorf("elsewhere: %+v, %v", topic, err)
	}
	if err := hooks.Remove(ctx, all, 3, "ann"); err != nil {
		t.Error(err)
	}
	_, err = hooks.Set(ctx, all, 3, "no address", "ann")
	refused(t, "no address", err, admin.Input, "hook_uri", admin.NoAct, "topic 3: hook_uri")
	_, err = admin.Webhooks{Provisioning: w.rules}.Set(ctx, all, 3, "", "ann")
	refused(t, "a bridge that takes none", err, admin.Input, "url", admin.NoAct, "takes no webhooks")
	for what, err := range map[string]error{
		"list": second(hooks.List(ctx, some)), "set": second(hooks.Set(ctx, some, 3, "", "ann")),
		"test": second(hooks.Test(ctx, some, 3, "ann")), "remove": hooks.Remove(ctx, some, 3, "ann"),
	} {
		if e, ok := errors.AsType[*admin.Error](err); !ok || e.Kind != admin.Forbidden {
			t.Errorf("%s outside the scope: %v", what, err)
		}
	}
}

// without is the rules of a world without calls on behalf of client accounts.
func (w *world) without(t *testing.T) *provisioning.Service {
	t.Helper()
	o := w.options
	o.Operations = nil
	s, err := provisioning.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// An id that is written like several others is refused with their ids, but to who may not see them.
func TestAmbiguousAccount(t *testing.T) {
	w := newWorld(t)
	ctx, accounts := t.Context(), admin.ClientAccounts{Store: w.db, Provisioning: w.rules}
	if err := w.db.Accounts().ReplaceAll(ctx, []store.Account{{ID: harbour, Name: "Harbour"}, {ID: "twin1", Name: "A"},
		{ID: "Twin1", Name: "B"}}, store.Event{}); err != nil {
		t.Fatal(err)
	}
	_, err := accounts.Find(ctx, admin.Everything(), "TWIN1", false)
	refused(t, "one of several spellings", err, admin.Input, "account", admin.ListAccounts, "Twin1")
	_, err = accounts.Find(ctx, admin.Accounts(harbour), "TWIN1", false)
	refused(t, "several outside of the scope", err, admin.Forbidden, "account", admin.NoAct, "not among those")
}

// Orders of programs end within a day, those of one program do not keep another's waiting, and none of many is left
// out.
func TestOrdersOfPrograms(t *testing.T) {
	w, accounts := newAccounts(t)
	ctx, all := t.Context(), admin.Everything()
	order := func(name, actor string) store.AccountRequest {
		t.Helper()
		o, err := accounts.Prepare(ctx, all, admin.OrderInput{Owner: "alice", OrganizationName: name, CountryCode: "us",
			StateCode: "MA", LoginName: strings.ToLower(strings.ReplaceAll(name, " ", "-")) + "-owner"})
		if err != nil {
			t.Fatal(err)
		}
		r, err := accounts.Enqueue(ctx, all, o.Program("key of "+name), actor)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	old, sent := order("Old Books", "token:one"), order("Sent Books", "token:one")
	if err := w.db.Accounts().SettleAccount(ctx, withState(sent, store.RequestSending), store.RequestWanted,
		store.Event{}); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(25 * time.Hour)
	if n, err := accounts.SendOrders(ctx, later); err != nil || n != 0 {
		t.Errorf("%d orders of yesterday were sent, %v", n, err)
	}
	ended, err := accounts.Operation(ctx, all, old.ID)
	if err != nil || ended.State != store.RequestRefused || ended.ErrorKey != admin.OrderExpired ||
		!admin.OrderEnds(ended, later) || !strings.Contains(admin.OrderState(ended), "nothing was created") {
		t.Errorf("an order that was never sent: %+v, %v", ended, err)
	}
	open, err := accounts.Operation(ctx, all, sent.ID)
	if err != nil || open.State != store.RequestUnknown || !admin.OrderEnds(open, later) ||
		admin.OrderEnds(open, time.Now()) {
		t.Errorf("an order whose call was never answered: %+v, %v", open, err)
	}
	// Nothing was created, so that the same can be ordered anew.
	if again := order("Old Books", "token:one"); again.ID != old.ID || again.State != store.RequestWanted {
		t.Errorf("ordered anew: %+v", again)
	}
	before := len(w.peer.Accounts())
	var last store.AccountRequest
	for i := range 3 {
		last = order("Books "+string(rune('A'+i)), "token:one")
	}
	other := order("Other Books", "token:two")
	if n, err := accounts.SendOrders(ctx, time.Now()); err != nil || n != 5 {
		t.Errorf("%d were sent, %v", n, err)
	}
	if made := len(w.peer.Accounts()) - before; made != 5 {
		t.Errorf("%d client accounts, want 5", made)
	}
	one, err := accounts.Operation(ctx, all, last.ID)
	if err != nil {
		t.Fatal(err)
	}
	two, err := accounts.Operation(ctx, all, other.ID)
	if err != nil || two.State != store.RequestCreated || !two.UpdatedAt.Before(one.UpdatedAt) {
		t.Errorf("another program's: %+v, %v, the last of the many at %v", two, err, one.UpdatedAt)
	}
}

// An order that Constant Contact creates later is looked for every five minutes, by one replica: each look reads the
// whole list of client accounts, and nothing else would be left of the day's calls.
func TestOrderThatComesLater(t *testing.T) {
	w, accounts := newAccounts(t)
	ctx, all := t.Context(), admin.Everything()
	o, err := accounts.Prepare(ctx, all, admin.OrderInput{Owner: "alice", OrganizationName: "Late Books",
		CountryCode: "us", StateCode: "MA"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := accounts.Enqueue(ctx, all, o.Program("late"), "token:one")
	if err != nil {
		t.Fatal(err)
	}
	w.peer.Fault(sandbox.Fault{Kind: sandbox.FaultAcceptLater, Path: "/partner/accounts", Method: "POST",
		Delay: 10 * time.Minute, Times: 1})
	now := time.Now()
	send := func(at time.Time) (calls int) {
		t.Helper()
		before := len(w.peer.Calls())
		if _, err := accounts.SendOrders(ctx, at); err != nil {
			t.Error(err)
		}
		return len(w.peer.Calls()) - before
	}
	if n := send(now); n != 1 {
		t.Fatalf("%d calls for the order", n)
	}
	if r, err = accounts.Operation(ctx, all, r.ID); err != nil || r.State != store.RequestAccepted || r.Account != "" {
		t.Fatalf("accepted for later: %+v, %v", r, err)
	}
	if n := send(now.Add(time.Minute)); n != 0 {
		t.Errorf("%d calls after a minute", n)
	}
	if n := send(now.Add(6 * time.Minute)); n == 0 {
		t.Error("it is not looked for after six minutes")
	}
	// What was looked at just now is not due by the clock that says so.
	again, err := accounts.Operation(ctx, all, r.ID)
	if err != nil || !again.UpdatedAt.After(r.UpdatedAt) {
		t.Fatalf("a look leaves no trace: %+v, %v", again, err)
	}
	if n := send(again.UpdatedAt.Add(2 * time.Second)); n != 0 {
		t.Errorf("%d calls two seconds after it was looked for", n)
	}
	// Of two replicas that have read the same, one looks.
	if ok, err := w.db.Accounts().LookAgain(ctx, r); err != nil || ok {
		t.Errorf("looked at by another replica: %v, %v", ok, err)
	}
	// One that was found and whose owner can't be mapped has an end, too.
	found := again
	found.Account = harbour
	if later := again.CreatedAt.Add(25 * time.Hour); !admin.OrderEnds(found, later) || admin.OrderEnds(found, now) {
		t.Error("an order whose owner can't be mapped never ends")
	}
}

func withState(r store.AccountRequest, state string) store.AccountRequest {
	r.State = state
	return r
}

// What a partner's page shows for a client account, by its id or by the partner's own id of its order; a caller of some
// client accounts sees none but these.
func TestButton(t *testing.T) {
	w, accounts := newAccounts(t)
	ctx, all := t.Context(), admin.Everything()
	o := w.options
	o.ClosedStatuses = []string{"Canceled"}
	rules, err := provisioning.New(o)
	if err != nil {
		t.Fatal(err)
	}
	accounts.Provisioning = rules
	shows := func(what string, s admin.Scope, text string, now time.Time, want string) admin.Button {
		t.Helper()
		b, err := accounts.Button(ctx, s, text, now)
		if err != nil || b.State != want || (b.Launch != "") != (want == admin.ButtonOpen) {
			t.Errorf("%s: %+v, %v, want %s", what, b, err, want)
		}
		return b
	}
	now := time.Now()
	shows("one that is there", all, " "+strings.ToUpper(string(harbour)), now, admin.ButtonOpen)
	shows("one of its own", admin.Accounts(harbour), string(harbour), now, admin.ButtonOpen)
	shows("one that is not there", all, "nosuchaccount", now, admin.ButtonNone)
	shows("one outside of the scope", admin.Accounts("a07e1lxqqqp1"), string(harbour), now, admin.ButtonNone)
	shows("what is no id", all, "../x", now, admin.ButtonNone)
	if err := w.db.Accounts().Put(ctx, store.Account{ID: harbour, BillingStatus: "Canceled"}, store.Event{}); err != nil {
		t.Fatal(err)
	}
	shows("one that was cancelled", all, string(harbour), now, admin.ButtonSuspended)

	order, err := accounts.Prepare(ctx, all, admin.OrderInput{Owner: "alice", OrganizationName: "Button Books",
		CountryCode: "us", StateCode: "MA", PartnerAccountID: "shop-17"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := accounts.Enqueue(ctx, all, order.Program("key"), "token:one")
	if err != nil {
		t.Fatal(err)
	}
	shows("one that is ordered", all, "shop-17", now, admin.ButtonMaking)
	shows("an order outside of the scope", admin.Accounts(harbour), "shop-17", now, admin.ButtonNone)
	conflict := withState(r, store.RequestConflict)
	if err := w.db.Accounts().SettleAccount(ctx, conflict, store.RequestWanted, store.Event{}); err != nil {
		t.Fatal(err)
	}
	shows("an order that was refused", all, "shop-17", now, admin.ButtonAttention)
	if err := w.db.Accounts().SettleAccount(ctx, withState(r, store.RequestWanted), store.RequestConflict,
		store.Event{}); err != nil {
		t.Fatal(err)
	}
	if _, err := accounts.SendOrders(ctx, time.Now()); err != nil {
		t.Fatal(err)
	}
	if b := shows("one that was created", all, "shop-17", now, admin.ButtonOpen); b.Account == "" {
		t.Error("no client account")
	}
}
