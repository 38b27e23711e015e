package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ssobridge/partnerapi/sandbox"
)

// try makes a creation and gives the status, 0 without an answer.
func try(t testing.TB, c *caller, body string, patience time.Duration) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r := request(t, "POST", c.s.BaseURL()+creations, body, "Authorization", "Bearer "+c.token, "x-api-key",
		sandbox.DefaultAPIKey, "Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r.WithContext(ctx))
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

func TestFaults(t *testing.T) {
	tests := []struct {
		kind          sandbox.FaultKind
		want, created int
		again         int // the same call after the fault
	}{
		{sandbox.FaultActAndHang, 0, 1, 409},
		{sandbox.FaultActAndCut, 0, 1, 409},
		{sandbox.FaultFailBefore, 500, 0, 201},
		{sandbox.FaultFailAfter, 500, 1, 409},
		{sandbox.FaultThrottle, 429, 0, 201},
		{sandbox.FaultQuota, 429, 0, 201},
		{sandbox.FaultDownAPI, 0, 0, 201},
		{sandbox.FaultForgetTokens, 401, 0, 401},
	}
	for _, tt := range tests {
		t.Run(string(tt.kind), func(t *testing.T) {
			s := start(t, nil)
			c := newCaller(t, s)
			s.Fault(sandbox.Fault{Kind: tt.kind, Times: 1})
			if got := try(t, c, user(), time.Second); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
			if got := len(s.Created()); got != tt.created {
				t.Errorf("got %d users, want %d", got, tt.created)
			}
			if got := try(t, c, user(), 10*time.Second); got != tt.again {
				t.Errorf("again: got %d, want %d", got, tt.again)
			}
			if calls := s.Calls(); len(calls) != 3 || calls[2].Status != tt.again || calls[2].Body != user() {
				t.Errorf("got ledger %+v", calls)
			}
		})
	}
}

func TestFaultsChooseTheirCalls(t *testing.T) {
	s := start(t, nil)
	c := newCaller(t, s)
	list := func() int { status, _ := c.do("GET", "/partner/accounts", ""); return status }

	s.Fault(sandbox.Fault{Kind: sandbox.FaultFailBefore, Path: "users/sso", Times: 2})
	s.Fault(sandbox.Fault{Kind: sandbox.FaultThrottle, Method: "GET", Times: 1})
	if list() != 429 || list() != 200 {
		t.Error("the fault for GET did not hit one GET")
	}
	for _, want := range []int{500, 500, 201} {
		if got := try(t, c, user(), 10*time.Second); got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	}
	s.Fault(sandbox.Fault{Kind: sandbox.FaultFailBefore})
	for range 3 {
		if got := list(); got != 500 {
			t.Errorf("a fault without times: got %d, want 500", got)
		}
	}
	s.ClearFaults()
	if got := list(); got != 200 {
		t.Errorf("cleared: got %d, want 200", got)
	}
}

// A share hits the calls whose draw is below it; times count the hits.
func TestShareOfFaults(t *testing.T) {
	draws := []float64{0.3, 0.29, 0.9, 0, 0.1, 0.2}
	var mu sync.Mutex
	next := 0
	s := start(t, func(o *sandbox.Options) {
		o.Rand = func() float64 {
			mu.Lock()
			defer mu.Unlock()
			next++
			return draws[(next-1)%len(draws)]
		}
	})
	c := newCaller(t, s)
	s.Fault(sandbox.Fault{Kind: sandbox.FaultFailBefore, Share: 0.3, Times: 3})
	for i, want := range []int{200, 500, 200, 500, 500, 200} {
		if got, _ := c.do("GET", "/partner/accounts", ""); got != want {
			t.Errorf("call %d: got %d, want %d", i, got, want)
		}
	}

	// By the default draw, the hits are about their share.
	s = start(t, nil)
	c = newCaller(t, s)
	s.Fault(sandbox.Fault{Kind: sandbox.FaultThrottle, Share: 0.5})
	for range 400 {
		c.do("GET", "/partner/accounts", "")
	}
	if got := s.Summary().Throttled(); got < 0.35 || got > 0.65 { // six standard deviations
		t.Errorf("got %v of the calls, want a half", got)
	}
}

// Two faults of one kind with shares are two draws for each call, and faults of other kinds do not take each other's
// hits.
func TestFaultsAtRandom(t *testing.T) {
	s := start(t, nil)
	c := newCaller(t, s)
	for _, f := range []sandbox.Fault{
		{Kind: sandbox.FaultActAndCut, Path: "users/sso", Share: 0.2}, {Kind: sandbox.FaultFailAfter,
			Path: "users/sso", Share: 0.2},
		{Kind: sandbox.FaultFailBefore, Path: "users/sso", Share: 0.2}, {Kind: sandbox.FaultThrottle, Share: 0.1},
		{Kind: sandbox.FaultDownAPI, Share: 0.1},
	} {
		s.Fault(f)
	}
	seen := map[int]int{}
	for i := range 100 {
		body := user("login_name", "user-"+strconv.Itoa(i), "external_id", strconv.Itoa(i))
		for tries := 0; ; tries++ {
			status := try(t, c, body, 10*time.Second)
			seen[status]++
			if status == 201 || status == 409 {
				break
			}
			if tries > 200 {
				t.Fatalf("got %d again and again", status)
			}
		}
	}
	if got := len(s.Created()); got != 100 {
		t.Errorf("got %d users, want 100", got)
	}
	for _, status := range []int{0, 201, 409, 429, 500} {
		if seen[status] == 0 {
			t.Errorf("no call got %d: %v", status, seen)
		}
	}
	sum := s.Summary()
	if sum.ByStatus[201] != seen[201] || sum.ByStatus[409] != seen[409] || sum.ByStatus[429] != seen[429] ||
		sum.ByStatus[0] != seen[0] {
		t.Errorf("got %+v, seen %v", sum, seen)
	}
}

func TestSlowAndTokenFaults(t *testing.T) {
	s := start(t, nil)
	c := newCaller(t, s)
	s.Fault(sandbox.Fault{Kind: sandbox.FaultSlow, Delay: 80 * time.Millisecond, Times: 1})
	begin := time.Now()
	if got := try(t, c, user(), 10*time.Second); got != 201 || time.Since(begin) < 80*time.Millisecond {
		t.Errorf("got %d after %v, want 201 after 80 ms", got, time.Since(begin))
	}
	o := s.TokenOptions()
	ask := func() error {
		r := request(t, "POST", o.URL+"?grant_type=client_credentials", "", "Content-Type",
			"application/x-www-form-urlencoded")
		r.SetBasicAuth(o.ClientID, o.ClientSecret)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			return errors.New(resp.Status)
		}
		return nil
	}
	s.Fault(sandbox.Fault{Kind: sandbox.FaultDownToken, Times: 1})
	if status, _ := c.do("GET", "/partner/accounts", ""); status != 200 {
		t.Errorf("the token server's fault hit the API: %d", status)
	}
	if ask() == nil || ask() != nil {
		t.Error("the token server was not down for one request")
	}
	s.Fault(sandbox.Fault{Kind: sandbox.FaultFailBefore, Path: sandbox.TokenPath, Times: 1})
	if err := ask(); err == nil || !strings.Contains(err.Error(), "500") {
		t.Errorf("got %v, want a 500", err)
	}
}

func TestHangsEndWithTheSandbox(t *testing.T) {
	s := start(t, nil)
	c := newCaller(t, s)
	s.Fault(sandbox.Fault{Kind: sandbox.FaultActAndHang})
	ended := make(chan int)
	go func() { ended <- try(t, c, user(), time.Minute) }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for len(s.Created()) == 0 {
		<-tick.C // the call runs in another goroutine, and what it has done is all there is to look at
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := <-ended; got != 0 {
		t.Errorf("got an answer: %d", got)
	}
}

func TestErrorShapes(t *testing.T) {
	s := start(t, nil)
	c := newCaller(t, s)
	tests := []struct {
		shape sandbox.Shape
		ok    func(string) bool
	}{
		{sandbox.ShapePublished, func(b string) bool { return strings.HasPrefix(b, "[{") }},
		{sandbox.ShapeArray, func(b string) bool { return strings.HasPrefix(b, "[{") }},
		{sandbox.ShapeObject, func(b string) bool { return strings.HasPrefix(b, "{") }},
		{sandbox.ShapeEmpty, func(b string) bool { return b == "" }},
		{sandbox.ShapeHTML, func(b string) bool { return strings.HasPrefix(b, "<html>") }},
		{sandbox.ShapeGarbage, func(b string) bool { return !json.Valid([]byte(b)) && b != "" }},
	}
	for _, tt := range tests {
		s.SetErrorShape(tt.shape)
		status, body := c.do("POST", creations, user("role_name", "owner"))
		if status != 400 || !tt.ok(body) {
			t.Errorf("shape %q: got %d, %q", tt.shape, status, body)
		}
	}
}

func TestControl(t *testing.T) {
	s := start(t, nil)
	c := newCaller(t, s)
	post := func(kind, body string) (int, string) {
		resp, answer := exchange(t, http.DefaultClient, request(t, "POST", s.URL()+"/_sandbox/faults", body,
			"Content-Type", kind))
		return resp.StatusCode, answer
	}
	const js = "application/json"
	tests := []struct {
		kind, body string
		want       int
	}{
		{js, `{"kind":"slow","path":"users/sso","times":2,"delay":"2s"}`, 200},
		{js, `{"error_shape":"html","owners_only":true,"email_rule":"everywhere","forget_tokens":true}`, 200},
		{js, `{"kind":"nonsense"}`, 400},
		{js, `{"kind":"slow","delay":"soon"}`, 400},
		{js, `{"kind":"slow","delay":"11m"}`, 400},
		{js, `{"kind":"throttle","times":-1}`, 400},
		{js, `{"error_shape":"round"}`, 400},
		{js, `{"email_rule":"sometimes"}`, 400},
		{js, `{"unknown":1}`, 400},
		{js, `{`, 400},
		{js, `{"kind":"` + strings.Repeat("a", 20<<10) + `"}`, 400},
		// What a foreign page could send without being asked.
		{"text/plain", `{"kind":"slow"}`, 415},
		{"application/x-www-form-urlencoded", `kind=slow`, 415},
		{"", `{"kind":"slow"}`, 415},
	}
	for _, tt := range tests {
		if got, answer := post(tt.kind, tt.body); got != tt.want {
			t.Errorf("POST %s %.80s: got %d, %s; want %d", tt.kind, tt.body, got, answer, tt.want)
		}
	}
	_, state := exchange(t, http.DefaultClient, request(t, "GET", s.URL()+"/_sandbox/faults", ""))
	var got struct {
		Faults []map[string]any `json:"faults"`
		Shape  string           `json:"error_shape"`
		Owners bool             `json:"owners_only"`
		Email  string           `json:"email_rule"`
	}
	if err := json.Unmarshal([]byte(state), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Faults) != 1 || got.Faults[0]["delay"] != "2s" || got.Faults[0]["times"] != 2.0 || got.Shape != "html" ||
		!got.Owners || got.Email != "everywhere" {
		t.Errorf("got state %s", state)
	}
	if status, _ := c.do("GET", "/partner/accounts", ""); status != 401 {
		t.Errorf("tokens not forgotten: %d", status)
	}
	resp, state := exchange(t, http.DefaultClient, request(t, "DELETE", s.URL()+"/_sandbox/faults", ""))
	if resp.StatusCode != 200 || !strings.Contains(state, `"faults": []`) || !strings.Contains(state,
		`"error_shape": ""`) {
		t.Errorf("cleared: %d, %s", resp.StatusCode, state)
	}
	for _, what := range []string{"calls", "users", "logins", "refusals"} {
		resp, body := exchange(t, http.DefaultClient, request(t, "GET", s.URL()+"/_sandbox/"+what, ""))
		if resp.StatusCode != 200 || !strings.HasPrefix(body, "[") {
			t.Errorf("%s: got %d, %s", what, resp.StatusCode, body)
		}
		if strings.Contains(body, c.token) || strings.Contains(body, sandbox.DefaultClientSecret) || strings.Contains(body,
			sandbox.DefaultAPIKey) {
			t.Errorf("%s tells a secret", what)
		}
	}
	if resp, _ := exchange(t, http.DefaultClient, request(t, "GET", s.URL()+"/_sandbox/secrets",
		"")); resp.StatusCode != 404 {
		t.Errorf("unknown record: got %d", resp.StatusCode)
	}
}

func TestParseFault(t *testing.T) {
	for text, want := range map[string]sandbox.Fault{
		"down_api":                     {Kind: sandbox.FaultDownAPI},
		"slow@users/sso=2:5s":          {Kind: sandbox.FaultSlow, Path: "users/sso", Times: 2, Delay: 5 * time.Second},
		"slow:1m":                      {Kind: sandbox.FaultSlow, Delay: time.Minute},
		"throttle~0.05":                {Kind: sandbox.FaultThrottle, Share: 0.05},
		"slow@plan=3~1:2s":             {Kind: sandbox.FaultSlow, Path: "plan", Times: 3, Share: 1, Delay: 2 * time.Second},
		"act_then_timeout@users/sso=1": {Kind: sandbox.FaultActAndHang, Path: "users/sso", Times: 1},
	} {
		if got, err := sandbox.ParseFault(text); got != want || err != nil {
			t.Errorf("ParseFault(%q) = %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "nonsense", "slow=x", "slow=1x", "slow=-1", "slow:soon", "slow=1:-5s", "slow~",
		"slow~0", "slow~x", "slow~1.01", "slow~-0.1", "slow~NaN", "slow~0.5=2"} {
		if got, err := sandbox.ParseFault(text); err == nil {
			t.Errorf("ParseFault(%q) = %+v, want an error", text, got)
		}
	}
}

func TestOptionsRefused(t *testing.T) {
	good := sandbox.Options{PublicURL: "http://127.0.0.1:1"}
	if _, err := sandbox.New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*sandbox.Options){
		"no URL":              func(o *sandbox.Options) { o.PublicURL = "" },
		"path in the URL":     func(o *sandbox.Options) { o.PublicURL += "/x" },
		"landing is a script": func(o *sandbox.Options) { o.LandingURL = "javascript:alert(1)" },
		"profile":             func(o *sandbox.Options) { o.Profile = "strictest" },
		"e-mail rule":         func(o *sandbox.Options) { o.EmailRule = "never" },
		"account twice": func(o *sandbox.Options) {
			o.Accounts = append(sandbox.SampleAccounts(),
				sandbox.SampleAccounts()...)
		},
		"account without id": func(o *sandbox.Options) { o.Accounts = []sandbox.Account{{}} },
		"window":             func(o *sandbox.Options) { o.Window = "open" },
		"negative jitter":    func(o *sandbox.Options) { o.Jitter = -1 },
		"long jitter":        func(o *sandbox.Options) { o.Jitter = time.Hour },
		"negative foreigner": func(o *sandbox.Options) { o.Foreign = -1 },
		"NaN foreigners":     func(o *sandbox.Options) { o.Foreign = math.NaN() },
		"many foreigners":    func(o *sandbox.Options) { o.Foreign = 1001 },
		"negative readings":  func(o *sandbox.Options) { o.LaterLists = -1 },
		"negative retry":     func(o *sandbox.Options) { o.WebhookRetry = -1 },
		"countless posts":    func(o *sandbox.Options) { o.WebhookRetry = 1 },
		"user without home":  func(o *sandbox.Options) { o.Users = []sandbox.User{{Account: "nowhere"}} },
		"login folded": func(o *sandbox.Options) {
			o.Users = []sandbox.User{{LoginName: "kay"},
				{LoginName: "\u212aAY"}}
		},
		"login twice": func(o *sandbox.Options) { o.Users = []sandbox.User{{LoginName: "a"}, {LoginName: "A"}} },
	} {
		t.Run(name, func(t *testing.T) {
			o := good
			change(&o)
			if _, err := sandbox.New(o); err == nil {
				t.Error("accepted")
			}
		})
	}
	if _, err := sandbox.ReadSeed(strings.NewReader(`{"accounts":[{"id":"x"}]}`)); err == nil {
		t.Error("a seed with an unknown field was accepted")
	}
	seed, err := sandbox.ReadSeed(
		strings.NewReader(`{"accounts":[{"encoded_account_id":"a1"}],"users":[{"login_name":"x"}]}`))
	if err != nil || len(seed.Accounts) != 1 || len(seed.Users) != 1 {
		t.Errorf("got %+v, %v", seed, err)
	}
}
