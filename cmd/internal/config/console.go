package config

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"ssobridge/idp/netname"
)

// Console says who may use the admin console. A role belongs to the members of
// one group of the directory, direct or nested; who is in several has the highest.
type Console struct {
	// The DN of the group whose members may look at everything and change nothing.
	// Default none.
	// Example: cn=sso-viewers,ou=groups,dc=example,dc=com
	ViewerGroup string `yaml:"viewer_group"`

	// The DN of the group whose members may help people as well: try again, adopt,
	// suspend, end sessions, apply plans, tick work off.
	// Default none.
	// Example: cn=sso-operators,ou=groups,dc=example,dc=com
	OperatorGroup string `yaml:"operator_group"`

	// The DN of the group whose members may change everything: mappings, client
	// accounts, service providers, keys.
	// Default none.
	// Example: cn=sso-admins,ou=groups,dc=example,dc=com
	AdminGroup string `yaml:"admin_group"`

	// Address and port of a listener for the console alone, with the same certificate as listen. The console and signing
	// in to it are then served there, under public_url of this section, and not at listen, where /admin/ does not exist.
	// Default none: the console is served at listen.
	// Example: 10.20.0.5:8444
	Listen string `yaml:"listen"`

	// Scheme, host and port of that listener as browsers reach it. With the host of the other public_url and another port,
	// sessions and passkeys are the same for both. Another host has sessions, a login and passkeys of its own; an
	// authenticator app and recovery codes are good at both.
	// Default none; required with listen of this section.
	// Example: https://sso-admin.example.com:8444
	PublicURL string `yaml:"public_url"`

	// Networks from which the console is served; from elsewhere its pages don't exist, and no sign-in to it goes on.
	// Clients are known by their address, so that the bridge's own TLS or trusted_proxies is needed, and the address of a
	// trusted proxy itself is never let in. Commands need no console: whoever locks themselves out changes this.
	// Default none: served to everybody.
	// Example: [10.20.0.0/16, 192.0.2.7]
	AllowFrom []string `yaml:"allow_from"`

	// The console asks for a login, with the second factor, when nobody has opened a page or sent a form in it for so
	// long. Live pages and searches as one types don't count, and a session in which only other services were used has no
	// console. From 5m to 1h.
	// Default 15m.
	// Example: 15m
	Idle time.Duration `yaml:"idle"`

	// The console asks for a login at the latest so long after the one before, however much it is used. sessions.life ends
	// it earlier where that is shorter. From 5m to 24h.
	// Default 8h.
	// Example: 8h
	Life time.Duration `yaml:"life"`
}

// SecondFactor says what is asked for beside the password: off, offered or
// required. offered asks those who have enrolled a second factor, and offers one to
// others after a login; required has everybody enrol one before they go on.
type SecondFactor struct {
	// What the admin console asks for. With required, an administrator's first factor is
	// enrolled with an invitation, which `ssobridge admin invite LOGIN` prints.
	// Default required.
	// Example: required
	Console string `yaml:"console"`

	// What client accounts ask for that have no policy of their own (`ssobridge accounts
	// set-factor`), and other service providers.
	// Default off.
	// Example: offered
	People string `yaml:"people"`

	// The age from which a second factor counts for a service provider that demands one, if neither an invitation
	// nor a confirmed factor stands for it: at a login after that, where its owner was shown at a login before
	// that it was added, in the browser that they have used for longest. Until then such a service provider is
	// answered NoAuthnContext. It never counts for the admin console by its age. From 1m to 30 days.
	// Default 24h.
	// Example: 24h
	ConfirmAfter time.Duration `yaml:"confirm_after"`

	// Whether a person's other sessions end when they add or remove a second factor.
	// Default true.
	// Example: true
	EndOtherSessions bool `yaml:"end_other_sessions"`

	// The authentication context class that assertions have for a sign-in with a second factor. Where
	// a service provider asks for the class of a password alone, it gets that one.
	// Default https://refeds.org/profile/mfa.
	// Example: https://refeds.org/profile/mfa
	AuthnContext string `yaml:"authn_context"`
}

// API says whether programs may call the bridge.
type API struct {
	// Serve the REST API under /api/v1/ of public_url, to programs with a token (`ssobridge tokens create`). It is served
	// at listen alone, also where the console has a listener of its own, and console.allow_from does not count for it:
	// say with each token from which networks it may be used.
	// Default false: its paths are unknown ones.
	// Example: true
	Enabled bool `yaml:"enabled"`
}

// checkConsole checks for how long and from where the admin console is served.
func checkConsole(c *Config, f *faults) {
	// Uses are noted once a minute: a limit of about that would end a console that is in use.
	f.between("console.idle", c.Console.Idle, 5*time.Minute, time.Hour)
	f.between("console.life", c.Console.Life, 5*time.Minute, 24*time.Hour)
	if c.Console.Idle > c.Console.Life {
		f.add("console.idle", "is longer than console.life", "write at most "+FormatDuration(c.Console.Life))
	}
	checkConsolePlace(c, f)
	checkConsoleNetworks(c, f)
}

// checkConsolePlace checks the console's own listener and address.
func checkConsolePlace(c *Config, f *faults) {
	at := &c.Console
	switch {
	case at.Listen == "" && at.PublicURL == "":
		return
	case at.Listen == "":
		f.add("console.public_url", "is set without console.listen", "set console.listen, or remove console.public_url")
		return
	case at.PublicURL == "":
		f.add("console.listen", "is set without console.public_url",
			"say how browsers reach it: console.public_url: https://sso-admin.example.com")
		return
	}
	checkListen("console.listen", at.Listen, f)
	for key, taken := range map[string]string{"listen": c.Listen, "metrics.listen": c.Metrics.Listen} {
		if at.Listen == taken && !strings.HasSuffix(taken, ":0") {
			f.add("console.listen", "is the same as "+key, "give the console a port of its own")
		}
	}
	if c.ConsoleGroups().Empty() {
		f.add("console.listen", "is set, and nobody has a role in the console",
			"set console.admin_group, or remove console.listen")
	}
	public, err := url.Parse(c.PublicURL)
	if u := checkPublicURL("console.public_url", &at.PublicURL, f); u != nil && err == nil {
		switch {
		case strings.EqualFold(hostAndPort(u), hostAndPort(public)):
			f.add("console.public_url", "is the address of public_url", "write another host or another port")
		case u.Scheme != public.Scheme:
			f.add("console.public_url", "has another scheme than public_url", "write "+public.Scheme+"://"+u.Host)
		}
	}
}

// hostAndPort of an address, with the port that is its scheme's own.
func hostAndPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// checkConsoleNetworks checks console.allow_from.
func checkConsoleNetworks(c *Config, f *faults) {
	if len(c.Console.AllowFrom) == 0 {
		return
	}
	checkNetworks("console.allow_from", c.Console.AllowFrom, f)
	if c.TLS.Cert == "" && len(c.TrustedProxies) == 0 {
		// Every client would have the address of whatever stands before the bridge.
		f.add("console.allow_from", "needs clients' addresses, and there is neither tls.cert nor a proxy in trusted_proxies",
			"set tls.cert and tls.key, or name the proxy in trusted_proxies")
	}
	if proxies, networks := prefixes(c.TrustedProxies), prefixes(c.Console.AllowFrom); !slices.ContainsFunc(networks,
		func(p netip.Prefix) bool {
			return !slices.ContainsFunc(proxies, func(proxy netip.Prefix) bool {
				return proxy.Bits() <= p.Bits() &&
					proxy.Contains(p.Addr())
			})
		}) {
		f.add("console.allow_from", "names addresses of trusted_proxies alone, from which nobody is let in",
			"name the proxies alone in trusted_proxies, or networks of clients here")
	}
	if c.ConsoleGroups().Empty() {
		f.add("console.allow_from", "is set, and nobody has a role in the console",
			"set console.admin_group, or remove console.allow_from")
	}
}

// prefixes are networks that passed the check. One that did not matches nobody, and opens nothing by being left out.
func prefixes(texts []string) []netip.Prefix {
	var list []netip.Prefix
	for _, text := range texts {
		p, err := netname.ParseNetwork(text)
		if err != nil {
			p = netip.Prefix{}
		}
		list = append(list, p)
	}
	return list
}
