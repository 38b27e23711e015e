package provisioning_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"ssobridge/partnerapi"
	"ssobridge/partnerapi/sandbox"
	"ssobridge/provisioning"
	"ssobridge/store"
)

func (w *world) account(id store.AccountID) store.Account {
	w.tb.Helper()
	return must(w.db.Accounts().Get(w.tb.Context(), id))(w.tb)
}

// calls counts the calls whose path ends so.
func (w *world) calls(method, end string) (n int) {
	for _, c := range w.sandbox.Calls() {
		if c.Method == method && strings.HasSuffix(c.Path, end) {
			n++
		}
	}
	return n
}

func TestAccountPlan(t *testing.T) {
	w := accountWorld(t, settings{service: provisioning.Options{ClosedStatuses: []string{"disabled"}}})
	w.mapGroup(group("sales"), harbour)
	before := w.account(harbour)
	plan, err := w.AccountPlan(t.Context(), harbour, "admin:test")
	if err != nil || plan.PlanType == "" {
		t.Fatalf("AccountPlan: got %+v, %v", plan, err)
	}
	got := w.account(harbour)
	if got.PlanType != plan.PlanType || got.BillingStatus != plan.BillingStatus || got.CheckedAt.IsZero() ||
		got.Name != before.Name || !got.SeenAt.Equal(before.SeenAt) {
		t.Errorf("stored: got %+v, want %+v with the plan", got, before)
	}
	// What a reading finds counts at once, at the gate too.
	if err := w.sandbox.SetBillingStatus(string(harbour), "Disabled"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.AccountPlan(t.Context(), harbour, "admin:test"); err != nil {
		t.Fatal(err)
	}
	expect(t, w.decide(person("alice", group("sales")), justLook), provisioning.Denied, provisioning.AccountClosed)
	if e := w.events("account-read"); len(e) != 2 || e[0].Reason != "changed" || e[0].Actor != "admin:test" ||
		e[0].Account != harbour {
		t.Errorf("audit: got %+v", e)
	}
	// The list does not take the plan away.
	w.advance(time.Hour)
	if err := w.RefreshAccounts(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := w.account(harbour); after.PlanType != plan.PlanType || after.CheckedAt.IsZero() {
		t.Errorf("after a refresh: got %+v", after)
	}
	if _, err := w.AccountPlan(t.Context(), "a07enosuch", "admin:test"); partnerapi.KindOf(err) != partnerapi.NotFound {
		t.Errorf("no such account: got %v", err)
	}
	if _, err := w.db.Accounts().Get(t.Context(), "a07enosuch"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("no such account is stored: %v", err)
	}
}

func TestSetAccountPlan(t *testing.T) {
	w := accountWorld(t, settings{})
	for name, c := range map[string]partnerapi.PlanChange{
		"back to TRIAL": {PlanType: "TRIAL"}, "unknown": {PlanType: "PLATINUM"}, "day": {PlanType: "GOLD",
			BillingDayOfMonth: 32},
	} {
		calls := len(w.sandbox.Calls())
		if _, err := w.SetAccountPlan(t.Context(), harbour, c, "admin:test"); len(faultFields(err)) != 1 ||
			faultFields(err)[0] == "?" {
			t.Errorf("%s: got %v, want a fault", name, err)
		}
		if got := len(w.sandbox.Calls()) - calls; got != 0 {
			t.Errorf("%s: %d calls were made", name, got)
		}
	}
	if got := w.events("account-set-plan-wanted"); len(got) != 0 {
		t.Errorf("audit of what was not tried: %+v", got)
	}
	plan, err := w.SetAccountPlan(t.Context(), harbour, partnerapi.PlanChange{PlanType: "GOLD",
		BillingDayOfMonth: 3}, "admin:test")
	if err != nil || plan.PlanType != "GOLD" || w.account(harbour).PlanType != "GOLD" {
		t.Errorf("got %+v, %v, stored %+v", plan, err, w.account(harbour))
	}
	for _, action := range []string{"account-set-plan-wanted", "account-set-plan"} {
		if got := w.events(action); len(got) != 1 || got[0].Outcome != "ok" || got[0].Actor != "admin:test" ||
			!strings.Contains(string(got[0].Detail), "GOLD") {
			t.Errorf("audit of %s: got %+v", action, got)
		}
	}
	// Refused by Constant Contact: the intention and the refusal are on record.
	if _, err := w.SetAccountPlan(t.Context(), "a07enosuch", partnerapi.PlanChange{PlanType: "GOLD"},
		"admin:test"); partnerapi.KindOf(err) != partnerapi.NotFound {
		t.Errorf("no such account: got %v", err)
	}
	if got := w.events("account-set-plan"); got[0].Outcome != "refused" || got[0].Reason != "not_found" {
		t.Errorf("audit of a refusal: got %+v", got[0])
	}
	// It acted and did not say so: what stands there is read and stored.
	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultFailAfter, Path: "/plan", Method: http.MethodPut, Times: 1})
	if _, err := w.SetAccountPlan(t.Context(), harbour, partnerapi.PlanChange{PlanType: "SILVER"},
		"admin:test"); partnerapi.KindOf(err) != partnerapi.Unknown {
		t.Errorf("500 after acting: got %v", err)
	}
	if got := w.account(harbour).PlanType; got != "SILVER" {
		t.Errorf("500 after acting: stored %s, want SILVER", got)
	}
	if got := w.events("account-set-plan"); got[0].Outcome != "unknown" {
		t.Errorf("audit of an unknown outcome: got %+v", got[0])
	}
}

func TestCancelAccount(t *testing.T) {
	w := accountWorld(t, settings{service: provisioning.Options{ClosedStatuses: []string{"Canceled"}}})
	w.mapGroup(group("sales"), harbour)
	if _, err := w.CancelAccount(t.Context(), harbour, partnerapi.Cancellation{EffectiveDate: w.now().Add(-time.Minute)},
		"admin:test"); strings.Join(faultFields(err), "") != "effective_date" {
		t.Errorf("in the past: got %v", err)
	}
	if _, err := w.CancelAccount(t.Context(), harbour, partnerapi.Cancellation{ReasonID: 4}, "admin:test"); err == nil {
		t.Error("a reason that is not published: got no error")
	}
	if got := w.calls(http.MethodPut, "/status/cancel"); got != 0 {
		t.Errorf("refused orders: %d calls", got)
	}
	if _, err := w.CancelAccount(t.Context(), juniper,
		partnerapi.Cancellation{EffectiveDate: w.now().Add(240 * time.Hour)}, "admin:test"); err != nil ||
		w.account(juniper).BillingStatus == "Canceled" {
		t.Errorf("for later: got %v, stored %+v", err, w.account(juniper))
	}
	if _, err := w.CancelAccount(t.Context(), harbour, partnerapi.Cancellation{ReasonID: 11}, "admin:test"); err != nil ||
		w.account(harbour).BillingStatus != "Canceled" {
		t.Fatalf("got %v, stored %+v, want it cancelled", err, w.account(harbour))
	}
	expect(t, w.decide(person("alice", group("sales")), justLook), provisioning.Denied, provisioning.AccountClosed)
	if got := w.events("account-cancel"); len(got) < 2 || got[0].Outcome != "ok" || got[0].Actor != "admin:test" ||
		got[0].Account != harbour {
		t.Errorf("audit: got %+v", got)
	}
	if _, err := w.CancelAccount(t.Context(), "a07enosuch", partnerapi.Cancellation{},
		"admin:test"); partnerapi.KindOf(err) != partnerapi.NotFound {
		t.Errorf("no such account: got %v", err)
	}
}

// An admin's act goes where a sign-in may, a loop of a script does not.
func TestAdminsAndTheReserve(t *testing.T) {
	w := accountWorld(t, settings{budget: store.BudgetLimits{PerSecond: 2000, PerDay: 10, Reserve: 0.8}})
	for range 3 {
		_, _ = w.AccountPlan(t.Context(), harbour, "admin:test")
	}
	_, err := w.AccountPlan(t.Context(), harbour, "admin:test")
	if partnerapi.KindOf(err) != partnerapi.QuotaExceeded {
		t.Errorf("a reading past the background's share: got %v", err)
	}
	if _, err := w.SetAccountPlan(t.Context(), harbour, partnerapi.PlanChange{PlanType: "GOLD"},
		"admin:test"); err != nil {
		t.Errorf("an act: got %v", err)
	}
}

func TestCallAccount(t *testing.T) {
	rules := []provisioning.OperationRule{{Method: "GET", Path: "/contacts"}, {Method: "POST", Path: "/contacts"},
		{Method: "GET", Path: "/contacts/*"}}
	const payload = `{"email_address":{"address":"secret@example.test","permission_to_send":"implicit"},"create_source":"Account"}`
	post := partnerapi.Operation{Method: "POST", URL: "/contacts", Payload: payload}

	off := accountWorld(t, settings{})
	if _, err := off.CallAccount(t.Context(), harbour, partnerapi.Operation{Method: "GET", URL: "/contacts"},
		"admin:test"); !errors.Is(err, provisioning.ErrNotAllowed) {
		t.Errorf("switched off: got %v", err)
	}
	if len(off.sandbox.Operations()) != 0 {
		t.Error("switched off, and a call was made")
	}

	w := accountWorld(t, settings{service: provisioning.Options{Operations: rules}})
	if _, err := w.CallAccount(t.Context(), harbour, post, "admin:test"); err != nil {
		t.Fatalf("POST /contacts: %v", err)
	}
	answer, err := w.CallAccount(t.Context(), harbour, partnerapi.Operation{Method: "GET", URL: "/contacts"}, "admin:test")
	if err != nil || !strings.Contains(string(answer), "secret@example.test") {
		t.Errorf("GET /contacts: got %s, %v", answer, err)
	}
	sum := sha256.Sum256([]byte(payload))
	events := append(w.events("account-call"), w.events("account-call-wanted")...)
	if len(events) != 4 {
		t.Errorf("audit: got %d events, want 4", len(events))
	}
	hashed := slices.ContainsFunc(events, func(e store.Event) bool {
		return strings.Contains(string(e.Detail),
			hex.EncodeToString(sum[:]))
	})
	for _, e := range events {
		if e.Actor != "admin:test" || e.Account != harbour || !strings.Contains(string(e.Detail), `"path":"/contacts"`) ||
			strings.Contains(string(e.Detail), "secret@") {
			t.Errorf("audit: got %+v %s", e, e.Detail)
		}
	}
	if !hashed {
		t.Error("audit: no event has the hash of the body")
	}

	param := func(key, value string) []partnerapi.Param { return []partnerapi.Param{{Key: key, Value: value}} }
	before := len(w.sandbox.Operations())
	for name, o := range map[string]partnerapi.Operation{
		"another method":          {Method: "DELETE", URL: "/contacts"},
		"a method in lower case":  {Method: "get", URL: "/contacts"},
		"another path":            {Method: "GET", URL: "/emails"},
		"deeper":                  {Method: "GET", URL: "/contacts/1/notes"},
		"beginning":               {Method: "GET", URL: "/contacts_export"},
		"dot segments":            {Method: "GET", URL: "/contacts/../emails"},
		"one dot segment":         {Method: "GET", URL: "/contacts/.."},
		"an escape":               {Method: "GET", URL: "/contacts/%2e%2e"},
		"a query":                 {Method: "GET", URL: "/contacts?x=/../emails"},
		"a host":                  {Method: "GET", URL: "//evil.example/contacts"},
		"empty segment":           {Method: "GET", URL: "/contacts/"},
		"climbing value":          {Method: "GET", URL: "/contacts/{id}", Path: param("id", "..")},
		"value with a slash":      {Method: "GET", URL: "/contacts/{id}", Path: param("id", "1/notes")},
		"value left out":          {Method: "GET", URL: "/contacts/{id}"},
		"value for nothing":       {Method: "GET", URL: "/contacts", Path: param("id", "1")},
		"an account in a value":   {Method: "GET", URL: "/{what}", Path: param("what", "emails")},
		"a header that overrides": {Method: "GET", URL: "/contacts", Headers: param("X-HTTP-Method-Override", "DELETE")},
		"a token":                 {Method: "GET", URL: "/contacts", Headers: param("Authorization", "Bearer x")},
	} {
		_, err := w.CallAccount(t.Context(), harbour, o, "admin:test")
		if err == nil || !errors.Is(err, provisioning.ErrNotAllowed) && slices.Contains(faultFields(err), "?") {
			t.Errorf("%s: got %v, want it not allowed or a fault", name, err)
		}
	}
	if got := len(w.sandbox.Operations()) - before; got != 0 {
		t.Errorf("refused calls: %d were made", got)
	}
	// A placeholder is held against the rules with its value.
	if _, err := w.CallAccount(t.Context(), harbour, partnerapi.Operation{Method: "GET", URL: "/{what}",
		Path: param("what", "contacts")}, "admin:test"); errors.Is(err, provisioning.ErrNotAllowed) {
		t.Errorf("a placeholder that gives an allowed path: got %v", err)
	}
	if got := w.events("account-call"); !slices.ContainsFunc(got,
		func(e store.Event) bool { return e.Outcome == "refused" && e.Reason == "not_allowed" }) {
		t.Error("audit: no refusal")
	}
}

func TestUnsubscribe(t *testing.T) {
	w := accountWorld(t, settings{})
	addresses := func(n int) (all []string) {
		for i := range n {
			all = append(all, fmt.Sprintf("someone%d@example.test", i))
		}
		return all
	}
	if _, err := w.Unsubscribe(t.Context(), harbour, partnerapi.Unsubscription{EmailAddresses: addresses(500),
		UpdateSource: "Account"}, "admin:test"); err != nil {
		t.Errorf("500 addresses: %v", err)
	}
	calls := len(w.sandbox.Calls())
	for name, u := range map[string]partnerapi.Unsubscription{
		"501":       {EmailAddresses: addresses(501), UpdateSource: "Account"},
		"none":      {UpdateSource: "Account"},
		"no source": {EmailAddresses: addresses(1)},
	} {
		if _, err := w.Unsubscribe(t.Context(), harbour, u, "admin:test"); len(faultFields(err)) == 0 ||
			faultFields(err)[0] == "?" {
			t.Errorf("%s: got %v, want a fault", name, err)
		}
	}
	if got := len(w.sandbox.Calls()) - calls; got != 0 {
		t.Errorf("refused: %d calls", got)
	}
	for _, e := range append(w.events("account-unsubscribe"), w.events("account-unsubscribe-wanted")...) {
		if strings.Contains(string(e.Detail), "@") || !strings.Contains(string(e.Detail), `"addresses":500`) {
			t.Errorf("audit: got %s", e.Detail)
		}
	}
}

func TestWebhooks(t *testing.T) {
	w := accountWorld(t, settings{})
	const uri = "https://sso.example.test/webhooks/constant-contact/0123456789abcdef0123456789abcdef"
	set, err := w.SetWebhook(t.Context(), partnerapi.TopicCancelled, uri, "admin:test")
	if err != nil || set.HookURI != uri {
		t.Fatalf("SetWebhook: got %+v, %v", set, err)
	}
	subscribed := func() (n int) {
		for _, s := range must(w.Webhooks(t.Context()))(t) {
			if s.HookURI != "" {
				n++
			}
		}
		return n
	}
	if got := subscribed(); got != 1 {
		t.Errorf("subscribed: got %d, want 1", got)
	}
	if _, err := w.TestWebhook(t.Context(), partnerapi.TopicTierUp, "admin:test"); err == nil {
		t.Error("test of a topic without subscription: got no error")
	}
	if _, err := w.SetWebhook(t.Context(), partnerapi.TopicTierUp, "http://evil.example/", "admin:test"); err == nil {
		t.Error("plain http: got no error")
	}
	if _, err := w.SetWebhook(t.Context(), 0, uri, "admin:test"); err == nil {
		t.Error("topic 0: got no error")
	}
	if err := w.RemoveWebhook(t.Context(), partnerapi.TopicCancelled, "admin:test"); err != nil || subscribed() != 0 {
		t.Errorf("RemoveWebhook: %v", err)
	}
	for _, action := range []string{"webhook-set-wanted", "webhook-set", "webhook-remove", "webhook-test"} {
		events := w.events(action)
		if len(events) == 0 || events[0].Actor != "admin:test" {
			t.Errorf("audit of %s: got %+v", action, events)
		}
		for _, e := range events {
			if strings.Contains(string(e.Detail), "0123456789abcdef") {
				t.Errorf("audit of %s has the secret: %s", action, e.Detail)
			}
		}
	}
}

func (w *world) keepHints() {
	ctx, cancel := context.WithCancel(w.tb.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.KeepHints(ctx)
	}()
	w.tb.Cleanup(func() { cancel(); <-done })
}

func (w *world) hint(id store.AccountID) {
	w.tb.Helper()
	if known, err := w.HintAccount(w.tb.Context(), id, "account.disabled"); err != nil || !known {
		w.tb.Fatalf("HintAccount: got %t, %v", known, err)
	}
}

// A hint makes the account be read, however many come, once a minute.
func TestHints(t *testing.T) {
	w := accountWorld(t, settings{})
	reads := func() int { return w.calls(http.MethodGet, "/"+string(harbour)+"/plan") }
	if known, err := w.HintAccount(t.Context(), "a07enosuch", "tier.increase"); err != nil || known {
		t.Errorf("an account that is none of ours: got %t, %v", known, err)
	}
	if _, err := w.HintAccount(t.Context(), harbour, "a\nb"); strings.Join(faultFields(err), "") != "event_type" {
		t.Errorf("an event of no known form: got %v", err)
	}
	w.keepHints()
	if err := w.sandbox.SetBillingStatus(string(harbour), "Disabled"); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		w.hint(harbour)
	}
	w.until("the account is read", func() bool { return w.account(harbour).BillingStatus == "Disabled" })
	for range 20 {
		w.hint(harbour)
	}
	w.hint(juniper) // behind it in the queue: once this is read, the other was not
	w.until("the other account is read", func() bool { return !w.account(juniper).CheckedAt.IsZero() })
	if got := reads(); got != 1 {
		t.Errorf("readings within a minute: got %d, want 1", got)
	}
	w.advance(time.Minute + time.Second)
	w.until("it is read again", func() bool { return reads() == 2 })
}

// A reading that fails comes again, slower each time; one that is refused does not.
func TestHintsFailAndComeAgain(t *testing.T) {
	w := accountWorld(t, settings{})
	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultFailBefore, Path: "/" + string(harbour) + "/plan",
		Method: http.MethodGet, Times: 2})
	w.keepHints()
	readings := func(id store.AccountID) int { return w.calls(http.MethodGet, "/"+string(id)+"/plan") }
	// settled lets another account be read behind what is due now.
	settled := func() {
		t.Helper()
		before := w.account(juniper).CheckedAt
		w.hint(juniper)
		w.until("the other account is read", func() bool { return w.account(juniper).CheckedAt.After(before) })
	}
	w.hint(harbour)
	w.until("it has failed", func() bool { return readings(harbour) == 1 })
	settled()
	if got := readings(harbour); got != 1 {
		t.Errorf("at once after a failure: got %d readings, want 1", got)
	}
	w.advance(61 * time.Second)
	w.until("it has failed again", func() bool { return readings(harbour) == 2 })
	settled()
	w.advance(61 * time.Second)
	settled()
	if got := readings(harbour); got != 2 {
		t.Errorf("a minute after the second failure: got %d readings, want 2", got)
	}
	w.advance(61 * time.Second)
	w.until("it is read", func() bool { return !w.account(harbour).CheckedAt.IsZero() })

	// Another partner's by now: asked once.
	const gone store.AccountID = "a07egone"
	if err := w.db.Accounts().Put(t.Context(), store.Account{ID: gone, Name: "Gone"}, store.Event{}); err != nil {
		t.Fatal(err)
	}
	w.hint(gone)
	w.until("it is refused", func() bool { return readings(gone) == 1 })
	settled()
	w.advance(3 * time.Hour)
	settled()
	if got := readings(gone); got != 1 {
		t.Errorf("after a refusal: got %d readings, want 1", got)
	}
}

// Webhooks cause no more readings in a day than allowed.
func TestHintsPerDay(t *testing.T) {
	w := accountWorld(t, settings{service: provisioning.Options{HintsPerDay: 2}})
	w.keepHints()
	for _, id := range []store.AccountID{harbour, juniper, cycling} {
		w.hint(id)
		if id != cycling {
			w.until("it is read", func() bool { return !w.account(id).CheckedAt.IsZero() })
		}
	}
	w.advance(time.Minute) // still the same day
	if _, err := w.db.Accounts().NextChanged(t.Context(), 2); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a third reading today: got %v, want none", err)
	}
	w.advance(12 * time.Hour)
	w.until("the third is read on the next day", func() bool { return !w.account(cycling).CheckedAt.IsZero() })
}
