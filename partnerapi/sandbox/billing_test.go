package sandbox_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"ssobridge/partnerapi/sandbox"
)

const (
	harbour = "/partner/accounts/a07e1lxqqqo0" // Open
	juniper = "/partner/accounts/a07e1lxqqqp1" // Trial
	foreign = "/partner/accounts/a07e1zzzzzx8" // another partner's
	nowhere = "/partner/accounts/nowhere"
)

// withForeign adds accounts of another partner to the sample.
func withForeign(o *sandbox.Options) {
	o.Accounts = append(o.Accounts, sandbox.OtherPartnersAccounts()...)
}

// plan is the answer to a read or a change of the plan.
type plan struct {
	Type   string `json:"plan_type"`
	Status string `json:"billing_status"`
	Day    int    `json:"billing_day_of_month"`
	Tiers  []struct {
		Usage float64 `json:"current_usage"`
		Tier  int     `json:"tier"`
		Min   float64 `json:"tier_min"`
		Max   float64 `json:"tier_max"`
	} `json:"current_tiers"`
}

func (c *caller) plan(path string) plan {
	c.t.Helper()
	status, body := c.do("GET", path+"/plan", "")
	var p plan
	if err := json.Unmarshal([]byte(body), &p); status != 200 || err != nil {
		c.t.Fatalf("plan: %d, %s", status, body)
	}
	return p
}

func TestPlan(t *testing.T) {
	s := start(t, withForeign)
	c := newCaller(t, s)
	if got := c.plan(harbour); got.Type != "BRONZE" || got.Status != "Open" || got.Day != 1 || len(got.Tiers) != 1 ||
		got.Tiers[0].Tier != 2 || got.Tiers[0].Usage != 1840 || got.Tiers[0].Min != 501 || got.Tiers[0].Max != 2500 {
		t.Errorf("open account: got %+v", got)
	}
	if got := c.plan(juniper); got.Type != "TRIAL" || got.Status != "Trial" || got.Day != 0 || got.Tiers[0].Tier != 1 ||
		got.Tiers[0].Min != 0 {
		t.Errorf("trial: got %+v", got)
	}
	for path, want := range map[string]int{foreign: 400, nowhere: 404} {
		if status, body := c.do("GET", path+"/plan", ""); status != want || !isErrors(body) {
			t.Errorf("GET %s/plan: got %d, %s; want %d", path, status, body, want)
		}
	}
	tests := []struct {
		name, path, body string
		want             int
		plan             plan // of the account afterwards
	}{
		{"back to trial", harbour, `{"plan_type":"TRIAL"}`, 400, plan{Type: "BRONZE", Day: 1}},
		{"a trial in a trial", juniper, `{"plan_type":"TRIAL"}`, 400, plan{Type: "TRIAL"}},
		{"unknown", harbour, `{"plan_type":"PLATINUM"}`, 400, plan{Type: "BRONZE", Day: 1}},
		{"nothing", harbour, `{}`, 400, plan{Type: "BRONZE", Day: 1}},
		{"empty", harbour, ``, 400, plan{Type: "BRONZE", Day: 1}},
		{"day 0", juniper, `{"plan_type":"GOLD","billing_day_of_month":0}`, 400, plan{Type: "TRIAL"}},
		{"day 32", juniper, `{"plan_type":"GOLD","billing_day_of_month":32}`, 400, plan{Type: "TRIAL"}},
		{"half a day", juniper, `{"plan_type":"GOLD","billing_day_of_month":1.5}`, 400, plan{Type: "TRIAL"}},
		{"group 0", juniper, `{"plan_type":"GOLD","plan_group_id":0}`, 400, plan{Type: "TRIAL"}},
		{"unknown field", juniper, `{"plan_type":"GOLD","tier":1}`, 400, plan{Type: "TRIAL"}},
		{"the day does not count outside a trial", harbour, `{"plan_type":"GOLD","billing_day_of_month":15}`, 200,
			plan{Type: "GOLD", Day: 1}},
		{"again", harbour, `{"plan_type":"GOLD"}`, 200, plan{Type: "GOLD", Day: 1}},
		{"out of the trial", juniper, `{"plan_type":"SILVER","plan_group_id":3,"billing_day_of_month":15}`, 200,
			plan{Type: "SILVER", Day: 15}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, body := c.do("PUT", tt.path+"/plan", tt.body)
			if status != tt.want || (status != 200 && !isErrors(body)) {
				t.Fatalf("got %d, %s; want %d", status, body, tt.want)
			}
			got := c.plan(tt.path)
			if got.Type != tt.plan.Type || got.Day != tt.plan.Day || (status == 200 && got.Status != "Open") {
				t.Errorf("afterwards %+v, want %+v", got, tt.plan)
			}
		})
	}
	for path, want := range map[string]int{foreign: 400, nowhere: 404} {
		if status, body := c.do("PUT", path+"/plan", `{"plan_type":"GOLD"}`); status != want || !isErrors(body) {
			t.Errorf("PUT %s/plan: got %d, %s; want %d", path, status, body, want)
		}
	}
}

func TestCancel(t *testing.T) {
	begin := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	tests := []struct {
		name, path, body string
		want             int
		date             string // of the answer
	}{
		{"at once", harbour, ``, 200, "2026-11-24T10:00:00Z"},
		{"nothing said", harbour, `{}`, 200, "2026-11-24T10:00:00Z"},
		{"reason", harbour, `{"reason_id":27}`, 200, "2026-11-24T10:00:00Z"},
		{"later", harbour, `{"effective_date":"2026-12-01T01:00:00+01:00","reason_id":30}`, 200, "2026-12-01T00:00:00Z"},
		{"clocks differ", harbour, `{"effective_date":"2026-11-24T09:59:30Z"}`, 200, "2026-11-24T09:59:30Z"},
		{"passed", harbour, `{"effective_date":"2026-11-24T09:58:00Z"}`, 400, ""},
		{"a date alone", harbour, `{"effective_date":"2026-12-01"}`, 400, ""},
		{"no zone", harbour, `{"effective_date":"2026-12-01T00:00:00"}`, 400, ""},
		{"empty date", harbour, `{"effective_date":""}`, 400, ""},
		{"unknown reason", harbour, `{"reason_id":4}`, 400, ""},
		{"reason 0", harbour, `{"reason_id":0}`, 400, ""},
		{"reason as text", harbour, `{"reason_id":"1"}`, 400, ""},
		{"null", harbour, `{"reason_id":null}`, 400, ""},
		{"unknown field", harbour, `{"reason":1}`, 400, ""},
		{"no object", harbour, `"now"`, 400, ""},
		{"unknown account", nowhere, ``, 404, ""},
		{"another partner's", foreign, ``, 400, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			clock := &clock{now: begin}
			s := start(t, func(o *sandbox.Options) { withForeign(o); o.Now = clock.Now; o.TokenLife = 1000 * time.Hour })
			c := newCaller(t, s)
			status, body := c.do("PUT", tt.path+"/status/cancel", tt.body)
			if status != tt.want || (status != 200 && !isErrors(body)) {
				t.Fatalf("got %d, %s; want %d", status, body, tt.want)
			}
			if status != 200 {
				if got := c.plan(harbour).Status; got != "Open" {
					t.Errorf("afterwards it is %s", got)
				}
				return
			}
			var answer struct {
				Date string `json:"effective_date"`
			}
			if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Date != tt.date {
				t.Errorf("got %s, want the date %s", body, tt.date)
			}
			end, err := time.Parse(time.RFC3339, tt.date)
			if err != nil {
				t.Fatal(err)
			}
			if end.After(begin) {
				clock.Set(end.Add(-time.Second))
				if got := c.plan(harbour).Status; got != "Open" {
					t.Errorf("before the date it is %s", got)
				}
				clock.Set(end)
			}
			if got := c.plan(harbour).Status; got != "Canceled" {
				t.Errorf("from the date on it is %s, want Canceled", got)
			}
			if status, body := c.do("PUT", tt.path+"/status/cancel", tt.body); status != 400 || !isErrors(body) {
				t.Errorf("cancelled again: got %d, %s; want 400", status, body)
			}
		})
	}
}

// A date that lies ahead can be moved.
func TestCancelMoved(t *testing.T) {
	clock := &clock{now: time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)}
	s := start(t, func(o *sandbox.Options) { o.Now = clock.Now })
	c := newCaller(t, s)
	for _, date := range []string{"2026-11-24T10:20:00Z", "2026-11-24T10:40:00Z"} {
		if status, body := c.do("PUT", harbour+"/status/cancel", `{"effective_date":"`+date+`"}`); status != 200 {
			t.Fatalf("%s: %d, %s", date, status, body)
		}
	}
	clock.Set(clock.Now().Add(30 * time.Minute))
	if got := c.plan(harbour).Status; got != "Open" {
		t.Errorf("at the first date it is %s", got)
	}
	clock.Set(clock.Now().Add(10 * time.Minute))
	if got := c.plan(harbour).Status; got != "Canceled" {
		t.Errorf("at the second date it is %s", got)
	}
}

// With an ended account nothing can be done, and nobody signs in to it; another account is as before.
func TestEndedAccounts(t *testing.T) {
	for _, status := range []string{"Canceled", "Disabled"} {
		t.Run(status, func(t *testing.T) {
			s := start(t, func(o *sandbox.Options) { o.Users = sandbox.SampleUsers(sandbox.DefaultExternalProvider) })
			p, c := trusted(t, s), newCaller(t, s)
			if got, body := c.do("POST", creations, user()); got != 201 {
				t.Fatalf("%d, %s", got, body)
			}
			if err := s.SetBillingStatus("a07e1lxqqqo0", status); err != nil {
				t.Fatal(err)
			}
			for path, body := range map[string]string{
				"/users/sso":            user("login_name", "fresh", "external_id", "fresh"),
				"/contacts/unsubscribe": unsubscribing("a@example.test"), operations: operating("GET", "/contacts"),
			} {
				if got, answer := c.do("POST", harbour+path, body); got != 400 || !isErrors(answer) {
					t.Errorf("POST %s: got %d, %s; want 400", path, got, answer)
				}
			}
			for path, body := range map[string]string{"/plan": `{"plan_type":"GOLD"}`, "/status/cancel": ""} {
				if got, answer := c.do("PUT", harbour+path, body); got != 400 || !isErrors(answer) {
					t.Errorf("PUT %s: got %d, %s; want 400", path, got, answer)
				}
			}
			if got := c.plan(harbour).Status; got != status {
				t.Errorf("plan tells %s, want %s", got, status)
			}
			for nameID, want := range map[string]int{"zoe-1": 403, "owner-harbour": 403, "owner-northside": 200} {
				resp, page := deliver(t, browser(t), s.ACS(), p.response(s, nameID, time.Now()).seal(t), nil)
				if resp.StatusCode != want {
					t.Errorf("%s: got %d, want %d", nameID, resp.StatusCode, want)
				}
				if want == 403 && element(t, page, "reason") != "account_ended" {
					t.Errorf("%s: got reason %s", nameID, element(t, page, "reason"))
				}
			}
			if err := s.SetBillingStatus("a07e1lxqqqo0", "Open"); err != nil {
				t.Fatal(err)
			}
			if resp, _ := deliver(t, browser(t), s.ACS(), p.response(s, "zoe-1", time.Now()).seal(t),
				nil); resp.StatusCode != 200 {
				t.Errorf("open again: got %d", resp.StatusCode)
			}
		})
	}
}

func TestAccountSwitches(t *testing.T) {
	s := start(t, nil)
	c := newCaller(t, s)
	post := func(body string) (int, string) {
		resp, answer := exchange(t, http.DefaultClient, request(t, "POST", s.URL()+"/_sandbox/faults", body, "Content-Type",
			"application/json"))
		return resp.StatusCode, answer
	}
	for body, want := range map[string]int{
		`{"account":"a07e1lxqqqo0","billing_status":"Trial End"}`: 200,
		`{"account":"a07e1lxqqqo0","tier":4}`:                     200,
		`{"account":"a07e1lxqqqo0","billing_status":"Broke"}`:     400,
		`{"account":"a07e1lxqqqo0","tier":0}`:                     400,
		`{"account":"a07e1lxqqqo0","tier":99}`:                    400,
		`{"account":"a07e1lxqqqo0"}`:                              400,
		`{"account":"nowhere","tier":2}`:                          400,
		`{"account":"nowhere","billing_status":"Open"}`:           400,
		`{"tier":2}`:                       400,
		`{"billing_status":"Open"}`:        400,
		`{"kind":"throttle","share":1.5}`:  400,
		`{"kind":"throttle","share":-0.5}`: 400,
	} {
		if got, answer := post(body); got != want {
			t.Errorf("POST %s: got %d, %s; want %d", body, got, answer, want)
		}
	}
	if got := c.plan(harbour); got.Status != "Trial End" || got.Tiers[0].Tier != 4 {
		t.Errorf("got %+v", got)
	}
	for _, o := range []sandbox.Account{{ID: "a", PlanType: "PLATINUM"}, {ID: "a", BillingDay: 32},
		{ID: "a", SubscriberCount: -1}} {
		if _, err := sandbox.New(sandbox.Options{PublicURL: "http://127.0.0.1:1",
			Accounts: []sandbox.Account{o}}); err == nil {
			t.Errorf("account %+v was accepted", o)
		}
	}
	_, shown := exchange(t, http.DefaultClient, request(t, "GET", s.URL()+"/_sandbox/accounts", ""))
	if !strings.Contains(shown, `"Trial End"`) {
		t.Errorf("accounts: got %s", shown)
	}
}
