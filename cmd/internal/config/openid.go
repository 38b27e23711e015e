package config

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"ssobridge/idp/claims"
	"ssobridge/idp/netname"
	"ssobridge/internal/plaintext"
)

// SourceOpenID is about the OpenID provider of a source of the type oidc, at which the bridge is a client. The source's
// issuer is that of the provider, to the last slash. docs/openid-connect.md has what to register there.
type SourceOpenID struct {
	// Whose provider it is, for what differs: entra, google, or generic for all others. entra identifies people by oid
	// and binds the source to the tenant that its issuer names; google binds it to hosted_domain.
	// Default generic.
	// Example: entra
	Preset string `yaml:"preset"`

	// The client_id under which the bridge is registered at the provider.
	// Required with type oidc.
	// Example: 6f0a4c3e-7b0f-4c52-9a4f-0d6f2b1f8f11
	ClientID string `yaml:"client_id"`

	// How the bridge proves itself at the provider: client_secret, by a secret that both have, or private_key_jwt, by a
	// token that it signs with a private key, of which the provider has the public key alone.
	// Default client_secret.
	// Example: private_key_jwt
	ClientAuth string `yaml:"client_auth"`

	// A file with the client's secret.
	// Required with type oidc, unless client_auth is private_key_jwt.
	// Example: workforce_secret
	ClientSecretFile string `yaml:"client_secret_file"`

	// A file with the private key (PEM): one on P-256, which signs by ES256, or an RSA key of 2048 to 4096 bits (RS256).
	// Required with client_auth private_key_jwt, and used for nothing else.
	// Example: workforce_key.pem
	ClientKeyFile string `yaml:"client_key_file"`

	// The key id (kid) under which the provider has the public key.
	// Default none: it finds the key by itself.
	// Example: "2026-11"
	ClientKeyID string `yaml:"client_key_id"`

	// By what the signed token names the provider: issuer, or token_endpoint for providers that ask for it, such as Okta.
	// Default issuer.
	// Example: token_endpoint
	ClientAudience string `yaml:"client_audience"`

	// What is asked for. openid is among them; offline_access never is, since no token is kept.
	// Default [openid, profile, email].
	// Example: [openid, profile, email]
	Scopes []string `yaml:"scopes"`

	// The claim of the ID token that says who somebody is. It never changes, and is never given to somebody else: a mail
	// address, a upn or a preferred_username is refused.
	// Default sub; oid with preset entra.
	// Example: sub
	Identity string `yaml:"identity"`

	// The Google Workspace domain that the people are of: the hd of their ID tokens. With preset google, where it is
	// required: else everybody with a Google account could sign in.
	// Default none.
	// Example: example.com
	HostedDomain string `yaml:"hosted_domain"`

	// Whether the provider knows prompt=none. Then a service provider's request with IsPassive is sent there; else it is
	// answered by NoPassive.
	// Default false.
	// Example: true
	Passive bool `yaml:"passive"`

	// Whether a mail address is taken that the provider does not call verified (email_verified). It is a contact address
	// either way, and never says who somebody is.
	// Default false.
	// Example: false
	UnverifiedMail bool `yaml:"unverified_mail"`

	// Whether somebody who signs out at the bridge is led to the provider to sign out there too.
	// Default false.
	// Example: true
	Logout bool `yaml:"logout"`

	// Mail domains whose people this source signs in: a login name of one of them on the login page leads there. No other
	// source has the same.
	// Default none.
	// Example: [example.com]
	Domains []string `yaml:"domains"`

	// Internal addresses at which the provider may be, as CIDR ranges.
	// Default none: only public addresses are asked.
	// Example: [10.20.0.0/24]
	AllowPrivate []string `yaml:"allow_private"`

	secret  Secret // what the file holds
	key     *claims.ClientKey
	private []netip.Prefix
}

// The presets of OpenID providers.
const (
	presetGeneric = "generic"
	presetEntra   = "entra"
	presetGoogle  = "google"
)

// openIDType is the type of a source with an OpenID provider.
const openIDType = "oidc"

// How the bridge proves itself, and by what it names the provider then.
const (
	bySecret       = "client_secret"
	byPrivateKey   = "private_key_jwt"
	audienceIssuer = "issuer"
	audienceToken  = "token_endpoint"
)

// OpenIDPath is the path of a source's callback. Each source has its own, so that the answer of one provider is never
// taken for that of another.
func OpenIDPath(name string) string { return "/oidc/" + name + "/callback" }

// newSourceOpenID has the defaults.
func newSourceOpenID() SourceOpenID {
	return SourceOpenID{Preset: presetGeneric, Scopes: []string{"openid", "profile", "email"}, ClientAuth: bySecret,
		ClientAudience: audienceIssuer}
}

// signsIn tells whether a source has a sign-in of its own.
func (s Source) signsIn() bool { return s.LoginURL != "" || s.Type == openIDType }

// given tells whether somebody wrote something into the section.
func (o SourceOpenID) given() bool {
	return o.ClientID != "" || o.ClientSecretFile != "" || o.ClientKeyFile != "" || o.ClientAuth != bySecret ||
		o.ClientKeyID != "" || o.ClientAudience != audienceIssuer || o.Preset != presetGeneric || o.Identity != "" ||
		o.HostedDomain != "" || len(o.Domains) > 0 || len(o.AllowPrivate) > 0
}

// resolveOpenID makes the names of the files of secret and key whole.
func (o *SourceOpenID) resolveOpenID(folder string) {
	for _, file := range []*string{&o.ClientSecretFile, &o.ClientKeyFile} {
		if *file != "" && !filepath.IsAbs(*file) {
			*file = filepath.Join(folder, *file)
		}
	}
}

// readOpenID reads the files of the client's secret and key, and what else is not used as it is written.
func (o *SourceOpenID) readOpenID(at string, f *faults) {
	o.secret, o.key, o.private = "", nil, nil
	if o.ClientKeyFile != "" {
		data, err := ReadFile(o.ClientKeyFile, maxSecretFile)
		if err != nil {
			f.add(at+".client_key_file", o.ClientKeyFile+" can't be read: "+PlainCause(err), notReadable)
		} else if o.key, err = claims.ParseClientKey(data, o.ClientKeyID, o.ClientAudience == audienceToken); err != nil {
			f.add(at+".client_key_file", o.ClientKeyFile+": "+err.Error(), "make one: openssl genpkey -algorithm EC "+
				"-pkeyopt ec_paramgen_curve:P-256 -out "+filepath.Base(o.ClientKeyFile))
		}
	}
	if o.ClientSecretFile != "" {
		data, err := ReadFile(o.ClientSecretFile, maxSecretFile)
		if err != nil {
			f.add(at+".client_secret_file", o.ClientSecretFile+" can't be read: "+PlainCause(err), notReadable)
		}
		o.secret = Secret(strings.TrimSpace(string(data)))
		if err == nil && o.secret == "" {
			f.add(at+".client_secret_file", o.ClientSecretFile+" is empty", "write the client's secret into it")
		}
	}
	for _, text := range o.AllowPrivate {
		r, err := netip.ParsePrefix(text)
		if err != nil || r != r.Masked() {
			f.add(at+".allow_private", plaintext.Quote(text)+" is no CIDR range", "write for example 10.20.0.0/24")
			continue
		}
		o.private = append(o.private, r)
	}
}

// tenantPath is the path of an issuer of Entra ID that is one tenant's. common, organizations and consumers sign for
// everybody: whoever may make a tenant of their own could then make an oid of somebody else's.
var tenantPath = regexp.MustCompile(`^/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/v2\.0$`)

// consumersTenant is what consumers stands for: the tenant of everybody's own Microsoft account.
const consumersTenant = "9188040d-6c67-4c5b-b112-36a304b66dad"

// googleIssuer is that of all Google accounts, of whatever organization.
const googleIssuer = "https://accounts.google.com"

// mailDomain is what can stand behind the @ of an address, in lower case.
var mailDomain = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+$`)

// checkOpenID checks the settings of a source of the type oidc.
func checkOpenID(c *Config, at string, s Source, f *faults) {
	o := s.OpenID
	if len(s.Keys) > 0 || s.JWKSURL != "" || s.HS256SecretFile != "" || s.LoginURL != "" || len(s.Origins) > 0 {
		f.add(at+".type", "keys, jwks_url, hs256_secret_file, login_url and origins are for "+signedLaunch,
			"remove them: the provider says by discovery where it is and what it signs with")
	}
	if s.Issuer != "" {
		if err := netname.CheckAddress(s.Issuer, c.Metadata.AllowLoopbackHTTP); err != nil {
			f.add(at+".issuer", err.Error(), "write the provider's issuer, for example https://id.example.com")
		}
	}
	at += ".oidc"
	f.required(at+".client_id", o.ClientID, "what the provider has named the bridge")
	o.checkClientAuth(at, f)
	switch o.Preset {
	case presetGeneric:
		if s.Issuer == googleIssuer {
			f.add(at+".preset", "is generic, and everybody with a Google account could sign in", "write google, and "+
				"hosted_domain beside it")
		}
	case presetEntra:
		if u, err := url.Parse(s.Issuer); err != nil || !tenantPath.MatchString(u.Path) ||
			strings.Contains(u.Path, consumersTenant) {
			f.add(strings.TrimSuffix(at, ".oidc")+".issuer", "is not the issuer of one tenant: common, organizations and "+
				"consumers sign for everybody", "write https://login.microsoftonline.com/TENANT_ID/v2.0")
		}
	case presetGoogle:
		if o.HostedDomain == "" {
			f.add(at+".hosted_domain", "is missing: everybody with a Google account could sign in",
				"write the domain of the Google Workspace organization")
		}
	default:
		f.add(at+".preset", plaintext.Quote(o.Preset)+" is no preset", "write entra, google or generic")
	}
	if o.HostedDomain != "" && o.Preset != presetGoogle {
		f.add(at+".hosted_domain", "is for preset google", "remove it, or write preset: google")
	}
	for _, domain := range o.Domains {
		if !mailDomain.MatchString(domain) {
			f.add(at+".domains", plaintext.Quote(domain)+" is no mail domain in lower case", "write for example example.com")
		}
	}
}

// checkClientAuth checks by what the bridge proves itself.
func (o SourceOpenID) checkClientAuth(at string, f *faults) {
	const keys = "client_key_file, client_key_id and client_audience are for client_auth: " + byPrivateKey
	switch o.ClientAuth {
	case bySecret:
		f.required(at+".client_secret_file", o.ClientSecretFile, "workforce_secret")
		if o.ClientKeyFile != "" || o.ClientKeyID != "" || o.ClientAudience != audienceIssuer {
			f.add(at+".client_auth", keys, "remove them, or write client_auth: "+byPrivateKey)
		}
	case byPrivateKey:
		f.required(at+".client_key_file", o.ClientKeyFile, "workforce_key.pem")
		if o.ClientSecretFile != "" {
			f.add(at+".client_secret_file", "is for client_auth: "+bySecret, "remove it: the private key proves who asks")
		}
		if o.Preset == presetEntra {
			f.add(at+".client_auth", "is "+byPrivateKey+", and Entra ID asks for the thumbprint of a certificate in the token, "+
				"which is not sent", "use a client secret there")
		}
	default:
		f.add(at+".client_auth", plaintext.Quote(o.ClientAuth)+" is no way to prove oneself", "write "+bySecret+" or "+
			byPrivateKey)
	}
	if o.ClientAudience != audienceIssuer && o.ClientAudience != audienceToken {
		f.add(at+".client_audience", plaintext.Quote(o.ClientAudience)+" is none", "write "+audienceIssuer+" or "+
			audienceToken)
	}
}

// checkDomains checks that a mail domain leads to one source.
func checkDomains(c *Config, f *faults) {
	taken := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		for _, domain := range c.Sources[name].OpenID.Domains {
			if other, twice := taken[domain]; twice {
				f.add("sources."+name+".oidc.domains", fmt.Sprintf("%s stands at %s too", plaintext.Quote(domain), other),
					"keep one of the two")
			}
			taken[domain] = name
		}
	}
}

// openID is the section as package claims has it; nil with another type.
func (s Source) openID(name, publicURL string) *claims.OpenID {
	if s.Type != openIDType {
		return nil
	}
	o := s.OpenID
	u := &claims.OpenID{
		ClientID: o.ClientID, ClientSecret: string(o.secret), Key: o.key,
		Redirect: strings.TrimSuffix(publicURL, "/") + OpenIDPath(name),
		Scopes:   o.Scopes, Identity: o.Identity, Passive: o.Passive, UnverifiedMail: o.UnverifiedMail, Logout: o.Logout,
		AllowPrivate: o.private,
	}
	if u.Identity == "" {
		u.Identity = "sub"
		if o.Preset == presetEntra {
			u.Identity = "oid"
		}
	}
	switch o.Preset {
	case presetEntra:
		if issuer, err := url.Parse(s.Issuer); err == nil {
			if found := tenantPath.FindStringSubmatch(issuer.Path); found != nil {
				u.Pins = append(u.Pins, claims.Pin{Claim: "tid", Text: found[1]})
			}
		}
	case presetGoogle:
		u.Pins = append(u.Pins, claims.Pin{Claim: "hd", Text: o.HostedDomain})
	}
	return u
}
