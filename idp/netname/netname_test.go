package netname_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"ssobridge/idp/netname"
)

// TestLoopback: browsers take names below localhost for their own machine; a connection of ours to one may leave it.
func TestLoopback(t *testing.T) {
	for host, want := range map[string]struct{ browser, peer bool }{
		"localhost":           {true, true},
		"LocalHost":           {true, true},
		"127.0.0.1":           {true, true},
		"127.8.9.1":           {true, true},
		"::1":                 {true, true},
		"::ffff:127.0.0.1":    {true, true},
		"sso.localhost":       {true, false},
		"A.B.LOCALHOST":       {true, false},
		"":                    {false, false},
		"localhost.":          {false, false}, // a resolver's own spelling, which no setting needs
		"xlocalhost":          {false, false},
		"localhost.example":   {false, false},
		"127.0.0.1.nip.io":    {false, false},
		"0.0.0.0":             {false, false},
		"10.0.0.1":            {false, false},
		"0x7f.1":              {false, false},
		"2130706433":          {false, false},
		"::":                  {false, false},
		"fe80::1%lo":          {false, false},
		"sso.example.com":     {false, false},
		"localhost@evil.test": {false, false},
	} {
		if got := netname.Loopback(host); got != want.browser {
			t.Errorf("Loopback(%q) = %t, want %t", host, got, want.browser)
		}
		if got := netname.LoopbackPeer(host); got != want.peer {
			t.Errorf("LoopbackPeer(%q) = %t, want %t", host, got, want.peer)
		}
	}
}

func TestParsePublicURL(t *testing.T) {
	for text, want := range map[string]struct {
		url, origin string
		err         error
	}{
		"https://sso.example.com":       {"https://sso.example.com", "https://sso.example.com", nil},
		"https://sso.example.com/":      {"https://sso.example.com", "https://sso.example.com", nil},
		"https://SSO.Example.com:8443":  {"https://sso.example.com:8443", "https://sso.example.com:8443", nil},
		"https://sso.example.com:443":   {"https://sso.example.com:443", "https://sso.example.com", nil},
		"https://sso.example.com:80":    {"https://sso.example.com:80", "https://sso.example.com:80", nil},
		"http://localhost:80":           {"http://localhost:80", "http://localhost", nil},
		"http://sso.localhost:8080":     {"http://sso.localhost:8080", "http://sso.localhost:8080", nil},
		"http://[::1]:8080":             {"http://[::1]:8080", "http://[::1]:8080", nil},
		"http://sso.example.com":        {"", "", netname.ErrPublicHTTP},
		"http://xlocalhost:8444":        {"", "", netname.ErrPublicHTTP},
		"https://sso.example.com/saml":  {"", "", netname.ErrMoreThan},
		"https://sso.example.com//":     {"", "", netname.ErrMoreThan},
		"https://sso.example.com?":      {"", "", netname.ErrMoreThan},
		"https://sso.example.com?a":     {"", "", netname.ErrMoreThan},
		"https://sso.example.com#a":     {"", "", netname.ErrMoreThan},
		"https://u:p@sso.example.com":   {"", "", netname.ErrMoreThan},
		"":                              {"", "", netname.ErrNoSite},
		"sso.example.com":               {"", "", netname.ErrNoSite},
		"https://":                      {"", "", netname.ErrNoSite},
		"https://:443":                  {"", "", netname.ErrNoSite},
		"ftp://sso.example.com":         {"", "", netname.ErrNoSite},
		"javascript:alert(1)":           {"", "", netname.ErrNoSite},
		"https:sso.example.com":         {"", "", netname.ErrNoSite},
		"https://sso.example.com:x":     {"", "", netname.ErrNoSite},
		"https://sso.example.com\x00":   {"", "", netname.ErrNoSite},
		"https://sso example.com":       {"", "", netname.ErrNoSite},
		"https://[::1":                  {"", "", netname.ErrNoSite},
		"https://sso.example.com/%zz":   {"", "", netname.ErrNoSite},
		"//sso.example.com":             {"", "", netname.ErrNoSite},
		"data:text/html,https://a.test": {"", "", netname.ErrNoSite},
	} {
		u, err := netname.ParsePublicURL(text)
		if !errors.Is(err, want.err) {
			t.Errorf("%q: error %v, want %v", text, err, want.err)
			continue
		}
		if err != nil {
			continue
		}
		if u.String() != want.url || netname.Origin(u) != want.origin {
			t.Errorf("%q: %s, origin %s; want %s, %s", text, u, netname.Origin(u), want.url, want.origin)
		}
	}
}

func TestCheckAddress(t *testing.T) {
	for address, want := range map[string]string{
		"https://sp.example.com/acs":               "",
		"https://sp.example.com/acs?a=b":           "",
		"http://localhost:8090/acs":                "",
		"http://sp.localhost/acs":                  "",
		"http://sp.example.com/acs":                "in clear",
		"javascript:alert(1)":                      "complete URL",
		"javascript://sp.example.com/%0aalert(1)":  "scheme",
		"data:text/html,x":                         "complete URL",
		"//sp.example.com/acs":                     "scheme",
		"https:///acs":                             "complete URL",
		"https://user@sp.example.com/acs":          "user name",
		"https://sp.example.com/acs#":              "#fragment",
		"https://sp.example.com/a cs":              "not a URL",
		`https://sp.example.com\@evil.test/acs`:    "not a URL",
		"https://sp.example.com/\u00e9":            "not a URL",
		"https://sp.example.com/" + longPath(2100): "2048",
		"": "complete URL",
	} {
		err := netname.CheckAddress(address, true)
		switch {
		case want == "" && err != nil:
			t.Errorf("%.60q: %v", address, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%.60q: error %v, want one about %q", address, err, want)
		}
	}
	for _, address := range []string{"http://localhost:8090/acs", "http://127.0.0.1/acs", "http://sp.localhost/acs"} {
		if netname.CheckAddress(address, false) == nil {
			t.Errorf("%s is taken although http is not allowed", address)
		}
	}
}

func longPath(n int) string { return strings.Repeat("a", n) }

// FuzzParsePublicURL: whatever is accepted is https or a loopback host, and nothing but scheme, host and port.
func FuzzParsePublicURL(f *testing.F) {
	for _, seed := range []string{"https://sso.example.com", "http://localhost:1", "http://a.localhost/", "https://u@h",
		"https://[::1%25lo]:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := netname.ParsePublicURL(text)
		if err != nil {
			return
		}
		if u.Scheme != "https" && !netname.Loopback(u.Hostname()) {
			t.Errorf("%q is http for %q", text, u.Hostname())
		}
		again, err := url.Parse(u.String())
		if err != nil || again.Host != u.Host || again.Path != "" || again.User != nil || again.RawQuery != "" ||
			again.Fragment != "" {
			t.Errorf("%q became %q: %v", text, u, err)
		}
	})
}
