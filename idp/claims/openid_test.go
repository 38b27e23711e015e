package claims_test

import (
	"crypto/sha256"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"ssobridge/idp/claims"
)

const (
	clientID = "ssobridge"
	callback = "https://sso.example.com/oidc/workforce/callback"
	theCode  = "code-of-ana"
)

// op is an OpenID provider that does what a test says, the wrong things too. What it knows to be right it checks.
type op struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	document map[string]any // nil members are left out
	keys     []map[string]any
	sign     func(c jwt.MapClaims) string // nil: ES256, kid 1
	changes  map[string]any               // of the ID token
	token    http.HandlerFunc             // in place of the token endpoint; nil: the right one
	info     map[string]any               // what userinfo says
	keySet   http.HandlerFunc             // in place of the key set
	nonce    string                       // of the request
	redeemed []url.Values
	secrets  []string // how the client proved itself
	asked    int      // for userinfo
}

func newOP(t *testing.T) *op {
	t.Helper()
	p := &op{t: t}
	mux := http.NewServeMux()
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	p.keys = []map[string]any{jwk(t, keys().ec.Public(), map[string]any{"kid": "1", "use": "sig"})}
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		d := map[string]any{
			"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token",
			"jwks_uri": p.URL + "/keys", "userinfo_endpoint": p.URL + "/userinfo",
			"end_session_endpoint":                           p.URL + "/logout?ui=en",
			"id_token_signing_alg_values_supported":          []string{"ES256", "RS256"},
			"code_challenge_methods_supported":               []string{"S256"},
			"authorization_response_iss_parameter_supported": true,
		}
		maps.Copy(d, p.document)
		maps.DeleteFunc(d, func(_ string, v any) bool { return v == nil })
		_, _ = w.Write(jsonOf(t, d))
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.keySet != nil {
			p.keySet(w, r)
			return
		}
		_, _ = w.Write(jsonOf(t, map[string]any{"keys": p.keys}))
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		_ = r.ParseForm()
		p.redeemed = append(p.redeemed, r.PostForm)
		id, secret, _ := r.BasicAuth()
		p.secrets = append(p.secrets, id+" "+secret+" "+r.PostForm.Get("client_secret"))
		if p.token != nil {
			w.Header().Set("Content-Type", "application/json")
			p.token(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if r.PostForm.Get("code") != theCode {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"invalid_grant","error_description":"no code of ana@example.com"}`))
			return
		}
		_, _ = w.Write(jsonOf(t, map[string]any{"access_token": "access-1", "token_type": "Bearer", "expires_in": 60,
			"refresh_token": "refresh-1", "id_token": p.signed(p.claims())}))
	})
	mux.HandleFunc("GET /userinfo", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.asked++
		if r.Header.Get("Authorization") != "Bearer access-1" || p.info == nil {
			http.Error(w, "ana@example.com may not", http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(jsonOf(t, p.info))
	})
	return p
}

func (p *op) claims() jwt.MapClaims {
	c := jwt.MapClaims{
		"iss": p.URL, "aud": clientID, "sub": "u-1001", "iat": begin.Unix(), "exp": begin.Unix() + 3600, "nonce": p.nonce,
		"given_name": "Ana", "family_name": "Díaz", "email": "ana@example.com", "email_verified": true,
		"groups": []string{"editors"}, "sid": "session-1", "auth_time": begin.Unix() - 60,
		"resource_access": map[string]any{"account": map[string]any{"roles": []string{"view"}}},
	}
	for name, value := range p.changes {
		if c[name] = value; value == nil {
			delete(c, name)
		}
	}
	return c
}

func (p *op) signed(c jwt.MapClaims) string {
	if p.sign != nil {
		return p.sign(c)
	}
	return sign(p.t, jwt.SigningMethodES256, keys().ec, map[string]any{"kid": "1", "typ": "JWT"}, c)
}

// source is a source with the provider.
func (p *op) source() *claims.Source {
	return &claims.Source{
		Name: "workforce", Issuer: p.URL, Subject: claims.Own, Skew: 30 * time.Second, MaxStale: 24 * time.Hour,
		Claims: claims.Names{FirstName: "given_name", LastName: "family_name", Mail: "email", Groups: "groups",
			Accounts: "accounts"},
		OpenID: &claims.OpenID{ClientID: clientID, ClientSecret: "s3cret+/=%", Redirect: callback,
			Scopes: []string{"openid", "profile", "email"}, Identity: "sub", Passive: true, Logout: true,
			AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
	}
}

// openID is a client with its keys at a time.
func openID(t *testing.T, now *time.Time, s *claims.Source) (*claims.Client, *claims.Keys) {
	t.Helper()
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	ring := claims.NewKeys(claims.KeysOptions{AllowLoopbackHTTP: true, Now: func() time.Time { return *now }})
	return claims.NewClient(ring), ring
}

var theAsk = claims.Ask{State: "the-state", Nonce: "the-nonce", Verifier: strings.Repeat("v", 43)}

func TestOpenIDAddress(t *testing.T) {
	p := newOP(t)
	now := begin
	c, _ := openID(t, &now, p.source())
	for _, tt := range []struct {
		name    string
		force   bool
		passive bool
		prompt  string
		age     bool
	}{
		{"plain", false, false, "", false}, {"forced", true, false, "login", true}, {"passive", false, true, "none", false},
	} {
		ask := theAsk
		ask.Force, ask.Passive = tt.force, tt.passive
		address, bad := c.Address(t.Context(), p.source(), ask)
		if bad != nil {
			t.Fatal(bad)
		}
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(ask.Verifier))
		want := url.Values{"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {callback},
			"scope": {"openid profile email"}, "state": {"the-state"}, "nonce": {"the-nonce"},
			"code_challenge": {b64(sum[:])}, "code_challenge_method": {"S256"}}
		if tt.prompt != "" {
			want.Set("prompt", tt.prompt)
		}
		if tt.age {
			want.Set("max_age", "0")
		}
		if got := u.Query(); got.Encode() != want.Encode() || !strings.HasPrefix(address, p.URL+"/authorize?") {
			t.Errorf("%s: got %s", tt.name, address)
		}
	}
}

// redeem lets the provider answer the request with changes.
func (p *op) redeem(t *testing.T, s *claims.Source, ask claims.Ask, r claims.Reply) (*claims.Checked, *claims.Fault) {
	t.Helper()
	now := begin
	c, _ := openID(t, &now, s)
	got, bad := c.Redeem(t.Context(), s, ask, r)
	silent(t, bad)
	if bad != nil {
		for _, secret := range []string{"s3cret", "access-1", "refresh-1", theCode, "the-nonce", ask.Verifier} {
			if strings.Contains(bad.Detail, secret) {
				t.Errorf("the fault %q has %s in it", bad.Detail, secret)
			}
		}
	}
	return got, bad
}

func TestOpenIDRedeem(t *testing.T) {
	p := newOP(t)
	p.nonce = theAsk.Nonce
	s := p.source()
	got, bad := p.redeem(t, s, theAsk, claims.Reply{Code: theCode, Issuer: p.URL})
	if bad != nil {
		t.Fatal(bad)
	}
	if got.Sub != "u-1001" || got.Person.ID != s.PersonID("u-1001") || got.Person.Mail != "ana@example.com" ||
		got.Person.FirstName != "Ana" || !slices.Equal(got.Person.Groups, []string{"editors"}) || len(got.Used) != 32 ||
		got.Session == "" || strings.Contains(got.Session, "session-1") || got.AuthTime.Unix() != begin.Unix()-60 {
		t.Errorf("got %+v", got)
	}
	if p.asked != 0 {
		t.Error("userinfo was asked, and nothing was missing")
	}
	form := p.redeemed[0]
	if form.Get("code_verifier") != theAsk.Verifier || form.Get("redirect_uri") != callback ||
		form.Get("grant_type") != "authorization_code" || form.Has("client_secret") {
		t.Errorf("the code was redeemed with %v", form)
	}
	// x/oauth2 escapes both, as RFC 6749 section 2.3.1 says.
	if want := clientID + " " + url.QueryEscape("s3cret+/=%") + " "; p.secrets[0] != want {
		t.Errorf("the client's secret came as %q, want %q", p.secrets[0], want)
	}
	p.document = map[string]any{"token_endpoint_auth_methods_supported": []string{"client_secret_post"}}
	if _, bad = p.redeem(t, s, theAsk, claims.Reply{Code: theCode, Issuer: p.URL}); bad != nil {
		t.Fatal(bad)
	}
	if p.secrets[1] != "  s3cret+/=%" {
		t.Errorf("the client's secret came as %q", p.secrets[1])
	}
}

// TestOpenIDTokens has each attack on an ID token beside what is right, each refused with a reason of its own.
func TestOpenIDTokens(t *testing.T) {
	es := func(c jwt.MapClaims, header map[string]any) string {
		h := map[string]any{"kid": "1", "typ": "JWT"}
		maps.Copy(h, header)
		return sign(t, jwt.SigningMethodES256, keys().ec, h, c)
	}
	type change = map[string]any
	sources := change{"src1": change{"endpoint": "https://graph.example.com/u/getMemberObjects"}}
	for _, tt := range []struct {
		name    string
		changes change
		sign    func(c jwt.MapClaims) string
		set     func(*claims.Source)
		want    string
	}{
		{"right", nil, nil, nil, ""},
		{"without typ", nil, func(c jwt.MapClaims) string { return es(c, change{"typ": nil}) }, nil, ""},
		{"azp is ours", change{"azp": clientID}, nil, nil, ""},
		{"aud is a list of us", change{"aud": []string{clientID}}, nil, nil, ""},
		{"none", nil, func(c jwt.MapClaims) string {
			return sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, change{"kid": "1", "typ": "JWT"}, c)
		}, nil, claims.ReasonAlgorithm},
		{"an HMAC with the public key", nil, func(c jwt.MapClaims) string {
			return sign(t, jwt.SigningMethodHS256, publicPEM(t, keys().ec.Public()), change{"kid": "1", "typ": "JWT"}, c)
		}, nil, claims.ReasonAlgorithm},
		{"an HMAC with the client's secret", nil, func(c jwt.MapClaims) string {
			return sign(t, jwt.SigningMethodHS256, []byte("s3cret+/=%"), change{"kid": "1", "typ": "JWT"}, c)
		}, nil, claims.ReasonAlgorithm},
		{"another key by its kid", nil, func(c jwt.MapClaims) string {
			return sign(t, jwt.SigningMethodRS256, keys().rsa, change{"kid": "2", "typ": "JWT"}, c)
		}, nil, claims.ReasonKey},
		{"another key with this kid", nil, func(c jwt.MapClaims) string {
			return sign(t, jwt.SigningMethodRS256, keys().rsa, change{"kid": "1", "typ": "JWT"}, c)
		}, nil, claims.ReasonAlgorithm},
		{"another signature", nil, func(c jwt.MapClaims) string {
			text := es(c, nil)
			i := strings.LastIndex(text, ".")
			return text[:i+1] + strings.Repeat("A", len(text)-i-1)
		}, nil, claims.ReasonSignature},
		{"a key in the header", nil, func(c jwt.MapClaims) string {
			return es(c, change{"jwk": jwk(t, keys().ec.Public(), nil)})
		}, nil, claims.ReasonHeader},
		{"a key's address in the header", nil, func(c jwt.MapClaims) string {
			return es(c, change{"jku": "https://evil.example.com"})
		}, nil, claims.ReasonHeader},
		{"nested", nil, func(c jwt.MapClaims) string { return es(c, change{"cty": "JWT"}) }, nil, claims.ReasonHeader},
		{"encrypted", nil, func(c jwt.MapClaims) string { return es(c, nil) + ".x.y" }, nil, claims.ReasonForm},
		{"an access token", nil, func(c jwt.MapClaims) string { return es(c, change{"typ": "at+jwt"}) }, nil,
			claims.ReasonType},
		{"a logout token", nil, func(c jwt.MapClaims) string { return es(c, change{"typ": "logout+jwt"}) }, nil,
			claims.ReasonType},
		{"with events", change{"events": change{}}, nil, nil, claims.ReasonType},
		{"too large", change{"more": strings.Repeat("a", 40<<10)}, nil, nil, claims.ReasonForm},
		{"nested too deep", change{"a": change{"b": change{"c": change{"d": change{}}}}}, nil, nil, claims.ReasonForm},
		{"another issuer", change{"iss": "https://evil.example.com"}, nil, nil, claims.ReasonIssuer},
		{"without issuer", change{"iss": nil}, nil, nil, claims.ReasonIssuer},
		{"another audience", change{"aud": "other"}, nil, nil, claims.ReasonAudience},
		{"a further audience", change{"aud": []string{clientID, "other"}}, nil, nil, claims.ReasonAudience},
		{"without audience", change{"aud": nil}, nil, nil, claims.ReasonAudience},
		{"for another client", change{"azp": "other"}, nil, nil, claims.ReasonAudience},
		{"azp is a list", change{"azp": []string{clientID}}, nil, nil, claims.ReasonAudience},
		{"over", change{"exp": begin.Unix() - 31}, nil, nil, claims.ReasonExpired},
		{"over within the skew", change{"exp": begin.Unix() - 29}, nil, nil, ""},
		{"without exp", change{"exp": nil}, nil, nil, claims.ReasonClaims},
		{"without iat", change{"iat": nil}, nil, nil, claims.ReasonClaims},
		{"from ahead", change{"iat": begin.Unix() + 31}, nil, nil, claims.ReasonFuture},
		{"valid later", change{"nbf": begin.Unix() + 31}, nil, nil, claims.ReasonFuture},
		{"another nonce", change{"nonce": "other"}, nil, nil, claims.ReasonNonce},
		{"without nonce", change{"nonce": nil}, nil, nil, claims.ReasonNonce},
		{"its access token", change{"at_hash": func() string {
			sum := sha256.Sum256([]byte("access-1"))
			return b64(sum[:16])
		}()}, nil, nil, ""},
		{"another access token", change{"at_hash": b64(make([]byte, 16))}, nil, nil, claims.ReasonTokenHash},
		{"at_hash is empty", change{"at_hash": ""}, nil, nil, claims.ReasonTokenHash},
		{"without sub", change{"sub": nil}, nil, nil, claims.ReasonClaims},
		{"sub is a number", change{"sub": 7}, nil, nil, claims.ReasonSignature}, // go-oidc can't read it
		{"auth_time ahead", change{"auth_time": begin.Unix() + 31}, nil, nil, claims.ReasonFuture},
		{"auth_time is a text", change{"auth_time": "now"}, nil, nil, claims.ReasonClaims},
		{"of the tenant", change{"tid": "t1", "oid": "o1"}, nil, func(s *claims.Source) {
			s.OpenID.Identity, s.OpenID.Pins = "oid", []claims.Pin{{Claim: "tid", Text: "t1"}}
		}, ""},
		{"of another tenant", change{"tid": "t2", "oid": "o1"}, nil, func(s *claims.Source) {
			s.OpenID.Identity, s.OpenID.Pins = "oid", []claims.Pin{{Claim: "tid", Text: "t1"}}
		}, claims.ReasonTenant},
		{"without tenant", nil, nil, func(s *claims.Source) {
			s.OpenID.Pins = []claims.Pin{{Claim: "hd", Text: "example.com"}}
		}, claims.ReasonTenant},
		{"without the identity", nil, nil, func(s *claims.Source) { s.OpenID.Identity = "oid" }, claims.ReasonClaims},
		{"groups are a text", change{"groups": "editors"}, nil, nil, claims.ReasonPerson},
		{"200 groups", change{"groups": slices.Repeat([]string{"g"}, 200)}, nil, nil, ""},
		{"201 groups", change{"groups": slices.Repeat([]string{"g"}, 201)}, nil, nil, claims.ReasonPerson},
		{"groups are elsewhere", change{"groups": nil, "_claim_names": change{"groups": "src1"}, "_claim_sources": sources},
			nil, nil, claims.ReasonOverage},
		{"other claims are elsewhere", change{"_claim_names": change{"address": "src1"}, "_claim_sources": sources}, nil, nil,
			""},
		{"groups are elsewhere, and the directory's count", change{"groups": nil,
			"_claim_names": change{"groups": "src1"}, "_claim_sources": sources}, nil, func(s *claims.Source) { s.Subject = claims.DirectoryLogin }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newOP(t)
			p.nonce, p.changes, p.sign = theAsk.Nonce, tt.changes, tt.sign
			s := p.source()
			if tt.set != nil {
				tt.set(s)
			}
			got, bad := p.redeem(t, s, theAsk, claims.Reply{Code: theCode, Issuer: p.URL})
			if reasonOf(bad) != tt.want || (got == nil) != (tt.want != "") {
				t.Errorf("got %v (%s), want %q", bad, reasonOf(bad), tt.want)
			}
		})
	}
}

// TestOpenIDReplies has what can stand in the callback's address.
func TestOpenIDReplies(t *testing.T) {
	p := newOP(t)
	p.nonce = theAsk.Nonce
	passive := theAsk
	passive.Passive = true
	for _, tt := range []struct {
		name  string
		ask   claims.Ask
		reply claims.Reply
		want  string
		codes int // that went to the token endpoint
	}{
		{"right", theAsk, claims.Reply{Code: theCode, Issuer: p.URL}, "", 1},
		{"another provider's", theAsk, claims.Reply{Code: theCode, Issuer: "https://evil.example.com"}, claims.ReasonMixUp, 0},
		{"without iss", theAsk, claims.Reply{Code: theCode}, claims.ReasonMixUp, 0},
		{"another provider's error", passive, claims.Reply{Error: "login_required", Issuer: "https://evil.example.com"},
			claims.ReasonMixUp, 0},
		{"nothing", theAsk, claims.Reply{Issuer: p.URL}, claims.ReasonProviderSays, 0},
		{"denied", theAsk, claims.Reply{Error: "access_denied", Issuer: p.URL}, claims.ReasonProviderSays, 0},
		{"an error and a code", theAsk, claims.Reply{Error: "access_denied", Code: theCode, Issuer: p.URL},
			claims.ReasonProviderSays, 0},
		{"an error that is a text", theAsk, claims.Reply{Error: "ana@example.com\nlevel=error", Issuer: p.URL},
			claims.ReasonProviderSays, 0},
		{"quietly nobody", passive, claims.Reply{Error: "login_required", Issuer: p.URL}, claims.ReasonNoLogin, 0},
		{"quietly a question", passive, claims.Reply{Error: "interaction_required", Issuer: p.URL}, claims.ReasonNoLogin, 0},
		{"a question that was not quiet", theAsk, claims.Reply{Error: "interaction_required", Issuer: p.URL},
			claims.ReasonProviderSays, 0},
		{"another code", theAsk, claims.Reply{Code: "guessed", Issuer: p.URL}, claims.ReasonCode, 1},
		{"a long code", theAsk, claims.Reply{Code: strings.Repeat("c", 3<<10), Issuer: p.URL}, claims.ReasonProviderSays, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(p.redeemed)
			if _, bad := p.redeem(t, p.source(), tt.ask, tt.reply); reasonOf(bad) != tt.want {
				t.Errorf("got %v (%s), want %q", bad, reasonOf(bad), tt.want)
			}
			if n := len(p.redeemed) - before; n != tt.codes {
				t.Errorf("%d codes went out, want %d", n, tt.codes)
			}
		})
	}
}

// TestOpenIDTokenEndpoint has what a token endpoint can answer.
func TestOpenIDTokenEndpoint(t *testing.T) {
	evil := newOP(t)
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"no ID token", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"access_token":"access-1"}`))
		}, claims.ReasonForm},
		{"an ID token that is an object", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"access_token":"access-1","id_token":{}}`))
		}, claims.ReasonForm},
		{"no JSON", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ana@example.com")) },
			claims.ReasonCode},
		{"down", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "ana@example.com", http.StatusServiceUnavailable)
		},
			claims.ReasonProviderDown},
		// The secret and the code must not follow.
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, evil.URL+"/token", http.StatusTemporaryRedirect)
		}, claims.ReasonCode},
		{"without end", func(w http.ResponseWriter, _ *http.Request) {
			for range 64 {
				if _, err := w.Write([]byte(strings.Repeat(" ", 16<<10))); err != nil {
					return
				}
			}
		}, claims.ReasonCode},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newOP(t)
			p.nonce, p.token = theAsk.Nonce, tt.answer
			if _, bad := p.redeem(t, p.source(), theAsk, claims.Reply{Code: theCode, Issuer: p.URL}); reasonOf(bad) != tt.want {
				t.Errorf("got %v (%s), want %q", bad, reasonOf(bad), tt.want)
			}
		})
	}
	if len(evil.redeemed) != 0 {
		t.Error("a redirect was followed with the client's secret")
	}
}

func TestOpenIDUserinfo(t *testing.T) {
	full := map[string]any{"sub": "u-1001", "given_name": "Anna", "family_name": "Díaz", "email": "ana@example.com",
		"email_verified": "true", "groups": []string{"editors"}}
	without := map[string]any{"family_name": nil, "email": nil, "email_verified": nil, "groups": nil}
	with := func(changes map[string]any) map[string]any {
		c := maps.Clone(full)
		maps.Copy(c, changes)
		maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
		return c
	}
	for _, tt := range []struct {
		name    string
		token   map[string]any
		info    map[string]any
		want    string
		mail    string
		groups  int
		trusted bool
	}{
		{"fills what is missing", without, full, "", "ana@example.com", 1, false},
		{"another sub", without, with(map[string]any{"sub": "u-1002"}), claims.ReasonUserinfo, "", 0, false},
		{"without sub", without, with(map[string]any{"sub": nil}), claims.ReasonUserinfo, "", 0, false},
		{"refused", without, nil, claims.ReasonUserinfo, "", 0, false},
		{"a mail address that is not verified", without, with(map[string]any{"email_verified": false}), "", "", 1, false},
		{"one of which that is not said", without, with(map[string]any{"email_verified": nil}), "", "", 1, false},
		{"one that is taken as it is", without, with(map[string]any{"email_verified": nil}), "", "ana@example.com", 1, true},
		// email_verified is about the address beside it: an unverified one of the token stays so.
		{"verified elsewhere", map[string]any{"email_verified": nil, "groups": nil}, full, "", "", 1, false},
		{"what the token says stays", map[string]any{"groups": []string{}, "family_name": nil},
			with(map[string]any{"groups": []string{"admins"}}), "", "ana@example.com", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newOP(t)
			p.nonce, p.changes, p.info = theAsk.Nonce, tt.token, tt.info
			s := p.source()
			s.OpenID.UnverifiedMail = tt.trusted
			got, bad := p.redeem(t, s, theAsk, claims.Reply{Code: theCode, Issuer: p.URL})
			if reasonOf(bad) != tt.want || p.asked != 1 {
				t.Fatalf("got %v (%s), want %q; asked %d times", bad, reasonOf(bad), tt.want, p.asked)
			}
			if bad == nil && (got.Person.Mail != tt.mail || len(got.Person.Groups) != tt.groups ||
				got.Person.FirstName != "Ana" || got.Person.LastName != "Díaz") {
				t.Errorf("got %+v", got.Person)
			}
			if bad == nil && got.Person.ID != s.PersonID("u-1001") {
				t.Error("the mail address made another person")
			}
		})
	}
}

// TestOpenIDDiscovery has what a discovery document can say, and where it may lead.
func TestOpenIDDiscovery(t *testing.T) {
	other := newOP(t)
	for _, tt := range []struct {
		name     string
		document map[string]any
		set      func(*claims.Source)
		want     string // in the cause; "": it is taken
	}{
		{"right", nil, nil, ""},
		{"another issuer", map[string]any{"issuer": other.URL}, nil, "another issuer"},
		{"a slash more", map[string]any{"issuer": other.URL + "/"}, nil, "another issuer"},
		{"without keys", map[string]any{"jwks_uri": nil}, nil, "jwks_uri"},
		{"without a token endpoint", map[string]any{"token_endpoint": 7}, nil, "token_endpoint"},
		{"a script to authorize at", map[string]any{"authorization_endpoint": "javascript:alert(1)"}, nil,
			"authorization_endpoint"},
		{"a token endpoint in the clear", map[string]any{"token_endpoint": "http://op.example.com/token"}, nil,
			"token_endpoint"},
		{"keys in the cloud's metadata", map[string]any{"jwks_uri": "https://169.254.169.254/keys"}, nil, "169.254.169.254"},
		{"keys at a private address", map[string]any{"jwks_uri": "https://10.0.0.1/keys"}, nil, "allow_private"},
		{"keys on this machine", nil, func(s *claims.Source) { s.OpenID.AllowPrivate = nil }, "allow_private"},
		{"only HMACs", map[string]any{"id_token_signing_alg_values_supported": []string{"HS256", "none"}}, nil,
			"signs ID tokens"},
		{"only plain PKCE", map[string]any{"code_challenge_methods_supported": []string{"plain"}}, nil, "PKCE"},
		{"only certificates of clients", map[string]any{"token_endpoint_auth_methods_supported": []string{"tls_client_auth"}},
			nil, "client_secret_basic"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newOP(t)
			p.document = tt.document
			s := p.source()
			if tt.set != nil {
				tt.set(s)
			}
			now := begin
			c, _ := openID(t, &now, s)
			_, bad := c.Address(t.Context(), s, theAsk)
			switch {
			case tt.want == "" && bad != nil:
				t.Error(bad)
			case tt.want != "" && (reasonOf(bad) != claims.ReasonProviderDown || !strings.Contains(bad.Detail, tt.want)):
				t.Errorf("got %v (%s), want %q in it", bad, reasonOf(bad), tt.want)
			}
		})
	}
}

// TestOpenIDEndpointsGuarded: a token endpoint or userinfo at an address that is not allowed gets neither code nor
// token, whatever discovery says.
func TestOpenIDEndpointsGuarded(t *testing.T) {
	p := newOP(t)
	p.nonce = theAsk.Nonce
	p.document = map[string]any{"token_endpoint": "https://[fd00::1]:1/token"}
	_, bad := p.redeem(t, p.source(), theAsk, claims.Reply{Code: theCode, Issuer: p.URL})
	if reasonOf(bad) != claims.ReasonProviderDown || !strings.Contains(bad.Detail, "allow_private") {
		t.Errorf("token endpoint: got %v (%s)", bad, reasonOf(bad))
	}
	p.document = map[string]any{"userinfo_endpoint": "https://10.9.9.9/userinfo"}
	p.changes = map[string]any{"email": nil}
	_, bad = p.redeem(t, p.source(), theAsk, claims.Reply{Code: theCode, Issuer: p.URL})
	if reasonOf(bad) != claims.ReasonUserinfo || !strings.Contains(bad.Detail, "allow_private") {
		t.Errorf("userinfo: got %v (%s)", bad, reasonOf(bad))
	}
}

// TestOpenIDKeysRollOver: a new key serves at once, within one request a minute; the last good set goes on while the
// provider is down; what grows or hangs costs seconds.
func TestOpenIDKeysRollOver(t *testing.T) {
	p := newOP(t)
	p.nonce = theAsk.Nonce
	s := p.source()
	now := begin
	c, _ := openID(t, &now, s)
	try := func(what, want string) {
		t.Helper()
		p.changes = map[string]any{"iat": now.Unix(), "exp": now.Unix() + 60}
		if _, bad := c.Redeem(t.Context(), s, theAsk, claims.Reply{Code: theCode, Issuer: p.URL}); reasonOf(bad) != want {
			t.Errorf("%s: got %v (%s), want %q", what, bad, reasonOf(bad), want)
		}
	}
	try("the first key", "")
	p.keys = append(p.keys, jwk(t, keys().rsa.Public(), map[string]any{"kid": "2"}))
	p.sign = func(c jwt.MapClaims) string {
		return sign(t, jwt.SigningMethodRS256, keys().rsa, map[string]any{"kid": "2", "typ": "JWT"}, c)
	}
	try("the next one within the minute", claims.ReasonKey)
	now = now.Add(time.Minute)
	try("the next one", "")
	p.keySet = func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusInternalServerError) }
	now = now.Add(23 * time.Hour)
	try("the last good set", "")
	now = now.Add(2 * time.Hour)
	try("for a day", claims.ReasonProviderDown)
	p.keySet = func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"keys":[{"a":"` + strings.Repeat("a", 300<<10) + `"}]}`))
	}
	now = now.Add(time.Minute)
	try("a set that grows", claims.ReasonProviderDown)
	hang := make(chan struct{})
	defer close(hang)
	p.keySet = func(http.ResponseWriter, *http.Request) { <-hang }
	now = now.Add(time.Minute)
	began := time.Now()
	_, bad := c.Address(t.Context(), s, theAsk)
	if took := time.Since(began); reasonOf(bad) != claims.ReasonProviderDown || took > 5*time.Second {
		t.Errorf("a set that hangs: got %v after %s", bad, took)
	}
}

// TestOpenIDLogoutTokens has what a logout token has to have (Back-Channel Logout 1.0 section 2.6).
func TestOpenIDLogoutTokens(t *testing.T) {
	p := newOP(t)
	s := p.source()
	now := begin
	c, _ := openID(t, &now, s)
	event := map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}
	type change = map[string]any
	for _, tt := range []struct {
		name    string
		changes change
		typ     any
		want    string
	}{
		{"right", nil, "logout+jwt", ""},
		{"typ JWT", nil, "JWT", ""},
		{"without typ", nil, nil, ""},
		{"without sid", change{"sid": nil}, "logout+jwt", ""},
		{"a launch token", nil, claims.TypeLaunch, claims.ReasonType},
		{"with a nonce", change{"nonce": "n"}, "logout+jwt", claims.ReasonType},
		{"without events", change{"events": nil}, "logout+jwt", claims.ReasonType},
		{"another event", change{"events": change{"http://schemas.openid.net/event/other": change{}}}, "logout+jwt",
			claims.ReasonType},
		{"an event that is no object", change{"events": change{
			"http://schemas.openid.net/event/backchannel-logout": "yes"}}, "logout+jwt", claims.ReasonType},
		{"another issuer", change{"iss": "https://evil.example.com"}, "logout+jwt", claims.ReasonIssuer},
		{"another audience", change{"aud": "other"}, "logout+jwt", claims.ReasonAudience},
		{"without jti", change{"jti": nil}, "logout+jwt", claims.ReasonClaims},
		{"by sid alone", change{"sub": nil}, "logout+jwt", ""},
		{"by neither", change{"sub": nil, "sid": nil}, "logout+jwt", claims.ReasonClaims},
		{"sub is empty", change{"sub": ""}, "logout+jwt", claims.ReasonClaims},
		{"sid is a number", change{"sid": 7}, "logout+jwt", claims.ReasonClaims},
		{"another signature", change{"forged": true}, "logout+jwt", claims.ReasonSignature},
		{"without exp", change{"exp": nil}, "logout+jwt", claims.ReasonClaims},
		{"over", change{"exp": begin.Unix() - 31}, "logout+jwt", claims.ReasonExpired},
		{"old", change{"iat": begin.Unix() - 151}, "logout+jwt", claims.ReasonExpired},
		{"from ahead", change{"iat": begin.Unix() + 31}, "logout+jwt", claims.ReasonFuture},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body := jwt.MapClaims{"iss": p.URL, "aud": clientID, "sub": "u-1001", "sid": "session-1", "iat": begin.Unix(),
				"exp": begin.Unix() + 120, "jti": "j1", "events": event}
			for name, value := range tt.changes {
				if body[name] = value; value == nil {
					delete(body, name)
				}
			}
			text := sign(t, jwt.SigningMethodES256, keys().ec, change{"kid": "1", "typ": tt.typ}, body)
			if body["forged"] != nil {
				text = text[:len(text)-8] + "AAAAAAAA"
			}
			got, bad := c.LogoutToken(t.Context(), s, text)
			silent(t, bad)
			if reasonOf(bad) != tt.want {
				t.Fatalf("got %v (%s), want %q", bad, reasonOf(bad), tt.want)
			}
			if bad == nil && (len(got.Used) == 0 || len(got.Names) == 0 || (got.Sub == "") != (tt.name == "by sid alone") ||
				(got.Session == "") != (tt.name == "without sid")) {
				t.Errorf("got %+v", got)
			}
		})
	}
	other, named := *s, *s.OpenID
	named.Identity, other.OpenID = "oid", &named
	text := sign(t, jwt.SigningMethodES256, keys().ec, change{"kid": "1", "typ": "logout+jwt"}, jwt.MapClaims{"iss": p.URL,
		"aud": clientID, "sub": "u-1001", "iat": begin.Unix(), "exp": begin.Unix() + 120, "jti": "j2", "events": event})
	// People of another claim are named by their sub as well.
	if got, bad := c.LogoutToken(t.Context(), &other, text); bad != nil || got.Sub != "u-1001" {
		t.Errorf("of a source whose people have another claim: got %+v, %v", got, bad)
	}
	forged := sign(t, jwt.SigningMethodES256, keys().ec, change{"kid": "9", "typ": "logout+jwt"},
		jwt.MapClaims{"iss": p.URL})
	if _, bad := c.LogoutToken(t.Context(), s, forged); reasonOf(bad) != claims.ReasonKey {
		t.Errorf("by an unknown key: got %v", bad)
	}
}

// TestOpenIDIsNoLaunch: what a provider signs is no launch token, whatever its claims are.
func TestOpenIDIsNoLaunch(t *testing.T) {
	p := newOP(t)
	s := p.source()
	now := begin
	_, ring := openID(t, &now, s)
	v := &claims.Verifier{Sources: []*claims.Source{s}, Audience: ours, Now: func() time.Time { return now }, Keys: ring}
	text := sign(t, jwt.SigningMethodES256, keys().ec, map[string]any{"kid": "1"}, body(map[string]any{"iss": p.URL}))
	if _, bad := v.Verify(t.Context(), text, claims.TypeLaunch, nil); reasonOf(bad) != claims.ReasonIssuer {
		t.Errorf("got %v (%s)", bad, reasonOf(bad))
	}
}

func TestOpenIDSettings(t *testing.T) {
	p := newOP(t)
	for _, tt := range []struct {
		name string
		set  func(*claims.Source)
		want string
	}{
		{"e-mail as identity", func(s *claims.Source) { s.OpenID.Identity = "email" }, "identity"},
		{"upn as identity", func(s *claims.Source) { s.OpenID.Identity = "upn" }, "identity"},
		{"preferred_username as identity", func(s *claims.Source) { s.OpenID.Identity = "preferred_username" }, "identity"},
		{"no identity", func(s *claims.Source) { s.OpenID.Identity = "" }, "identity"},
		{"no client_id", func(s *claims.Source) { s.OpenID.ClientID = "" }, "client_id"},
		{"no secret", func(s *claims.Source) { s.OpenID.ClientSecret = "" }, "client_secret"},
		{"without openid", func(s *claims.Source) { s.OpenID.Scopes = []string{"email"} }, "scopes"},
		{"a refresh token", func(s *claims.Source) { s.OpenID.Scopes = []string{"openid", "offline_access"} }, "refresh"},
		{"a key set beside it", func(s *claims.Source) { s.JWKS = "https://op.example.com/keys" }, "keys"},
	} {
		s := p.source()
		tt.set(s)
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q in it", tt.name, err, tt.want)
		}
	}
}

func TestOpenIDEndSession(t *testing.T) {
	p := newOP(t)
	s := p.source()
	now := begin
	c, _ := openID(t, &now, s)
	want := p.URL + "/logout?client_id=ssobridge&post_logout_redirect_uri=https%3A%2F%2Fsso.example.com%2Fsigned-out&ui=en"
	if got := c.EndSession(t.Context(), s, "https://sso.example.com/signed-out"); got != want {
		t.Errorf("got %s", got)
	}
	s.OpenID.Logout = false
	if got := c.EndSession(t.Context(), s, "https://sso.example.com/signed-out"); got != "" {
		t.Errorf("not asked for: got %s", got)
	}
}
