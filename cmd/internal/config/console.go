package config

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"ssobridge/internal/plaintext"
)

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
	for _, text := range c.Console.AllowFrom {
		switch p, err := parsePrefix(text); {
		case err != nil:
			f.add("console.allow_from", plaintext.Quote(text)+" is neither an address nor a network",
				"write for example 192.0.2.7 or 10.20.0.0/16")
		case p.Addr().Is4In6():
			// Clients' addresses are compared in their own form, which this one never is.
			f.add("console.allow_from", plaintext.Quote(text)+" is an IPv4 network in the form of IPv6, and matches nobody",
				"write it as IPv4, such as 10.20.0.0/16")
		}
	}
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
		p, err := parsePrefix(text)
		if err != nil {
			p = netip.Prefix{}
		}
		list = append(list, p)
	}
	return list
}
