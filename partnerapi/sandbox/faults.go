package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FaultKind is a way to fail.
type FaultKind string

// The kinds of fault.
const (
	FaultSlow       FaultKind = "slow"             // answers only after Delay
	FaultActAndHang FaultKind = "act_then_timeout" // acts, then never answers until the client gives up
	FaultActAndCut  FaultKind = "act_then_cut"     // acts, then closes the connection without an answer
	FaultFailBefore FaultKind = "fail_before"      // 500, nothing was done
	FaultFailAfter  FaultKind = "fail_after"       // acts, then 500
	FaultThrottle   FaultKind = "throttle"         // 429 throttled
	FaultQuota      FaultKind = "quota"            // 429 quota_exceeded
	FaultDownAPI    FaultKind = "down_api"         // partner API: the connection is closed without an answer
	FaultDownToken  FaultKind = "down_token"       // token server: likewise

	FaultForgetTokens FaultKind = "forget_tokens" // all issued tokens are invalid from this call on: 401
	FaultAcceptLater  FaultKind = "accept_later"  // POST /partner/accounts: 503, the account is there after Delay

	FaultGateway FaultKind = "gateway" // a gateway answers in place of the API or the token server: Status and Body
)

var faultKinds = []FaultKind{
	FaultSlow, FaultActAndHang, FaultActAndCut, FaultFailBefore, FaultFailAfter, FaultThrottle, FaultQuota, FaultDownAPI,
	FaultDownToken,
	FaultForgetTokens, FaultAcceptLater, FaultGateway,
}

// Fault is a fault that is switched on. Without Path it concerns the partner API, or the token server
// in the case of FaultDownToken.
type Fault struct {
	Kind   FaultKind
	Path   string        // part of the path: "users/sso"; TokenPath makes the token server slow
	Method string        // empty: any
	Times  int           // for the next so many calls; 0: until it is cleared
	Share  float64       // hits this share of the calls, drawn by Options.Rand; 0: all of them. Times counts the hits
	Delay  time.Duration // of FaultSlow and FaultAcceptLater; default 3 s

	// Of FaultGateway. The call counts toward no limit, since it has not reached the API.
	Status     int    // default 502
	Body       string // default a page of HTML
	RetryAfter string // a header; "": none
}

// faultJSON is a Fault on the wire, where a delay is written as "2s".
type faultJSON struct {
	Kind   FaultKind `json:"kind"`
	Path   string    `json:"path,omitempty"`
	Method string    `json:"method,omitempty"`
	Times  int       `json:"times,omitempty"`
	Share  float64   `json:"share,omitempty"`
	Delay  string    `json:"delay,omitempty"`

	Status     int    `json:"status,omitempty"`
	Body       string `json:"body,omitempty"`
	RetryAfter string `json:"retry_after,omitempty"`
}

// MarshalJSON writes the delay as text.
func (f Fault) MarshalJSON() ([]byte, error) {
	w := faultJSON{Kind: f.Kind, Path: f.Path, Method: f.Method, Times: f.Times, Share: f.Share, Status: f.Status,
		Body: f.Body, RetryAfter: f.RetryAfter}
	if f.Delay != 0 {
		w.Delay = f.Delay.String()
	}
	return json.Marshal(w)
}

// check names what is wrong with a fault.
func (f Fault) check() error {
	switch {
	case !slices.Contains(faultKinds, f.Kind):
		return fmt.Errorf("fault kind %.40q: want one of %v", string(f.Kind), faultKinds)
	case f.Kind != FaultGateway && (f.Status != 0 || f.Body != "" || f.RetryAfter != ""):
		return fmt.Errorf("fault %s: status, body and retry_after are for %s", f.Kind, FaultGateway)
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("fault %s: status must be between 200 and 599", f.Kind)
	case f.Times < 0:
		return fmt.Errorf("fault %s: times must not be negative", f.Kind)
	case !(f.Share >= 0 && f.Share <= 1): // so written, it refuses NaN too
		return fmt.Errorf("fault %s: share must be between 0 and 1", f.Kind)
	case f.Delay < 0 || f.Delay > 10*time.Minute:
		return fmt.Errorf("fault %s: delay must be between 0 and 10m", f.Kind)
	}
	return nil
}

// ParseFault reads KIND[@PATH][=TIMES][~SHARE][:DELAY], such as slow@users/sso=2:5s, act_then_timeout=1, throttle~0.05
// or down_api.
func ParseFault(text string) (Fault, error) {
	rest, delay, hasDelay := strings.Cut(text, ":")
	rest, share, hasShare := strings.Cut(rest, "~")
	rest, times, hasTimes := strings.Cut(rest, "=")
	kind, path, _ := strings.Cut(rest, "@")
	f := Fault{Kind: FaultKind(kind), Path: path}
	if hasTimes {
		if _, err := fmt.Sscanf(times+"\n", "%d\n", &f.Times); err != nil {
			return Fault{}, fmt.Errorf("fault %.80q: %.20q is no number of times", text, times)
		}
	}
	if hasShare {
		v, err := strconv.ParseFloat(share, 64)
		if err != nil || v == 0 {
			return Fault{}, fmt.Errorf("fault %.80q: %.20q is no share above 0", text, share)
		}
		f.Share = v
	}
	if hasDelay {
		d, err := time.ParseDuration(delay)
		if err != nil {
			return Fault{}, fmt.Errorf("fault %.80q: %w", text, err)
		}
		f.Delay = d
	}
	return f, f.check()
}

// Fault switches a fault on, beside those that are on. It panics on a fault that check refuses, since a
// test that fails to fail proves nothing.
func (s *Sandbox) Fault(f Fault) {
	if err := s.addFault(f); err != nil {
		panic("sandbox: " + err.Error())
	}
}

func (s *Sandbox) addFault(f Fault) error {
	if err := f.check(); err != nil {
		return err
	}
	if (f.Kind == FaultSlow || f.Kind == FaultAcceptLater) && f.Delay == 0 {
		f.Delay = 3 * time.Second
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, f)
	return nil
}

// ClearFaults switches all faults off and the error shape back to the published one.
func (s *Sandbox) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.shape = nil, ShapePublished
}

// SetErrorShape makes all error bodies take this shape.
func (s *Sandbox) SetErrorShape(shape Shape) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shape = shape
}

// ForgetTokens makes every issued token invalid, as a restart of the token server can.
func (s *Sandbox) ForgetTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// SetOwnersOnly switches "SSO for all users" off or, with false, on.
func (s *Sandbox) SetOwnersOnly(only bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.o.OwnersOnly = only
}

// SetEmailRule changes where an e-mail address can be used once only.
func (s *Sandbox) SetEmailRule(rule EmailRule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.o.EmailRule = rule
}

// answer is what the gateway says.
func (f Fault) answer() reply {
	a := reply{status: f.Status, contentType: "application/json", body: []byte(f.Body), retryAfter: f.RetryAfter}
	if a.status == 0 {
		a.status = http.StatusBadGateway
	}
	if f.Body == "" {
		a.contentType = "text/html; charset=utf-8"
		a.body = fmt.Appendf(nil, "<html><head><title>%d</title></head><body><hr>gateway</body></html>", a.status)
	}
	if a.status >= 300 && a.status < 400 {
		a.location = "/portal"
	}
	a.outcome = fmt.Sprintf("fault: a gateway answered %d", a.status)
	return a
}

// faultsFor takes the faults that concern a request, using one of their times up.
func (s *Sandbox) faultsFor(r *http.Request, token bool) map[FaultKind]Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	hit := map[FaultKind]Fault{}
	for i := 0; i < len(s.faults); {
		f := &s.faults[i]
		concerned := token == (f.Kind == FaultDownToken)
		if f.Path != "" {
			concerned = strings.Contains(r.URL.Path, f.Path)
		}
		if f.Kind == FaultAcceptLater {
			concerned = r.Method == http.MethodPost && r.URL.Path == APIPath+accountsPath
		}
		_, twice := hit[f.Kind]
		if !concerned || twice || (f.Method != "" && f.Method != r.Method) || (f.Share > 0 && s.draw() >= f.Share) {
			i++
			continue
		}
		hit[f.Kind] = *f
		if f.Times == 1 {
			s.faults = slices.Delete(s.faults, i, i+1)
			continue
		}
		if f.Times > 1 {
			f.Times--
		}
		i++
	}
	return hit
}
