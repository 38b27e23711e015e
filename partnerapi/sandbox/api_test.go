package sandbox_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"ssobridge/partnerapi/sandbox"
)

func TestTokenServer(t *testing.T) {
	s := start(t, func(o *sandbox.Options) { o.ClientID, o.ClientSecret = "acme", "a+b/c=%" })
	basic := func(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }
	good, form := basic("acme:a+b/c=%"), "application/x-www-form-urlencoded"
	tests := []struct {
		name, method, query, body, kind, authorization string
		want                                           int
	}{
		{"grant in the body", "POST", "", "grant_type=client_credentials", form, good, 200},
		{"grant in the query", "POST", "?grant_type=client_credentials", "", form, good, 200},
		{"with charset", "POST", "", "grant_type=client_credentials", form + "; charset=utf-8", good, 200},
		{"grant twice", "POST", "?grant_type=client_credentials", "grant_type=client_credentials", form, good, 400},
		{"no grant", "POST", "", "", form, good, 400},
		{"other grant", "POST", "", "grant_type=password", form, good, 400},
		{"GET", "GET", "?grant_type=client_credentials", "", form, good, 405},
		{"no media type", "POST", "", "grant_type=client_credentials", "", good, 415},
		{"JSON", "POST", "", `{"grant_type":"client_credentials"}`, "application/json", good, 415},
		{"no authorization", "POST", "", "grant_type=client_credentials", form, "", 415},
		{"bearer", "POST", "", "grant_type=client_credentials", form, "Bearer x", 415},
		{"wrong secret", "POST", "", "grant_type=client_credentials", form, basic("acme:a b/c=%"), 401},
		{"encoded secret", "POST", "", "grant_type=client_credentials", form, basic("acme:a%2Bb%2Fc%3D%25"), 401},
		{"wrong id", "POST", "", "grant_type=client_credentials", form, basic("Acme:a+b/c=%"), 401},
		{"too large", "POST", "", strings.Repeat("a", 9<<10), form, good, 413},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := request(t, tt.method, s.TokenURL()+tt.query, tt.body)
			if tt.kind != "" {
				r.Header.Set("Content-Type", tt.kind)
			}
			if tt.authorization != "" {
				r.Header.Set("Authorization", tt.authorization)
			}
			resp, body := exchange(t, http.DefaultClient, r)
			if resp.StatusCode != tt.want {
				t.Fatalf("got status %d, %s; want %d", resp.StatusCode, body, tt.want)
			}
			var answer map[string]any
			if err := json.Unmarshal([]byte(body), &answer); err != nil {
				t.Fatal(err)
			}
			if ok := answer["expires_in"] == 3600.0 && answer["token_type"] == "Bearer"; ok != (tt.want == 200) {
				t.Errorf("got %v", answer)
			}
		})
	}
	for _, c := range s.Calls() {
		if text := fmt.Sprintf("%+v", c); strings.Contains(text, "a+b/c=%") || strings.Contains(text, "eyJ") {
			t.Errorf("a secret or token stands in the ledger: %s", text)
		}
	}
}

func TestTokenRequestsAreLimited(t *testing.T) {
	c := &clock{now: time.Now()}
	s := start(t, func(o *sandbox.Options) { o.TokensPerSecond = 0; o.Now = c.Now })
	newCaller(t, s)
	o := s.TokenOptions()
	ask := func() int {
		r := request(t, "POST", o.URL+"?grant_type=client_credentials", "", "Content-Type",
			"application/x-www-form-urlencoded")
		r.SetBasicAuth(o.ClientID, o.ClientSecret)
		resp, _ := exchange(t, http.DefaultClient, r)
		return resp.StatusCode
	}
	if got := ask(); got != 429 {
		t.Errorf("second request within the second: got %d, want 429", got)
	}
	c.Set(c.Now().Add(time.Second))
	if got := ask(); got != 200 {
		t.Errorf("a second later: got %d, want 200", got)
	}
}

func TestAuthorizationOfCalls(t *testing.T) {
	c := &clock{now: time.Now()}
	s := start(t, func(o *sandbox.Options) { o.Now = c.Now; o.TokenLife = time.Minute })
	caller := newCaller(t, s)
	call := func(headers ...string) (int, string) {
		resp, body := exchange(t, http.DefaultClient, request(t, "GET", s.BaseURL()+"/partner/accounts", "", headers...))
		return resp.StatusCode, body
	}
	good, key := "Bearer "+caller.token, sandbox.DefaultAPIKey
	tests := []struct {
		name    string
		headers []string
		want    int
	}{
		{"good", []string{"Authorization", good, "x-api-key", key}, 200},
		{"no key", []string{"Authorization", good}, 403},
		{"wrong key", []string{"Authorization", good, "x-api-key", "other"}, 403},
		{"no token", []string{"x-api-key", key}, 401},
		{"wrong token", []string{"Authorization", good + "x", "x-api-key", key}, 401},
		{"token as Basic", []string{"Authorization", "Basic " + caller.token, "x-api-key", key}, 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, body := call(tt.headers...)
			if got != tt.want {
				t.Fatalf("got %d, %s; want %d", got, body, tt.want)
			}
			// The published shape of authorization failures is a single object.
			var one struct {
				Key string `json:"error_key"`
			}
			if err := json.Unmarshal([]byte(body), &one); err != nil || (one.Key == "") != (tt.want == 200) {
				t.Errorf("got body %s", body)
			}
		})
	}
	c.Set(c.Now().Add(time.Minute))
	if got, _ := call("Authorization", good, "x-api-key", key); got != 401 {
		t.Errorf("after the token's end: got %d, want 401", got)
	}
	caller = newCaller(t, s)
	s.ForgetTokens()
	if got, _ := caller.do("GET", "/partner/accounts", ""); got != 401 {
		t.Errorf("after the tokens were forgotten: got %d, want 401", got)
	}
}

func TestAccounts(t *testing.T) {
	var accounts []sandbox.Account
	for i := range 25 {
		accounts = append(accounts, sandbox.Account{ID: fmt.Sprintf("a07e%04d", i), Managed: i < 5, OtherPartner: i == 24})
	}
	s := start(t, func(o *sandbox.Options) { o.Accounts = accounts })
	c := newCaller(t, s)
	tests := []struct {
		query string
		want  int
		count int
		next  string
	}{
		{"", 200, 24, ""},
		{"?limit=10", 200, 10, "/v3/partner/accounts?offset=MTA*&limit=10"},
		{"?offset=MTA*&limit=10", 200, 10, "/v3/partner/accounts?offset=MjA*&limit=10"},
		{"?offset=MjA*&limit=10", 200, 4, ""},
		{"?offset=OTk*", 200, 0, ""},
		{"?account_type=managed", 200, 5, ""},
		{"?account_type=unmanaged&limit=10", 200, 10, "/v3/partner/accounts?offset=MTA*&limit=10&account_type=unmanaged"},
		{"?limit=9", 400, 0, ""},
		{"?limit=51", 400, 0, ""},
		{"?limit=", 400, 0, ""},
		{"?limit=x", 400, 0, ""},
		{"?account_type=mine", 400, 0, ""},
		{"?offset=10", 400, 0, ""},
		{"?offset=LTE*", 400, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			status, body := c.do("GET", "/partner/accounts"+tt.query, "")
			if status != tt.want {
				t.Fatalf("got %d, %s; want %d", status, body, tt.want)
			}
			if status != 200 {
				var list []map[string]string
				if err := json.Unmarshal([]byte(body), &list); err != nil || list[0]["error_key"] == "" {
					t.Errorf("got %s, want an array of errors", body)
				}
				return
			}
			var page struct {
				List []struct {
					ID     string `json:"encoded_account_id"`
					Status string `json:"billing_status"`
				} `json:"site_owner_list"`
				Links map[string]map[string]string `json:"_links"`
			}
			if err := json.Unmarshal([]byte(body), &page); err != nil {
				t.Fatal(err)
			}
			if len(page.List) != tt.count || page.Links["next"]["href"] != tt.next {
				t.Errorf("got %d accounts and next %q, want %d and %q", len(page.List), page.Links["next"]["href"],
					tt.count, tt.next)
			}
		})
	}
	for path, want := range map[string]int{"/partner/nothing": 404, "/partner/accounts/x/users": 404} {
		if got, _ := c.do("GET", path, ""); got != want {
			t.Errorf("GET %s: got %d, want %d", path, got, want)
		}
	}
	if got, _ := c.do("DELETE", "/partner/accounts", ""); got != 405 {
		t.Errorf("DELETE accounts: got %d, want 405", got)
	}
}

// API-01 and the statuses of users/sso.
func TestAPI01CreateUser(t *testing.T) {
	foreign := sandbox.Account{ID: "foreign", OtherPartner: true}
	tests := []struct {
		name, path, body string
		want             int
	}{
		{"good", creations, user(), 201},
		{"longest of two bytes each", creations, user("first_name", strings.Repeat("ü", 80), "external_id",
			strings.Repeat("é", 255)), 201},
		{"no such account", "/partner/accounts/nowhere/users/sso", user(), 404},
		{"another partner's account", "/partner/accounts/foreign/users/sso", user(), 400},
		{"unknown field", creations, `{"nickname":"z",` + user()[1:], 400},
		{"no JSON", creations, "first_name=Zoe", 400},
		{"two values", creations, user() + user(), 400},
		{"empty", creations, "", 400},
		{"too large", creations, `{"first_name":"` + strings.Repeat("a", 70<<10), 413},
		{"other provider", creations, user("external_provider", "another"), 400},
		{"role owner", creations, user("role_name", "owner"), 400},
		{"long login", creations, user("login_name", strings.Repeat("a", 51)), 400},
		{"umlaut in the login", creations, user("login_name", "zoë"), 400},
		{"long mail", creations, user("contact_email", strings.Repeat("a", 70)+"@example.test"), 400},
		{"no mail address", creations, user("contact_email", "zoe"), 400},
		{"long external id", creations, user("external_id", strings.Repeat("a", 256)), 400},
		{"line break", creations, user("last_name", "N\ng"), 400},
		{"blank", creations, user("last_name", "  "), 400},
	}
	for _, f := range []string{"first_name", "last_name", "role_name", "contact_email", "login_name", "external_id",
		"external_provider"} {
		tests = append(tests, struct {
			name, path, body string
			want             int
		}{"without " + f, creations, user(f, "-"), 400})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, func(o *sandbox.Options) { o.Accounts = append(o.Accounts, foreign) })
			status, body := newCaller(t, s).do("POST", tt.path, tt.body)
			if status != tt.want {
				t.Fatalf("got %d, %s; want %d", status, body, tt.want)
			}
			if created := len(s.Created()); created != map[bool]int{true: 1}[tt.want == 201] {
				t.Errorf("got %d users", created)
			}
			if tt.want == 201 && body != "" {
				t.Errorf("got body %q with the 201, want none", body)
			}
			var list []map[string]string
			if tt.want != 201 && (json.Unmarshal([]byte(body), &list) != nil || list[0]["error_key"] == "" ||
				list[0]["error_message"] == "") {
				t.Errorf("got %s, want an array of errors", body)
			}
		})
	}
	s := start(t, nil)
	resp, _ := exchange(t, http.DefaultClient, request(t, "POST", s.BaseURL()+creations, user(),
		"Authorization", "Bearer "+newCaller(t, s).token, "x-api-key", sandbox.DefaultAPIKey, "Content-Type", "text/plain"))
	if resp.StatusCode != 415 {
		t.Errorf("as text: got %d, want 415", resp.StatusCode)
	}
}

func TestConflicts(t *testing.T) {
	other := "/partner/accounts/a07e1lxqqqp1/users/sso"
	fresh := []string{"login_name", "another", "external_id", "another"}
	tests := []struct {
		name string
		rule sandbox.EmailRule
		path string
		body string
		want int
	}{
		{"the very same", sandbox.EmailOff, creations, user(), 409},
		{"the very same elsewhere", sandbox.EmailOff, other, user(), 409},
		{"same external id", sandbox.EmailOff, other, user("login_name", "another"), 409},
		{"same login", sandbox.EmailOff, other, user("external_id", "another"), 409},
		{"same login in capitals", sandbox.EmailOff, other, user("external_id", "another", "login_name", "ZOE-login"), 409},
		{"login of a foreign user", sandbox.EmailOff, creations, user("external_id", "another", "login_name",
			"taken@example.test"), 409},
		{"external id in capitals", sandbox.EmailOff, creations, user("external_id", "ZOE-1", "login_name", "another"), 201},
		{"same mail, off", sandbox.EmailOff, creations, user(fresh...), 201},
		{"same mail, per account, same", sandbox.EmailPerAccount, creations, user(fresh...), 409},
		{"same mail, per account, other", sandbox.EmailPerAccount, other, user(fresh...), 201},
		{"same mail, everywhere", sandbox.EmailEverywhere, other, user(fresh...), 409},
		{"another mail, everywhere", sandbox.EmailEverywhere, other,
			user(append(fresh, "contact_email", "b@example.test")...), 201},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, func(o *sandbox.Options) {
				o.EmailRule = tt.rule
				o.Users = sandbox.SampleUsers(sandbox.DefaultExternalProvider)
			})
			c := newCaller(t, s)
			if status, body := c.do("POST", creations, user()); status != 201 {
				t.Fatalf("first: %d, %s", status, body)
			}
			if status, body := c.do("POST", tt.path, tt.body); status != tt.want {
				t.Errorf("got %d, %s; want %d", status, body, tt.want)
			}
		})
	}
}

func TestOwnersOnly(t *testing.T) {
	s := start(t, func(o *sandbox.Options) { o.OwnersOnly = true })
	c := newCaller(t, s)
	status, body := c.do("POST", creations, user())
	if status != 403 || !strings.HasPrefix(body, "{") {
		t.Errorf("got %d, %s; want 403 with a single object", status, body)
	}
	s.SetOwnersOnly(false)
	if status, body := c.do("POST", creations, user()); status != 201 {
		t.Errorf("switched on: got %d, %s", status, body)
	}
}

// API-02: four in any sliding second, 10,000 until 00:00 UTC.
func TestAPI02Limits(t *testing.T) {
	begin := time.Date(2026, 11, 23, 23, 59, 58, 0, time.UTC)
	c := &clock{now: begin}
	s := start(t, func(o *sandbox.Options) { o.PerSecond, o.PerDay, o.Now, o.TokenLife = 0, 9, c.Now, 48*time.Hour })
	caller := newCaller(t, s)
	at := func(ms int, want int, key string) {
		t.Helper()
		c.Set(begin.Add(time.Duration(ms) * time.Millisecond))
		resp, body := exchange(t, http.DefaultClient, request(t, "GET", s.BaseURL()+"/partner/accounts", "",
			"Authorization", "Bearer "+caller.token, "x-api-key", sandbox.DefaultAPIKey))
		if resp.StatusCode != want || !strings.Contains(body, key) {
			t.Errorf("at %d ms: got %d, %s; want %d %s", ms, resp.StatusCode, body, want, key)
		}
		for name := range resp.Header {
			if strings.HasPrefix(name, "Retry") || strings.HasPrefix(name, "X-Rate") {
				t.Errorf("a header %s is sent", name)
			}
		}
	}
	at(0, 200, "")
	at(250, 200, "")
	at(500, 200, "")
	at(750, 200, "")
	at(999, 429, "throttled") // the fifth within a second; it counts as well
	at(1000, 429, "throttled")
	at(1800, 200, "")
	at(1801, 200, "")
	at(1802, 429, "throttled")
	at(1900, 429, "quota_exceeded")
	at(2900, 200, "") // the next day
	if got := s.CallsIn(time.Second); got != 6 {
		t.Errorf("CallsIn(1s) = %d, want the 6 from 999 to 1900 ms", got)
	}
}
