package sandbox

import (
	"crypto/subtle"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Limits of a body. A call on behalf of a client account has another one within it.
const (
	maxAPIBody       = 64 << 10
	maxOperationBody = 1 << 20
)

// serveAPI is the partner API. The order is that of a gateway in front of a service: key, limits,
// token, then the call. Half of what the network takes is before, half after it.
func (s *Sandbox) serveAPI(w http.ResponseWriter, r *http.Request) {
	limit := int64(maxAPIBody)
	if strings.HasSuffix(r.URL.Path, operationsPath) {
		limit = maxOperationBody
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	c := s.record(r, recordedBody(r.URL.Path, body))
	way := time.Duration(0)
	if s.o.Jitter > 0 {
		way = time.Duration(s.draw() * float64(s.o.Jitter) / 2)
		s.pause(r.Context(), way)
	}
	var a reply
	if err != nil {
		a = s.refuse(http.StatusRequestEntityTooLarge, apiError{"request_too_large", "the body is too large"})
	} else {
		a = s.apiReply(r, body, c)
	}
	s.settle(c, a)
	if way > 0 {
		s.pause(r.Context(), way)
	}
	a.write(w)
}

// recordedBody is what the ledger may keep of a body: no password.
func recordedBody(path string, body []byte) string {
	if path != APIPath+accountsPath || len(body) == 0 {
		return strings.ToValidUTF8(string(body), "?")
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return "?" // whatever it is, a password may be in it
	}
	for name := range fields {
		if strings.EqualFold(name, "password") {
			fields[name] = json.RawMessage(`"***"`)
		}
	}
	shown, err := json.Marshal(fields)
	if err != nil {
		return "?"
	}
	return string(shown)
}

// draw is a random number from 0 up to 1.
func (s *Sandbox) draw() float64 {
	s.drawing.Lock()
	defer s.drawing.Unlock()
	return s.o.Rand()
}

func (s *Sandbox) apiReply(r *http.Request, body []byte, c *Call) reply {
	faults := s.faultsFor(r, false)
	on := func(k FaultKind) bool { _, ok := faults[k]; return ok }

	if on(FaultDownAPI) {
		return reply{cut: true, outcome: "fault: API down"}
	}
	if on(FaultSlow) {
		s.pause(r.Context(), faults[FaultSlow].Delay)
	}
	if on(FaultForgetTokens) {
		s.ForgetTokens()
	}
	if on(FaultGateway) {
		return faults[FaultGateway].answer()
	}
	key := r.Header.Get("x-api-key")
	if subtle.ConstantTimeCompare([]byte(key), []byte(s.o.APIKey)) != 1 {
		return s.refuseAuth(http.StatusForbidden, "unauthorized_api_key", "x-api-key is missing or unknown")
	}
	s.mu.Lock()
	now := s.o.Now() // under the lock, so that the limiter gets the times in order
	s.foreign.until(now, &s.api)
	broken := s.api.take(now)
	s.tally.count(now)
	c.Who, c.Counted, c.CountedAt = "partner", true, now
	s.ripen()
	s.mu.Unlock()
	switch {
	case on(FaultQuota):
		broken = quotaExceeded
	case on(FaultThrottle):
		broken = throttled
	}
	switch broken {
	case quotaExceeded:
		return s.refuse(http.StatusTooManyRequests, apiError{quotaExceeded, "the daily quota of API calls is used up"})
	case throttled:
		return s.refuse(http.StatusTooManyRequests, apiError{throttled, "too many API calls within a second"})
	}
	if !s.tokenGood(r, now) {
		return s.refuseAuth(http.StatusUnauthorized, "unauthorized", "the access token is missing, unknown or expired")
	}
	if on(FaultFailBefore) {
		return s.refuse(http.StatusInternalServerError, apiError{"internal_error", "fault: failed before acting"})
	}

	a := s.call(r, body, faults)
	switch {
	case on(FaultActAndHang):
		s.pause(r.Context(), s.o.MaxHang)
		return reply{cut: true, outcome: "fault: acted (" + a.outcome + "), never answered"}
	case on(FaultActAndCut):
		return reply{cut: true, outcome: "fault: acted (" + a.outcome + "), then cut the connection"}
	case on(FaultFailAfter):
		outcome := "fault: acted (" + a.outcome + "), then failed"
		a = s.refuse(http.StatusInternalServerError, apiError{"internal_error", "fault: failed after acting"})
		a.outcome = outcome
	}
	return a
}

const (
	accountsPath      = "/partner/accounts"
	subscriptionsPath = "/partner/webhooks/subscriptions"
	operationsPath    = "/account_operations/sync"
)

// apiCall is a call that has passed the gateway.
type apiCall struct {
	account string // of the path, where it has one
	topic   string // likewise
	query   url.Values
	body    []byte
	faults  map[FaultKind]Fault
}

// route is what a path does by each method.
type route map[string]func(apiCall) reply

// call makes the call itself.
func (s *Sandbox) call(r *http.Request, body []byte, faults map[FaultKind]Fault) reply {
	c := apiCall{query: r.URL.Query(), body: body, faults: faults}
	known := s.routeOf(strings.TrimPrefix(r.URL.Path, APIPath), &c)
	if known == nil {
		return s.refuse(http.StatusNotFound, apiError{"not_found", "there is no such path"})
	}
	serve := known[r.Method]
	if serve == nil {
		return s.refuse(http.StatusMethodNotAllowed, apiError{"method_not_allowed", "this path has no " + method(r.Method)})
	}
	if len(body) > 0 {
		kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil || kind != "application/json" {
			return s.refuse(http.StatusUnsupportedMediaType, apiError{"unsupported_media_type",
				"want Content-Type application/json"})
		}
		if r.Method == http.MethodGet || r.Method == http.MethodDelete {
			return s.refuse(http.StatusBadRequest, apiError{"request.invalid_body", "a " + r.Method + " has no body"})
		}
	}
	return serve(c)
}

// method is a request's method, short enough to be repeated.
func method(name string) string { return name[:min(len(name), 20)] }

// routeOf finds the route of a path below the version and puts what the path names into c; nil when there is none.
func (s *Sandbox) routeOf(path string, c *apiCall) route {
	const get, post, put, remove = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	switch path {
	case accountsPath:
		return route{get: s.listAccounts, post: s.createAccount}
	case subscriptionsPath:
		return route{get: s.listSubscriptions}
	}
	if rest, ok := strings.CutPrefix(path, subscriptionsPath+"/"); ok {
		topic, what, deeper := strings.Cut(rest, "/")
		c.topic = topic
		switch {
		case topic != "" && !deeper:
			return route{get: s.readSubscription, put: s.subscribe, remove: s.unsubscribe}
		case topic != "" && what == "tests":
			return route{post: s.testSubscription}
		}
		return nil
	}
	rest, _ := strings.CutPrefix(path, accountsPath+"/")
	id, what, _ := strings.Cut(rest, "/")
	if id == "" || rest == path {
		return nil
	}
	c.account = id
	switch "/" + what {
	case "/plan":
		return route{get: s.readPlan, put: s.changePlan}
	case "/status/cancel":
		return route{put: s.cancel}
	case operationsPath:
		return route{post: s.operate}
	case "/users/sso":
		return route{post: s.createUser}
	case "/contacts/unsubscribe":
		return route{post: s.unsubscribeContacts}
	}
	return nil
}
