package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"time"
)

const maxControlBody = 16 << 10

// switchRequest is what POST /_sandbox/faults takes: a fault, or one of the other switches.
type switchRequest struct {
	faultJSON
	Shape  *Shape     `json:"error_shape,omitempty"`   // error bodies from now on
	Owner  *bool      `json:"owners_only,omitempty"`   // SSO for all users off or on
	Email  *EmailRule `json:"email_rule,omitempty"`    // off, everywhere, per-account
	Logout *bool      `json:"silent_logout,omitempty"` // LogoutRequests are not answered
	// how answers to LogoutRequests are spoilt: unsigned, unreadable, broken; "" for not
	LogoutFault *LogoutFault `json:"logout_fault,omitempty"`

	Token bool `json:"forget_tokens,omitempty"` // all issued tokens are invalid
	Clear bool `json:"clear,omitempty"`         // first switch all faults off

	Account *string `json:"account,omitempty"`        // whose billing status or tier changes
	Billing *string `json:"billing_status,omitempty"` // Canceled and Disabled are told by webhook
	Tier    *int    `json:"tier,omitempty"`           // a change is told by webhook
}

// switches is the state of all switches.
type switches struct {
	Faults     []Fault   `json:"faults"`
	Shape      Shape     `json:"error_shape"`
	OwnersOnly bool      `json:"owners_only"`
	EmailRule  EmailRule `json:"email_rule"`
	Logout     bool      `json:"silent_logout"`

	LogoutFault LogoutFault `json:"logout_fault"`
}

func (s *Sandbox) switches() switches {
	s.mu.Lock()
	defer s.mu.Unlock()
	return switches{append([]Fault{}, s.faults...), s.shape, s.o.OwnersOnly, s.o.EmailRule, s.silentLogout,
		s.logoutFault}
}

// serveRecords shows what the sandbox knows, as JSON.
func (s *Sandbox) serveRecords(w http.ResponseWriter, r *http.Request) {
	var v any
	switch r.PathValue("what") {
	case "calls":
		s.stream(w, r, func(start, n int) []any { return anys(s.callsFrom(start, n)) })
		return
	case "users":
		s.stream(w, r, func(start, n int) []any { return anys(s.usersFrom(start, n)) })
		return
	case "accounts":
		v = s.Accounts()
	case "operations":
		v = s.Operations()
	case "webhooks":
		v = s.Webhooks()
	case "summary":
		v = s.Summary()
	case "logins":
		v = s.Logins()
	case "logouts":
		v = s.Logouts()
	case "refusals":
		v = s.Refusals()
	case "faults":
		v = s.switches()
	default:
		http.NotFound(w, r)
		return
	}
	writeIndented(w, http.StatusOK, v)
}

// serveFaultSwitch switches faults. It takes JSON only: a browser sends none to another
// site without asking first, so no foreign page can switch anything.
func (s *Sandbox) serveFaultSwitch(w http.ResponseWriter, r *http.Request) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		writeIndented(w, http.StatusUnsupportedMediaType, map[string]string{"error": "want Content-Type application/json"})
		return
	}
	var in switchRequest
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxControlBody))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		writeIndented(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	if err := s.apply(in); err != nil {
		writeIndented(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	writeIndented(w, http.StatusOK, s.switches())
}

// apply checks a request before it changes anything; the two of an account check themselves, and come first.
func (s *Sandbox) apply(in switchRequest) error {
	f := Fault{Kind: in.Kind, Path: in.Path, Method: in.Method, Times: in.Times, Share: in.Share, Status: in.Status,
		Body: in.Body, RetryAfter: in.RetryAfter}
	if in.Delay != "" {
		d, err := time.ParseDuration(in.Delay)
		if err != nil {
			return err
		}
		f.Delay = d
	}
	if in.Kind != "" {
		if err := f.check(); err != nil {
			return err
		}
	}
	if in.Shape != nil && !shapes[*in.Shape] {
		return fmt.Errorf("error_shape %.40q: want array, object, empty, html, garbage or nothing", string(*in.Shape))
	}
	if in.Email != nil && !slices.Contains([]EmailRule{EmailOff, EmailEverywhere, EmailPerAccount}, *in.Email) {
		return fmt.Errorf("email_rule %.40q: want off, everywhere or per-account", string(*in.Email))
	}
	if (in.Account == nil) != (in.Billing == nil && in.Tier == nil) {
		return errors.New("want account together with billing_status or tier")
	}
	if in.Tier != nil {
		if err := s.SetTier(*in.Account, *in.Tier); err != nil {
			return err
		}
	}
	if in.Billing != nil {
		if err := s.SetBillingStatus(*in.Account, *in.Billing); err != nil {
			return err
		}
	}
	if in.Clear {
		s.ClearFaults()
	}
	if in.Shape != nil {
		s.SetErrorShape(*in.Shape)
	}
	if in.Owner != nil {
		s.SetOwnersOnly(*in.Owner)
	}
	if in.Email != nil {
		s.SetEmailRule(*in.Email)
	}
	if in.Logout != nil {
		s.SetSilentLogout(*in.Logout)
	}
	if in.LogoutFault != nil {
		s.SetLogoutFault(*in.LogoutFault)
	}
	if in.Token {
		s.ForgetTokens()
	}
	if in.Kind != "" {
		return s.addFault(f)
	}
	return nil
}

func (s *Sandbox) serveFaultClear(w http.ResponseWriter, _ *http.Request) {
	s.ClearFaults()
	writeIndented(w, http.StatusOK, s.switches())
}

// writeIndented writes JSON for people to read.
func writeIndented(w http.ResponseWriter, status int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	recordHeaders(w)
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // nobody is left to be told
}

// recordHeaders are those of all JSON that is shown to people.
func recordHeaders(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
}
