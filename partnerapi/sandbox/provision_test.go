package sandbox_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ssobridge/partnerapi/sandbox"
)

const accounts = "/partner/accounts"

// object is a JSON body; pairs of field and value change it, a value of nil leaves the field out.
func object(base map[string]any, change ...any) string {
	o := map[string]any{}
	for k, v := range base {
		o[k] = v
	}
	for i := 0; i < len(change); i += 2 {
		if o[change[i].(string)] = change[i+1]; change[i+1] == nil {
			delete(o, change[i].(string))
		}
	}
	b, _ := json.Marshal(o)
	return string(b)
}

// newAccount is the body of a creation whose owner is bound to SSO.
func newAccount(change ...any) string {
	return object(map[string]any{
		"contact_email": "lena@quince.test", "country_code": "US", "state_code": "MA", "login_name": "lena@quince.test",
		"external_id": "owner-quince", "external_provider": sandbox.DefaultExternalProvider,
	}, change...)
}

// isErrors tells whether a body is the published array of errors.
func isErrors(body string) bool {
	var list []struct {
		Key     string `json:"error_key"`
		Message string `json:"error_message"`
	}
	return json.Unmarshal([]byte(body), &list) == nil && len(list) > 0 && list[0].Key != "" && list[0].Message != ""
}

func TestCreateAccount(t *testing.T) {
	long := strings.Repeat("a", 81)
	noSSO := []any{"external_id", nil, "external_provider", nil}
	tests := []struct {
		name, body string
		want       int
	}{
		{"with SSO", newAccount(), 201},
		{"with a password", newAccount(append(noSSO, "password", "longenough")...), 201},
		{"all fields", newAccount("contact_phone", "12345", "organization_name", "Quince", "organization_phone",
			"+1 555 0100", "time_zone_id", "US/Eastern",
			"website", "https://quince.test", "first_name", "Le", "last_name", "Ng", "partner_account_id", "q-1",
			"billing_locale", "en_US",
			"managed_site_owner", true, "enable_single_billing", false, "gdpr_opt_out", true), 201},
		{"password and SSO", newAccount("password", "longenough"), 400},
		{"neither", newAccount(noSSO...), 400},
		{"id without provider", newAccount("external_provider", nil), 400},
		{"provider without id", newAccount("external_id", nil), 400},
		{"empty id", newAccount("external_id", ""), 400},
		{"long id", newAccount("external_id", strings.Repeat("a", 256)), 400},
		{"other provider", newAccount("external_provider", "another"), 400},
		{"short password", newAccount(append(noSSO, "password", "short")...), 400},
		{"without mail", newAccount("contact_email", nil), 400},
		{"without country", newAccount("country_code", nil), 400},
		{"without state", newAccount("state_code", nil), 400},
		{"without login", newAccount("login_name", nil), 400},
		{"no mail address", newAccount("contact_email", "lena"), 400},
		{"long mail", newAccount("contact_email", long+"@quince.test"), 400},
		{"country of one letter", newAccount("country_code", "U"), 400},
		{"country of digits", newAccount("country_code", "12"), 400},
		{"long country", newAccount("country_code", "USAA"), 400},
		{"short login", newAccount("login_name", "lena1"), 400},
		{"long login", newAccount("login_name", strings.Repeat("a", 51)), 400},
		{"login with a space", newAccount("login_name", "lena quince"), 400},
		{"short phone", newAccount("contact_phone", "1234"), 400},
		{"long phone", newAccount("organization_phone", strings.Repeat("1", 26)), 400},
		{"empty organization", newAccount("organization_name", ""), 400},
		{"long organization", newAccount("organization_name", strings.Repeat("a", 51)), 400},
		{"short first name", newAccount("first_name", "L"), 400},
		{"long last name", newAccount("last_name", long), 400},
		{"long partner id", newAccount("partner_account_id", long), 400},
		{"line break", newAccount("first_name", "Le\nna"), 400},
		{"number as text", newAccount("login_name", 1234567), 400},
		{"text as truth", newAccount("managed_site_owner", "true"), 400},
		{"null", strings.Replace(newAccount(), `"US"`, "null", 1), 400},
		{"field in capitals", strings.Replace(newAccount(), "country_code", "Country_Code", 1), 400},
		{"unknown field", newAccount("nickname", "q"), 400},
		{"list", "[" + newAccount() + "]", 400},
		{"two values", newAccount() + newAccount(), 400},
		{"not UTF-8", strings.Replace(newAccount(), "MA", "\xff", 1), 400},
		{"empty", "", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, nil)
			before := len(s.Accounts())
			status, body := newCaller(t, s).do("POST", accounts, tt.body)
			if status != tt.want {
				t.Fatalf("got %d, %s; want %d", status, body, tt.want)
			}
			added := s.Accounts()[before:]
			if status != 201 {
				if !isErrors(body) || len(added) > 0 || len(s.Users()) > 0 {
					t.Errorf("got %s, %d accounts and %d users more; want errors and none", body, len(added), len(s.Users()))
				}
				return
			}
			var answer map[string]string
			if err := json.Unmarshal([]byte(body), &answer); err != nil {
				t.Fatal(err)
			}
			if len(added) != 1 || added[0].ID != answer["encoded_account_id"] || answer["provision_uuid"] == "" ||
				added[0].BillingStatus != "Trial" {
				t.Errorf("got %s and %+v", body, added)
			}
			if users := s.Created(); len(users) != 1 || users[0].RoleName != sandbox.RoleOwner ||
				users[0].Account != added[0].ID {
				t.Errorf("got users %+v, want the owner", users)
			}
			for _, c := range s.Calls() {
				if strings.Contains(c.Body, "longenough") {
					t.Error("a password stands in the ledger")
				}
			}
		})
	}
}

// A login name can be used once across all of Constant Contact, by owners and users alike; so can the pair of an
// external id.
func TestAccountConflicts(t *testing.T) {
	other := []any{"login_name", "another", "external_id", "another"}
	tests := []struct {
		name string
		body string
		want int
	}{
		{"another", newAccount(other...), 201},
		{"the very same", newAccount(), 409},
		{"login of an owner, in capitals", newAccount("login_name", "LENA@quince.test", "external_id", "another"), 409},
		{"external id of an owner", newAccount("login_name", "another"), 409},
		{"login of a user", newAccount("login_name", "zoe-login", "external_id", "another"), 409},
		{"login of a stranger", newAccount("login_name", "taken@example.test", "external_id", "another"), 409},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, func(o *sandbox.Options) { o.Users = sandbox.SampleUsers(sandbox.DefaultExternalProvider) })
			c := newCaller(t, s)
			for path, body := range map[string]string{accounts: newAccount(), creations: user()} {
				if status, body := c.do("POST", path, body); status != 201 {
					t.Fatalf("POST %s: %d, %s", path, status, body)
				}
			}
			if status, body := c.do("POST", accounts, tt.body); status != tt.want || (tt.want == 409 && !isErrors(body)) {
				t.Errorf("got %d, %s; want %d", status, body, tt.want)
			}
		})
	}
}

// listed tells how many accounts the list has, by one reading of it.
func listed(t *testing.T, c *caller) int {
	t.Helper()
	status, body := c.do("GET", accounts, "")
	if status != 200 {
		t.Fatalf("list: %d, %s", status, body)
	}
	return strings.Count(body, "encoded_account_id")
}

// 503 to a creation: the account comes later, and its names are taken at once.
func TestAcceptedForLater(t *testing.T) {
	tests := []struct {
		name  string
		lists int
		later func(*clock)
		shows []int // accounts in each reading of the list
	}{
		{"by the clock", 0, func(c *clock) { c.Set(c.Now().Add(29 * time.Second)) }, []int{3, 3}},
		{"when its time has come", 0, func(c *clock) { c.Set(c.Now().Add(30 * time.Second)) }, []int{4, 4}},
		{"by readings of the list", 2, func(*clock) {}, []int{3, 3, 4}},
		{"by the clock, before the readings", 5, func(c *clock) { c.Set(c.Now().Add(time.Minute)) }, []int{4}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			clock := &clock{now: time.Now()}
			s := start(t, func(o *sandbox.Options) { o.Now, o.LaterLists = clock.Now, tt.lists })
			c := newCaller(t, s)
			s.Fault(sandbox.Fault{Kind: sandbox.FaultAcceptLater, Delay: 30 * time.Second, Times: 1})
			if got := listed(t, c); got != 3 {
				t.Fatalf("got %d accounts", got)
			}
			if status, body := c.do("POST", accounts, newAccount()); status != 503 || !isErrors(body) {
				t.Fatalf("got %d, %s; want 503", status, body)
			}
			for _, body := range []string{newAccount(), newAccount("login_name", "another"),
				newAccount("external_id", "another")} {
				if status, body := c.do("POST", accounts, body); status != 409 {
					t.Errorf("the same once more: got %d, %s; want 409", status, body)
				}
			}
			tt.later(clock)
			for i, want := range tt.shows {
				if got := listed(t, c); got != want {
					t.Errorf("reading %d: got %d accounts, want %d", i, got, want)
				}
			}
			owner := slices.ContainsFunc(s.Users(), func(u sandbox.User) bool { return u.ExternalID == "owner-quince" })
			if want := tt.shows[len(tt.shows)-1] == 4; owner != want {
				t.Errorf("owner is there: %v, want %v", owner, want)
			}
			// The fault was for one creation; the next is answered at once.
			if status, body := c.do("POST", accounts, newAccount("login_name", "another", "external_id",
				"another")); status != 201 {
				t.Errorf("after the fault: %d, %s", status, body)
			}
		})
	}
}

// An owner who is bound to SSO signs in; one with a password does not.
func TestOwnerSignsIn(t *testing.T) {
	s := start(t, func(o *sandbox.Options) { o.OwnersOnly = true })
	p, c := trusted(t, s), newCaller(t, s)
	signIn := func(nameID string) string {
		resp, page := deliver(t, browser(t), s.ACS(), p.response(s, nameID, time.Now()).seal(t), nil)
		if resp.StatusCode != 200 {
			return element(t, page, "reason")
		}
		return element(t, page, "role")
	}
	if got := signIn("owner-quince"); got != "unknown_user" {
		t.Errorf("before: got %s", got)
	}
	if status, body := c.do("POST", accounts, newAccount("first_name", "Lena", "last_name", "Quince")); status != 201 {
		t.Fatalf("%d, %s", status, body)
	}
	if got := signIn("owner-quince"); got != "owner" {
		t.Errorf("got %s, want the owner", got)
	}
	if status, body := c.do("POST", accounts, newAccount("login_name", "password-owner", "external_id", nil,
		"external_provider", nil, "password", "longenough")); status != 201 {
		t.Fatalf("%d, %s", status, body)
	}
	if got := signIn("password-owner"); got != "unknown_user" {
		t.Errorf("owner with a password: got %s", got)
	}
}

// 100,000 users are seeded and looked up by maps: with scans each of the two would take minutes.
func TestManyUsers(t *testing.T) {
	const many = 100_000
	users := make([]sandbox.User, many)
	for i := range users {
		users[i] = sandbox.User{
			Account: "a07e1lxqqqo0", FirstName: "U", LastName: fmt.Sprint(i), RoleName: "campaign_creator",
			ContactEmail: fmt.Sprintf("u%d@example.test", i),
			LoginName:    fmt.Sprintf("user-%d", i), ExternalID: fmt.Sprintf("id-%d", i),
			ExternalProvider: sandbox.DefaultExternalProvider,
		}
	}
	s := start(t, func(o *sandbox.Options) { o.PerDay = sandbox.Unlimited })
	begin := time.Now()
	if err := s.Seed(users); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > 30*time.Second { // by scans it would be 10^10 comparisons
		t.Errorf("seeding took %v", took)
	}
	t.Logf("seeded in %v", time.Since(begin))
	if err := s.Seed([]sandbox.User{{LoginName: "fresh"}, {LoginName: "USER-99999"}, {LoginName: "never"}}); err == nil {
		t.Error("a login name in other capitals was accepted")
	}
	if got := len(s.Users()); got != many+1 {
		t.Errorf("got %d users, want the one before the refused one to stay", got)
	}
	if status, _ := newCaller(t, s).do("POST", creations, user("external_id", "id-99999")); status != 409 {
		t.Errorf("taken external id: got %d", status)
	}
	for query, want := range map[string]int{"": many + 1, "?limit=0": 0, "?limit=1": 1, "?limit=500": 500,
		"?limit=1200&offset=300": 1200, "?offset=99990": 11, "?offset=200000": 0} {
		resp, body := exchange(t, browser(t), request(t, "GET", s.URL()+"/_sandbox/users"+query, ""))
		var list []sandbox.User
		if err := json.Unmarshal([]byte(body), &list); err != nil || resp.StatusCode != 200 || len(list) != want {
			t.Errorf("users%s: got %d, %d users, %v; want %d", query, resp.StatusCode, len(list), err, want)
		}
	}
	for _, query := range []string{"?limit=-1", "?limit=x", "?offset=-1", "?offset="} {
		if resp, body := exchange(t, browser(t), request(t, "GET", s.URL()+"/_sandbox/users"+query,
			"")); resp.StatusCode != 400 {
			t.Errorf("users%s: got %d, %.80s; want 400", query, resp.StatusCode, body)
		}
	}
	if resp, page := exchange(t, browser(t), request(t, "GET", s.URL()+"/", "")); resp.StatusCode != 200 ||
		len(page) > 200<<10 || !strings.Contains(page, "100001") {
		t.Errorf("the page has %d bytes, status %d", len(page), resp.StatusCode)
	}
}
