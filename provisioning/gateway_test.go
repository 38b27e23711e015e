package provisioning_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ssobridge/partnerapi/sandbox"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// REAL-55: what a gateway answers is no verdict on a person: it is tried again, and the breaker counts it.
func TestGatewayIsNoVerdict(t *testing.T) {
	for _, status := range []int{302, 307, 400, 403, 404, 405, 407, 408, 411, 413, 414, 415, 421, 425, 426, 428, 431, 451,
		502, 503, 504, 520} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			w := newWorld(t, settings{service: provisioning.Options{Workers: 1}})
			w.mapGroup(group("sales"), harbour)
			w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultGateway, Path: usersPath, Status: status})
			for i := range 6 {
				w.want(fmt.Sprintf("p%d", i), store.SignInPriority)
			}
			w.run()
			w.until("the breaker is open", func() bool { return w.breaker().Cause == "outage" })
			w.until("the person is told to wait for Constant Contact", func() bool {
				d := w.decide(person("p0", group("sales")), justLook)
				return d.Outcome == provisioning.Wait && d.Progress.Cause == provisioning.CauseUnreachable
			})
			// What was surely not passed on leaves no doubt behind.
			state, doubt := store.Wanted, false
			switch status {
			case 408, 502, 503, 504, 520:
				state, doubt = store.Unknown, true
			}
			if row := w.row("p0", harbour); row.State != state || row.MaybeSent != doubt ||
				!strings.Contains(row.ErrorText, fmt.Sprint(status)) {
				t.Errorf("row: got %s, maybe sent %t, %q; want %s, %t, with the status", row.State, row.MaybeSent, row.ErrorText,
					state, doubt)
			}
			w.sandbox.ClearFaults()
			w.advance(6 * time.Minute)
			w.until("all are there", func() bool { return w.count(store.Active) == 6 })
		})
	}
}

// REAL-55: a 409 after an answer that something before Constant Contact gave is a conflict, since nothing of ours can
// have created the user; after an answer that leaves it open, or after both, it is taken as our own.
func TestConflictBehindAGateway(t *testing.T) {
	const own = `[{"error_key":"user.conflict","error_message":"exists"}]`
	for _, tt := range []struct {
		name  string
		first []int
		want  store.State
	}{
		{"a portal", []int{302}, store.Conflict},
		{"a proxy that wants a login", []int{407}, store.Conflict},
		{"a firewall", []int{403}, store.Conflict},
		{"a limit of a gateway", []int{413, 431}, store.Conflict},
		{"a gateway without its server", []int{502}, store.Assumed},
		{"in doubt, then refused by a firewall", []int{504, 403}, store.Assumed},
		{"refused by a firewall, then in doubt", []int{403, 504}, store.Assumed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, settings{})
			w.mapGroup(group("sales"), harbour)
			jane := person("jane", group("sales"))
			w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultGateway, Path: usersPath, Status: tt.first[0], Times: 1})
			w.run()
			w.decide(jane, justLook)
			for n, status := range append(tt.first[1:], 409) {
				w.until(fmt.Sprint("attempt ", n+1, " was answered"), func() bool {
					row := w.row("jane", harbour)
					return row.Attempts == n+1 && row.State != store.Sending
				})
				fault := sandbox.Fault{Kind: sandbox.FaultGateway, Path: usersPath, Status: status, Times: 1}
				if status == 409 {
					fault.Body = own
				}
				w.sandbox.Fault(fault)
				w.advance(2 * time.Minute)
				w.decide(jane, justLook)
			}
			w.until("it has an outcome", func() bool { return w.row("jane", harbour).State == tt.want })
			d := w.decide(jane)
			if tt.want == store.Conflict {
				expect(t, d, provisioning.Denied, provisioning.HeldConflict)
				// What reads answers could have refused one after the user was created: an administrator is told.
				if !strings.Contains(d.Detail, "may have refused the answer alone") {
					t.Errorf("the conflict says %q, want that the user can be ours", d.Detail)
				}
			} else {
				expect(t, d, provisioning.Granted, "")
			}
		})
	}
}

// REAL-57: what Constant Contact says in its own words stands wherever the outcome does, cut and without control
// characters; and in no event, which is kept when a person is forgotten.
func TestOwnWordsOfConstantContact(t *testing.T) {
	long := strings.Repeat("very ", 200)
	for _, tt := range []struct {
		name, body string
		status     int
		state      store.State
		reason     provisioning.Reason
		key, says  string
	}{
		{"a framework's refusal", `{"timestamp":"x","status":400,"error":"Bad Request","message":"first_name is\u0007 odd"}`, 400,
			store.Refused, provisioning.RefusedByPartner, "Bad Request", "Constant Contact said: first_name is  odd"},
		{"a conflict with an unknown key", `[{"error_key":"users.sso.mail","error_message":"the mail is used by 4711","x":1}]`,
			409, store.Conflict, provisioning.HeldConflict, "users.sso.mail", "Constant Contact said: the mail is used by 4711"},
		{"an unknown account", `{"error_key":"gone","error_message":"it has moved"}`, 404, store.Refused,
			provisioning.RefusedByPartner, "gone", "Constant Contact said: it has moved"},
		{"forbidden", `[{"error_key":"no","error_message":"SSO is off"}]`, 403, store.Refused, provisioning.RefusedByPartner,
			"no", "Constant Contact said: SSO is off"},
		{"long", `[{"error_key":"long","error_message":"` + long + `"}]`, 400, store.Refused, provisioning.RefusedByPartner,
			"long", "Constant Contact said: very very"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, settings{})
			w.mapGroup(group("sales"), harbour)
			w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultGateway, Path: usersPath, Status: tt.status, Body: tt.body})
			w.run()
			d := w.decide(person("jane", group("sales")))
			expect(t, d, provisioning.Denied, tt.reason)
			row := w.row("jane", harbour)
			if row.State != tt.state || row.ErrorKey != tt.key || !strings.Contains(row.ErrorText, tt.says) ||
				d.Detail != row.ErrorText || len(row.ErrorText) > 1000 || strings.ContainsAny(row.ErrorText, "\a\n\r\x1b") {
				t.Errorf("got %s, key %q, %q, detail %q", row.State, row.ErrorKey, row.ErrorText, d.Detail)
			}
			for _, e := range w.events("create-user") {
				if strings.Contains(string(e.Detail), "Constant Contact said") || strings.Contains(string(e.Detail), "4711") {
					t.Errorf("event: %s", e.Detail)
				}
			}
		})
	}
}

// REAL-61: a 429 that goes on, of whomever, makes a pause that grows for the row, also while its person waits.
func TestThrottledPauseGrows(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), harbour)
	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultGateway, Path: usersPath, Status: 429})
	w.run()
	calls := func() int { return len(w.posts()) }
	jane := person("jane", group("sales"))
	w.decide(jane, justLook)
	for n := 1; n <= 10; n++ {
		w.until(fmt.Sprint("attempt ", n, " was made"), func() bool {
			row := w.row("jane", harbour)
			return row.Attempts == n && row.State == store.Wanted
		})
		row := w.row("jane", harbour)
		pause := row.NextAttempt.Sub(row.UpdatedAt).Round(500 * time.Millisecond).Truncate(time.Second)
		if want := []time.Duration{1, 1, 1, 2, 4, 8, 16, 32, 60, 60}[n-1] * time.Second; pause != want {
			t.Errorf("pause after attempt %d: got %v, want %v", n, pause, want)
		}
		// The person asks all the time, and gets no call before it is over.
		w.advance(pause - 500*time.Millisecond)
		if d := w.decide(jane, justLook); d.Outcome != provisioning.Wait || d.Progress.Cause != provisioning.CauseThrottled {
			t.Errorf("meanwhile: got %s %+v", d.Outcome, d.Progress)
		}
		if got := calls(); got != n {
			t.Fatalf("before the pause was over: %d calls, want %d", got, n)
		}
		w.advance(time.Second)
	}
}

// REAL-61: what the server asks to wait is kept.
func TestRetryAfterIsKept(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), harbour)
	w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultGateway, Path: usersPath, Status: 429, RetryAfter: "90", Times: 1})
	w.run()
	jane := person("jane", group("sales"))
	w.decide(jane, justLook)
	w.until("it is throttled", func() bool { return w.row("jane", harbour).Cause == provisioning.CauseThrottled })
	row := w.row("jane", harbour)
	if pause := row.NextAttempt.Sub(row.UpdatedAt); pause < 89*time.Second || !row.Earliest.Equal(row.NextAttempt) {
		t.Errorf("pause %v, for people until %s; want 90 s and the same", pause, row.Earliest)
	}
	w.advance(80 * time.Second)
	w.decide(jane, justLook)
	if got := len(w.posts()); got != 1 {
		t.Errorf("%d calls before it is over, want 1", got)
	}
	w.advance(11 * time.Second)
	expect(t, w.decide(jane), provisioning.Granted, "")
}

// REAL-61: a Retry-After that makes no sense keeps a person out no longer than its bound; and no longer than until
// Constant Contact answers others, when the person is here.
func TestLongRetryAfter(t *testing.T) {
	w := newWorld(t, settings{})
	w.mapGroup(group("sales"), harbour)
	throttle := func() {
		w.sandbox.Fault(sandbox.Fault{Kind: sandbox.FaultGateway, Path: usersPath, Status: 429, RetryAfter: "999999999",
			Times: 1})
	}
	throttle()
	w.run()
	jane := person("jane", group("sales"))
	w.decide(jane, justLook)
	w.until("it is throttled", func() bool { return w.row("jane", harbour).Cause == provisioning.CauseThrottled })
	row := w.row("jane", harbour)
	if pause := row.NextAttempt.Sub(row.UpdatedAt); pause < 9*time.Minute || pause > 13*time.Minute {
		t.Errorf("pause %v, want about ten minutes", pause)
	}
	w.advance(5 * time.Minute)
	w.decide(jane, justLook)
	if got := len(w.posts()); got != 1 {
		t.Errorf("%d calls while nobody was answered, want 1", got)
	}
	expect(t, w.decide(person("john", group("sales"))), provisioning.Granted, "")
	w.advance(2 * time.Second) // what is known of Constant Contact may be a second old
	expect(t, w.decide(jane), provisioning.Granted, "")

	// Nobody else was answered: it is over with the bound.
	throttle()
	june := person("june", group("sales"))
	w.decide(june, justLook)
	w.until("it is throttled", func() bool { return w.row("june", harbour).Cause == provisioning.CauseThrottled })
	w.advance(13 * time.Minute)
	expect(t, w.decide(june), provisioning.Granted, "")
}
