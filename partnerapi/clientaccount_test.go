package partnerapi_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ssobridge/partnerapi"
)

// faultyFields are the fields that an error of Validate names.
func faultyFields(t testing.TB, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("got %T, want joined faults", err)
	}
	var fields []string
	for _, err := range joined.Unwrap() {
		e, ok := errors.AsType[*partnerapi.FieldError](err)
		if !ok || e.Fault == "" {
			t.Fatalf("got %v, want a fault of a field", err)
		}
		fields = append(fields, e.Field)
	}
	return fields
}

func wantFields(t testing.TB, err error, want ...string) {
	t.Helper()
	if got := faultyFields(t, err); !slices.Equal(got, want) {
		t.Errorf("got faults of %v, want of %v: %v", got, want, err)
	}
}

// API-01, for an owner.
func TestNewAccountValidate(t *testing.T) {
	type change = func(*partnerapi.NewAccount)
	long := func(n int) string { return strings.Repeat("ü", n) }
	tests := []struct {
		name   string
		change change
		want   []string
	}{
		{"good", func(*partnerapi.NewAccount) {}, nil},
		{"only what is required", func(n *partnerapi.NewAccount) {
			*n = partnerapi.NewAccount{ContactEmail: n.ContactEmail, CountryCode: "USA", StateCode: "MA", LoginName: "abcdef",
				ExternalID: "1", ExternalProvider: "a"}
		}, nil},
		{"longest", func(n *partnerapi.NewAccount) {
			n.OrganizationName, n.FirstName, n.LastName, n.LoginName = long(50), long(80), long(80), strings.Repeat("a", 50)
			n.ContactPhone, n.OrganizationPhone, n.ExternalID, n.ExternalProvider = long(25), long(25), long(255), long(80)
		}, nil},
		{"shortest", func(n *partnerapi.NewAccount) {
			n.OrganizationName, n.FirstName, n.LastName, n.ContactPhone = "X", "Al", "Li", "12345"
		}, nil},
		{"nothing", func(n *partnerapi.NewAccount) { *n = partnerapi.NewAccount{} },
			[]string{"contact_email", "country_code", "state_code", "login_name", "external_id", "external_provider"}},
		{"too long, all at once", func(n *partnerapi.NewAccount) {
			n.OrganizationName, n.FirstName, n.LoginName, n.ContactPhone = long(51), long(81), strings.Repeat("a", 51), long(26)
			n.ExternalID, n.ExternalProvider, n.PartnerAccountID, n.Website = long(256), long(81), long(81), long(256)
		}, []string{"contact_phone", "organization_name", "website", "login_name", "first_name", "partner_account_id",
			"external_id", "external_provider"}},
		{"too short", func(n *partnerapi.NewAccount) {
			n.LoginName, n.FirstName, n.LastName, n.ContactPhone, n.OrganizationPhone, n.CountryCode = "abcde", "A", "B",
				"1234", "1", "U"
		}, []string{"contact_phone", "country_code", "organization_phone", "login_name", "first_name", "last_name"}},
		{"country in words", func(n *partnerapi.NewAccount) { n.CountryCode = "U S" }, []string{"country_code"}},
		{"login with a space", func(n *partnerapi.NewAccount) { n.LoginName = "ada marsh" }, []string{"login_name"}},
		{"login with an umlaut", func(n *partnerapi.NewAccount) { n.LoginName = "zoë-marsh" }, []string{"login_name"}},
		{"mail that is none", func(n *partnerapi.NewAccount) { n.ContactEmail = "ada" }, []string{"contact_email"}},
		{"line break", func(n *partnerapi.NewAccount) { n.OrganizationName = "A\r\nB" }, []string{"organization_name"}},
		{"spaces", func(n *partnerapi.NewAccount) { n.FirstName = "   " }, []string{"first_name"}},
		{"space before the external id", func(n *partnerapi.NewAccount) { n.ExternalID = " 1" }, []string{"external_id"}},
		{"no UTF-8", func(n *partnerapi.NewAccount) { n.StateCode = "M\xff" }, []string{"state_code"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := newAccount(1)
			tt.change(&n)
			wantFields(t, n.Validate(), tt.want...)
		})
	}
}

func TestPlanChangeAndCancellationValidate(t *testing.T) {
	for _, plan := range []string{"BRONZE", "SILVER", "GOLD"} {
		for _, day := range []int{0, 1, 31} {
			wantFields(t, partnerapi.PlanChange{PlanType: plan, BillingDayOfMonth: day}.Validate())
		}
	}
	wantFields(t, partnerapi.PlanChange{PlanType: "TRIAL"}.Validate(), "plan_type")
	wantFields(t, partnerapi.PlanChange{PlanType: "bronze"}.Validate(), "plan_type")
	wantFields(t, partnerapi.PlanChange{BillingDayOfMonth: 32, PlanGroupID: -1}.Validate(), "plan_type", "plan_group_id",
		"billing_day_of_month")
	wantFields(t, partnerapi.PlanChange{PlanType: "GOLD", BillingDayOfMonth: -1}.Validate(), "billing_day_of_month")

	wantFields(t, partnerapi.Cancellation{}.Validate())
	for _, id := range partnerapi.CancelReasons {
		wantFields(t, partnerapi.Cancellation{ReasonID: id, EffectiveDate: cancelAt}.Validate())
	}
	wantFields(t, partnerapi.Cancellation{ReasonID: 4}.Validate(), "reason_id")
	wantFields(t, partnerapi.Cancellation{ReasonID: -1, EffectiveDate: time.Date(10_000, 1, 1, 0, 0, 0, 0,
		time.UTC)}.Validate(), "reason_id", "effective_date")
}

// What is not to be called is not called, and costs neither slot nor token.
func TestRefusedBeforeTheCall(t *testing.T) {
	r := newRemote(t, func(http.ResponseWriter, *http.Request) { t.Error("a call was made") })
	c, b := newClient(t, r, nil)
	ctx, class := t.Context(), partnerapi.PriorityPlan
	refused := func(name string, err error) {
		t.Helper()
		e := wantKind(t, err, partnerapi.BadRequest)
		if _, ok := errors.AsType[*partnerapi.FieldError](e); !ok || e.Status != 0 {
			t.Errorf("%s: got %v, want a fault of a field", name, err)
		}
	}
	for _, id := range []string{"", ".", "..", "../../x", "a/b", "a b", "%2e", strings.Repeat("a", 65), "a?b", "a\nb"} {
		for _, name := range []string{"Plan", "SetPlan", "CancelAccount", "Operate", "CreateSSOUser", "UnsubscribeContacts"} {
			_, err := contractCalls(1)[name].make(ctx, c, id)
			refused(name, err)
		}
	}
	for _, topic := range []int{0, -1, 1_000_000} {
		_, err := c.Subscription(ctx, class, topic)
		refused("Subscription", err)
		_, err = c.Subscribe(ctx, class, topic, "https://bridge.example/hook")
		refused("Subscribe", err)
		_, err = c.TestSubscription(ctx, class, topic)
		refused("TestSubscription", err)
		refused("RemoveSubscription", c.RemoveSubscription(ctx, class, topic))
	}
	_, err := c.CreateAccount(ctx, class, partnerapi.NewAccount{})
	refused("CreateAccount", err)
	_, err = c.SetPlan(ctx, class, account, partnerapi.PlanChange{PlanType: "TRIAL"})
	refused("SetPlan", err)
	_, err = c.CancelAccount(ctx, class, account, partnerapi.Cancellation{ReasonID: 5})
	refused("CancelAccount", err)
	_, err = c.Operate(ctx, class, account, partnerapi.Operation{Method: "GET", URL: "//evil.example/"})
	refused("Operate", err)
	_, err = c.UnsubscribeContacts(ctx, class, account, partnerapi.Unsubscription{UpdateSource: "Account"})
	refused("UnsubscribeContacts", err)
	if b.reserved != 0 || r.asked() != 0 {
		t.Errorf("got %d slots and %d tokens spent", b.reserved, r.asked())
	}
}

// A call is sent once whatever becomes of it, with the class that it was given.
func TestCallsAreNeverSentTwice(t *testing.T) {
	var calls atomic.Int32
	status := http.StatusInternalServerError
	r := newRemote(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(status)
	})
	for _, status = range []int{500, 502, 503, 504, 408, 0} {
		for name, call := range contractCalls(1) {
			calls.Store(0)
			c, b := newClient(t, r, nil)
			_, err := call.make(t.Context(), c, account)
			want := partnerapi.Unknown
			if status == 503 && name == "CreateAccount" {
				want = partnerapi.Accepted
			}
			wantKind(t, err, want)
			wantClass := partnerapi.PriorityPlan
			if calls.Load() != 1 || !slices.Equal(b.classes, []string{wantClass}) {
				t.Errorf("%s answered by %d: got %d calls with slots %v, want one of class %s", name, status, calls.Load(),
					b.classes, wantClass)
			}
		}
	}
}

// An answer that does not say what it should leaves open what was done.
func TestUnreadableAnswers(t *testing.T) {
	status, body := 0, ""
	r := newRemote(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
	c, _ := newClient(t, r, nil)
	all := []string{"", " ", "null", `"text"`, "7", "<html>", `{"a":`, "\xff", strings.Repeat(" ", 2<<20)}
	objects := append(slices.Clone(all), "[]", `[{"topic_id":1}]`)
	tests := map[string][]string{
		"CreateAccount": append(slices.Clone(objects), "{}", `{"encoded_account_id":""}`, `{"encoded_account_id":"../x"}`,
			`{"encoded_account_id":7}`),
		"Plan": append(slices.Clone(objects), "{}", `{"error_key":"k"}`, `{"plan_type":7}`,
			`{"plan_type":"GOLD","current_tiers":{}}`),
		"SetPlan":       append(slices.Clone(objects), "{}", `{"billing_day_of_month":"1"}`),
		"CancelAccount": append(slices.Clone(objects), `{"reason_id":"eleven"}`),
		"UnsubscribeContacts": append(slices.Clone(objects), "{}", `{"unsubscribed_count":null}`, `{"unsubscribed_count":-1}`,
			`{"unsubscribed_count":1.5}`, `{"unsubscribed_count":1e99}`),
		"Subscription":     append(slices.Clone(objects), "{}", `{"topic_id":2}`, `{"topic_id":"2"}`),
		"Subscribe":        append(slices.Clone(objects), "{}", `{"topic_id":2}`),
		"TestSubscription": append(slices.Clone(objects), "{}", `{"topic_id":2}`),
		"Subscriptions":    append(slices.Clone(all), "{}", `[{}]`, `[{"topic_id":0}]`, `[null]`, `[[]]`),
	}
	for name, bodies := range tests {
		call := contractCalls(1)[name]
		for _, body = range bodies {
			status = call.success
			got, err := call.make(t.Context(), c, account)
			e := wantKind(t, err, partnerapi.Unknown)
			if e.Status != status || strings.Contains(e.Error(), "html") {
				t.Errorf("%s, %.40q: got %v with %v, want an error with status %d that does not quote the body", name, body,
					got, err, status)
			}
		}
	}
}

// Statuses, plans and topics that nobody has heard of are passed on; what can't be shown is made fit.
func TestUnknownValuesArePassedOn(t *testing.T) {
	answer := ""
	r := newRemote(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) })
	c, _ := newClient(t, r, nil)
	answer = `{"plan_type":"DIAMOND","billing_status":"On\nhold","billing_day_of_month":0,"new":[1],"current_tiers":[{"usage_type":"SMS","tier":null}]}`
	p, err := c.Plan(t.Context(), partnerapi.PriorityPlan, account)
	if err != nil || p.PlanType != "DIAMOND" || p.BillingStatus != "On hold" || len(p.Tiers) != 1 ||
		p.Tiers[0].UsageType != "SMS" {
		t.Errorf("got %+v, %v", p, err)
	}
	answer = `{"billing_status":"Open"}`
	if p, err = c.Plan(t.Context(), partnerapi.PriorityPlan, account); err != nil || p.PlanType != "" ||
		p.BillingStatus != "Open" {
		t.Errorf("got %+v, %v", p, err)
	}
	answer = `[{"topic_id":77,"hook_uri":null,"topic_name":"new\u0000one"}]`
	list, err := c.Subscriptions(t.Context(), partnerapi.PriorityPlan)
	if err != nil || len(list) != 1 || list[0] != (partnerapi.Subscription{TopicID: 77, Name: "new one"}) {
		t.Errorf("got %+v, %v", list, err)
	}
	for answer, want := range map[string]partnerapi.Cancellation{
		`{}`: {}, `{"reason_id":99,"effective_date":"soon"}`: {ReasonID: 99},
		`{"effective_date":"2099-12-31T02:00:00+02:00"}`: {EffectiveDate: cancelAt},
	} {
		r := newRemote(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) })
		c, _ := newClient(t, r, nil)
		got, err := c.CancelAccount(t.Context(), partnerapi.PriorityPlan, account, partnerapi.Cancellation{})
		if err != nil || got.ReasonID != want.ReasonID || !got.EffectiveDate.Equal(want.EffectiveDate) {
			t.Errorf("%s: got %+v, %v, want %+v", answer, got, err, want)
		}
	}
}

// What is left out stays out of the body: an empty text is not the same as none.
func TestOptionalFieldsAreLeftOut(t *testing.T) {
	var body []byte
	r := newRemote(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusInternalServerError)
	})
	c, _ := newClient(t, r, nil)
	ctx, class := t.Context(), partnerapi.PriorityPlan
	small := partnerapi.NewAccount{ContactEmail: "a@b.test", CountryCode: "us", StateCode: "MA", LoginName: "abcdef",
		ExternalID: "1", ExternalProvider: "a"}
	sent := func(name string, want ...string) {
		t.Helper()
		var fields map[string]any
		if err := json.Unmarshal(body, &fields); err != nil {
			t.Fatalf("%s: %v in %s", name, err, body)
		}
		for _, f := range want {
			if _, ok := fields[f]; !ok {
				t.Errorf("%s: no %s in %s", name, f, body)
			}
		}
		if len(fields) != len(want) {
			t.Errorf("%s: got %s, want only %v", name, body, want)
		}
	}
	_, _ = c.CreateAccount(ctx, class, small)
	sent("CreateAccount", "contact_email", "country_code", "state_code", "login_name", "external_id", "external_provider")
	_, _ = c.SetPlan(ctx, class, account, partnerapi.PlanChange{PlanType: "GOLD"})
	sent("SetPlan", "plan_type")
	_, _ = c.CancelAccount(ctx, class, account, partnerapi.Cancellation{})
	sent("CancelAccount")
	_, _ = c.Operate(ctx, class, account, partnerapi.Operation{Method: "GET", URL: "/contacts"})
	sent("Operate", "account_operation_url", "account_operation_method")
	_, _ = c.UnsubscribeContacts(ctx, class, account, partnerapi.Unsubscription{EmailAddresses: []string{"a@b.test"},
		UpdateSource: "System"})
	sent("UnsubscribeContacts", "email_addresses", "update_source")
}
