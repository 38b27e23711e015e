package config

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"

	"ssobridge/idp"
	"ssobridge/idp/claims"
	"ssobridge/idp/netname"
	"ssobridge/internal/plaintext"
	"ssobridge/store"
)

// Source is a source of people beside the directory: the partner's own application, which sends somebody who is signed
// in there with a signed token, or an OpenID provider that signs them in.
type Source struct {
	// What the source is: signed_launch, an application that signs a token for each launch; oidc, an OpenID provider.
	// Default signed_launch.
	// Example: signed_launch
	Type string `yaml:"type"`

	// The iss of the source's tokens, and with type oidc the issuer of the provider. No other source has the same.
	// Required.
	// Example: https://portal.example.com
	Issuer string `yaml:"issuer"`

	// Whose id the sub of a token is. own: the source's, and the person is what the token says. directory_id or
	// directory_login: the directory's, which then decides about the person's state and groups at every sign-in.
	// Default own.
	// Example: own
	Subject string `yaml:"subject"`

	// Files with the public keys that the source signs with: PEM, a JWK or a JWK set. EC keys on P-256 verify ES256,
	// Ed25519 keys EdDSA, RSA keys of 2048 bits or more RS256, or PS256 where a JWK says so.
	// Default none: jwks_url is used.
	// Example: [portal.pem]
	Keys []string `yaml:"keys"`

	// The address of the source's JWK set, in place of keys. It is fetched when it is needed, once a minute at most.
	// metadata.allow_internal holds for it too.
	// Default none.
	// Example: https://portal.example.com/jwks.json
	JWKSURL string `yaml:"jwks_url"`

	// How long the last JWK set is used while none can be fetched. From 10m to 168h.
	// Default 24h.
	// Example: 24h
	JWKSMaxStale time.Duration `yaml:"jwks_max_stale"`

	// A file with a secret that is shared with the source, in place of keys, for tokens signed by HS256: at least 32
	// random bytes as base64. Whoever knows it can sign as the source, the bridge's own machine included: prefer keys.
	// Default none.
	// Example: portal_secret
	HS256SecretFile string `yaml:"hs256_secret_file"`

	// Origins of the application's pages from which a launch goes on by itself. From elsewhere, and where the browser does
	// not say from where, a page names person and account and waits for a click.
	// Default none: each launch waits for a click.
	// Example: [https://portal.example.com]
	Origins []string `yaml:"origins"`

	// Where the application signs people in whose sign-in began at the bridge: from a service provider, by a link, or
	// when a session is over. The browser goes there with the parameter request, which the token that comes back names,
	// and with force=1 where the person has to prove themselves anew. https, or http on loopback.
	// Default none: people come from the application alone.
	// Example: https://portal.example.com/constant-contact
	LoginURL string `yaml:"login_url"`

	// What the login page's button for login_url calls the source.
	// Default none: its name.
	// Example: Example Portal
	Label string `yaml:"label"`

	// Entity IDs of service providers whose sign-ins go to login_url at once, in place of the login page. No other source
	// has the same.
	// Default none: see sign_in.source.
	// Example: [https://sp.example.com]
	Providers []string `yaml:"providers"`

	// The client accounts that the source may give its people: ids, or patterns with * and ?. With subject own only.
	// Default none: it gives nobody anything.
	// Example: [a07e1lxqqqo0, a07f*]
	AllowAccounts []string `yaml:"allow_accounts"`

	// The roles that the source may give its people: account_manager, campaign_creator, owner. With subject own only.
	// Default none: it gives nobody anything.
	// Example: [account_manager, campaign_creator]
	AllowRoles []string `yaml:"allow_roles"`

	// What the groups of a token give: a pattern over a group's name with {account} and {role}, or GROUP = ACCOUNT ROLE,
	// where GROUP may be a pattern too. allow_accounts and allow_roles bound it.
	// Default none.
	// Example: ["ctct-{account}-{role}", "editors = a07e1lxqqqo0 campaign_creator"]
	Groups []string `yaml:"groups"`

	// The names of the claims that the source's tokens have their data in.
	Claims SourceClaims `yaml:"claims"`

	// What values of the token's acr and amr are believed: acr=VALUE or amr=VALUE, and behind it password or
	// password_protected, the authentication context that assertions name (AuthnContext), and second_factor: it
	// counts as a second factor, in assertions too. Whoever has the source's signing key can say so of anybody.
	// Default none: nothing is believed, and assertions say unspecified.
	// Example: ["acr=loa2 password_protected", "amr=mfa second_factor"]
	Trust []string `yaml:"trust"`

	// Whether assertions have the token's auth_time as the time of the login (AuthnInstant).
	// Default false: they have the time at which the token was made.
	// Example: true
	TrustAuthTime bool `yaml:"trust_auth_time"`

	// How far the source's clock may be from the bridge's. At most 60s.
	// Default 30s.
	// Example: 30s
	Skew time.Duration `yaml:"skew"`

	// Whether a launch begins a session.
	Session SourceSession `yaml:"session"`

	// How long it is kept what the source's tokens said of somebody who does not come any more: names, mail address,
	// groups, accounts. Their user at Constant Contact stays in the ledger. With subject own only. From 24h to 9600h.
	// Default 2160h (90 days).
	// Example: 2160h
	Keep time.Duration `yaml:"keep"`

	// After how long without a token a plan lists the users of the source's people as leavers: a manual task, and nobody
	// is suspended. With subject own only, and at most keep.
	// Default 0s: never.
	// Example: 1440h
	LeaverAfter time.Duration `yaml:"leaver_after"`

	// The OpenID provider of a source of the type oidc.
	OpenID SourceOpenID `yaml:"oidc"`

	keys []claims.Key // what the files hold
}

// SourceClaims are the names of claims. An empty one is not read.
type SourceClaims struct {
	// The first name, a text.
	// Default given_name.
	// Example: given_name
	FirstName string `yaml:"first_name"`

	// The last name, a text.
	// Default family_name.
	// Example: family_name
	LastName string `yaml:"last_name"`

	// The mail address, a text. It is a contact address and never says who somebody is.
	// Default email.
	// Example: email
	Mail string `yaml:"mail"`

	// What lists call the person, a text; the source's name is put before it.
	// Default none: sub.
	// Example: preferred_username
	Login string `yaml:"login"`

	// The names of the person's groups, a list of texts.
	// Default groups.
	// Example: groups
	Groups string `yaml:"groups"`

	// Client accounts, a list of objects with account and role.
	// Default accounts.
	// Example: accounts
	Accounts string `yaml:"accounts"`
}

// SourceSession is about sessions that a launch begins.
type SourceSession struct {
	// How long after a launch further sign-ins go on without a token. At most 15m. The admin console never does, and a
	// person's second factors are never changed in such a session.
	// Default 0s: every launch brings a token.
	// Example: 15m
	MaxAge time.Duration `yaml:"max_age"`
}

// signedLaunch is the one type of source.
const signedLaunch = "signed_launch"

// NewSource is a source with the defaults of its keys.
func NewSource() Source {
	return Source{Type: signedLaunch, Subject: string(claims.Own), JWKSMaxStale: 24 * time.Hour, Skew: 30 * time.Second,
		Keep: SourceKeep,
		Claims: SourceClaims{FirstName: "given_name", LastName: "family_name", Mail: "email", Groups: "groups",
			Accounts: "accounts"}, OpenID: newSourceOpenID()}
}

// SourceKeep is how long people of sources are kept by default, and those of sources that are gone.
const SourceKeep = 90 * 24 * time.Hour

// maxSources bounds how many there are.
const maxSources = 50

// readSources reads the section of sources, whose keys are their names.
func readSources(node *yaml.Node, field reflect.Value, path string, f *faults) {
	if node.Kind != yaml.MappingNode {
		f.addAt(node.Line, path, "want a section with names, got "+kindName(node),
			"write one name for each source, and its keys below it")
		return
	}
	sources := map[string]Source{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name := node.Content[i].Value
		full := join(path, name)
		if _, twice := sources[name]; twice {
			f.addAt(node.Content[i].Line, full, "stands twice", "keep one of the two")
			continue
		}
		f.origin.lines[full] = node.Content[i].Line
		source := reflect.New(reflect.TypeFor[Source]()).Elem()
		source.Set(reflect.ValueOf(NewSource()))
		readStruct(node.Content[i+1], source, full, f)
		sources[name] = source.Interface().(Source)
	}
	field.Set(reflect.ValueOf(sources))
}

// resolveSources makes the names of files whole.
func resolveSources(c *Config, folder string) {
	for name, s := range c.Sources {
		s.Keys = slices.Clone(s.Keys)
		for i, file := range s.Keys {
			if file != "" && !filepath.IsAbs(file) {
				s.Keys[i] = filepath.Join(folder, file)
			}
		}
		if s.HS256SecretFile != "" && !filepath.IsAbs(s.HS256SecretFile) {
			s.HS256SecretFile = filepath.Join(folder, s.HS256SecretFile)
		}
		s.OpenID.resolveOpenID(folder)
		c.Sources[name] = s
	}
}

// readSourceKeys reads the files of the sources' keys.
func readSourceKeys(c *Config, f *faults) {
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		s := c.Sources[name]
		s.keys = nil
		for _, file := range s.Keys {
			data, err := ReadFile(file, maxSecretFile)
			if err != nil {
				f.add("sources."+name+".keys", file+" can't be read: "+PlainCause(err), notReadable)
				continue
			}
			found, err := claims.ParseKeys(data)
			if err != nil {
				f.add("sources."+name+".keys", file+" can't be used: "+err.Error(),
					"give a PEM public key, a certificate, a JWK or a JWK set")
				continue
			}
			s.keys = append(s.keys, found...)
		}
		if s.HS256SecretFile != "" {
			if k, ok := readSharedSecret(name, s.HS256SecretFile, f); ok {
				s.keys = append(s.keys, k)
			}
		}
		s.OpenID.readOpenID("sources."+name+".oidc", f)
		c.Sources[name] = s
	}
}

// ReadSourceKeys reads the files of the sources' keys, for a configuration that was made in code.
func (c *Config) ReadSourceKeys() error {
	f := &faults{}
	readSourceKeys(c, f)
	return f.err()
}

func readSharedSecret(name, file string, f *faults) (k claims.Key, ok bool) {
	key, fix := "sources."+name+".hs256_secret_file", "write into it what `openssl rand -base64 32` prints"
	data, err := ReadFile(file, maxSecretFile)
	if err != nil {
		f.add(key, file+" can't be read: "+PlainCause(err), notReadable)
		return k, false
	}
	secret, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(data)))
	if err != nil {
		f.add(key, file+" is not base64", fix) // the fault would quote the secret
		return k, false
	}
	if k, err = claims.NewSecret(secret); err != nil {
		f.add(key, file+" can't be used: "+err.Error(), fix)
		return k, false
	}
	return k, true
}

func checkSources(c *Config, f *faults) {
	if len(c.Sources) > maxSources {
		f.add("sources", fmt.Sprintf("has %d sources", len(c.Sources)), fmt.Sprintf("use at most %d", maxSources))
	}
	issuers := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		s, at := c.Sources[name], "sources."+name
		if !claims.ValidName(name) {
			f.add(at, plaintext.Quote(name)+" can't name a source", "use 1 to 20 of a-z, 0-9 and -, with a letter first")
			continue
		}
		if s.Type != signedLaunch && s.Type != openIDType {
			f.add(at+".type", plaintext.Quote(s.Type)+" is no type of source", "write "+signedLaunch+" or "+openIDType)
		}
		if f.required(at+".issuer", s.Issuer, "https://portal.example.com") {
			if other, taken := issuers[s.Issuer]; taken {
				f.add(at+".issuer", "is the issuer of "+other+" too", "give each source an issuer of its own")
			}
			issuers[s.Issuer] = name
		}
		doc := "docs/signed-launch.md"
		whole := s.Issuer != ""
		if s.Type == openIDType {
			doc = "docs/openid-connect.md"
			whole = whole && s.OpenID.ClientID != "" && s.OpenID.secret != ""
			checkOpenID(c, at, s, f)
		} else {
			whole = whole && (len(s.keys) > 0) != (s.JWKSURL != "")
			checkSourceKeys(c, at, s, f)
			if s.OpenID.given() {
				f.add(at+".oidc", "is for type "+openIDType, "write type: "+openIDType+", or remove the section")
			}
		}
		f.between(at+".jwks_max_stale", s.JWKSMaxStale, 10*time.Minute, 168*time.Hour)
		f.between(at+".skew", s.Skew, 0, claims.MaxSkew)
		f.between(at+".session.max_age", s.Session.MaxAge, 0, 15*time.Minute)
		f.between(at+".keep", s.Keep, 24*time.Hour, 400*24*time.Hour)
		checkSourceBounds(at, s, f)
		checkSourceLogin(at, s, f)
		for _, text := range s.Trust {
			if _, err := claims.ParseTrust(text); err != nil {
				f.add(at+".trust", plaintext.Quote(text)+": "+err.Error(), "write for example amr=mfa second_factor")
			}
		}
		if err := s.source(name, c.PublicURL).Check(); err != nil && whole {
			f.add(at, strings.ReplaceAll(err.Error(), "\n", "; "), "correct it as "+doc+" says")
		}
	}
}

// checkSourceKeys checks that a source has keys of one kind.
func checkSourceKeys(c *Config, at string, s Source, f *faults) {
	given := 0
	for _, there := range []bool{len(s.Keys) > 0, s.JWKSURL != "", s.HS256SecretFile != ""} {
		if there {
			given++
		}
	}
	switch {
	case given == 0:
		f.add(at+".keys", "is missing", "name a file with the source's public key, or give jwks_url")
	case given > 1:
		f.add(at+".keys", "keys, jwks_url and hs256_secret_file stand beside each other", "keep one of them")
	case s.JWKSURL != "":
		if err := netname.CheckAddress(s.JWKSURL, c.Metadata.AllowLoopbackHTTP); err != nil {
			f.add(at+".jwks_url", err.Error(), "write for example https://portal.example.com/jwks.json")
		}
	}
}

// checkSourceLogin checks where a source signs people in. The address is the configuration's and never a request's, so
// that nobody's link leads anywhere else.
func checkSourceLogin(at string, s Source, f *faults) {
	if len(s.Label) > 40 || strings.ContainsFunc(s.Label, unicode.IsControl) {
		f.add(at+".label", "is longer than 40 bytes, or has control characters", "write the source's short name")
	}
	if s.LoginURL == "" {
		if (len(s.Providers) > 0 || s.Label != "") && !s.signsIn() {
			f.add(at+".providers", "providers and label are about login_url, which is missing", "give login_url, or remove them")
		}
		return
	}
	const example = "write for example https://portal.example.com/constant-contact"
	u, err := url.Parse(s.LoginURL)
	switch checked := netname.CheckAddress(s.LoginURL, true); {
	case checked != nil:
		f.add(at+".login_url", checked.Error(), example)
	case err != nil || u.Fragment != "" || u.Query().Has("request") || u.Query().Has("force"):
		f.add(at+".login_url", "has a fragment, or a parameter request or force, which the bridge adds", example)
	}
}

// checkWays checks who signs people in.
func checkWays(c *Config, f *faults) {
	checkDomains(c, f)
	ways, taken := 0, map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		s := c.Sources[name]
		if s.signsIn() {
			ways++
		}
		for _, entityID := range s.Providers {
			if other, twice := taken[entityID]; twice {
				f.add("sources."+name+".providers", plaintext.Quote(entityID)+" stands at "+other+" too", "keep one of the two")
			}
			taken[entityID] = name
		}
	}
	if name := c.SignIn.Source; name != "" && !c.Sources[name].signsIn() {
		f.add("sign_in.source", plaintext.Quote(name)+" is no source with login_url or of the type oidc",
			"name one of sources, or remove it")
	}
	if !c.SignIn.Password && ways == 0 {
		f.add("sign_in.password", "is off, and no source has login_url or is of the type oidc: nobody could sign in",
			"give a source login_url")
	}
}

// checkSourceBounds checks what a source may give.
func checkSourceBounds(at string, s Source, f *faults) {
	if s.Subject != string(claims.Own) && len(s.AllowAccounts)+len(s.AllowRoles)+len(s.Groups) > 0 {
		f.add(at+".allow_accounts", "allow_accounts, allow_roles and groups are for subject own; here the directory decides",
			"remove them, or write subject: own")
	}
	switch {
	case s.LeaverAfter == 0:
	case s.Subject != string(claims.Own):
		f.add(at+".leaver_after", "leaver_after is for subject own; here the directory says who has left",
			"remove it, or write subject: own")
	case s.LeaverAfter < 24*time.Hour || s.LeaverAfter > s.Keep:
		f.add(at+".leaver_after", "is less than a day, or longer than keep", "write at least 24h, and at most what keep is")
	}
	for _, role := range s.AllowRoles {
		if _, err := store.ParseRole(role); err != nil {
			f.add(at+".allow_roles", err.Error(), "write the roles that the source may give")
		}
	}
	for _, text := range s.Groups {
		if _, err := idp.ParseSourceRule(text); err != nil {
			f.add(at+".groups", plaintext.Quote(text)+": "+err.Error(),
				"write a pattern with {account} and {role}, or GROUP = ACCOUNT ROLE")
		}
	}
}

// source is a source as package claims has it.
func (s Source) source(name, publicURL string) *claims.Source {
	return &claims.Source{
		Name: name, Issuer: s.Issuer, Subject: claims.Subject(s.Subject), Keys: s.keys, JWKS: s.JWKSURL, Origins: s.Origins,
		AllowAccounts: s.AllowAccounts, AllowRoles: s.AllowRoles,
		Claims: claims.Names{FirstName: s.Claims.FirstName, LastName: s.Claims.LastName, Mail: s.Claims.Mail,
			Login: s.Claims.Login, Groups: s.Claims.Groups, Accounts: s.Claims.Accounts},
		Skew: s.Skew, MaxStale: s.JWKSMaxStale, MaxAge: s.Session.MaxAge, OpenID: s.openID(name, publicURL),
		Trust: s.trusts(), TrustAuthTime: s.TrustAuthTime,
	}
}

// trusts are those that can be read; the check names the others.
func (s Source) trusts() (all []claims.Trust) {
	for _, text := range s.Trust {
		if t, err := claims.ParseTrust(text); err == nil {
			all = append(all, t)
		}
	}
	return all
}

// SourceLives are how long people are kept, by source.
func (c *Config) SourceLives() map[string]time.Duration {
	all := map[string]time.Duration{}
	for name, s := range c.Sources {
		all[name] = s.Keep
	}
	return all
}

// LeaverAfter is after how long without a token a source's people are leavers; 0: never.
func (c *Config) LeaverAfter(source string) time.Duration { return c.Sources[source].LeaverAfter }

// SourceOptions are the sources of people beside the directory, in the order of their names.
func (c *Config) SourceOptions() (all []idp.Source, err error) {
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		s := c.Sources[name]
		source := idp.Source{Source: s.source(name, c.PublicURL), Label: s.Label, Providers: s.Providers,
			Domains: s.OpenID.Domains}
		if s.LoginURL != "" {
			source.Upstream = idp.LoginURL(s.LoginURL)
		}
		for _, text := range s.Groups {
			rule, err := idp.ParseSourceRule(text)
			if err != nil {
				return nil, fmt.Errorf("read sources.%s.groups: %w", name, err)
			}
			source.Rules = append(source.Rules, rule)
		}
		all = append(all, source)
	}
	return all, nil
}
