package app

import (
	"net/netip"
	"time"
)

// checkConsole checks for how long and from where the admin console is served.
func checkConsole(c *Config, f *faults) {
	f.between("console.idle", c.Console.Idle, time.Minute, time.Hour)
	f.between("console.life", c.Console.Life, 5*time.Minute, 24*time.Hour)
	if c.Console.Idle > c.Console.Life {
		f.add("console.idle", "is longer than console.life", "write at most "+short(c.Console.Life))
	}
	if len(c.Console.AllowFrom) == 0 {
		return
	}
	for _, text := range c.Console.AllowFrom {
		switch p, err := parsePrefix(text); {
		case err != nil:
			f.add("console.allow_from", quote(text)+" is neither an address nor a network", "write for example 192.0.2.7 or 10.20.0.0/16")
		case p.Addr().Is4In6():
			// Clients' addresses are compared in their own form, which this one never is.
			f.add("console.allow_from", quote(text)+" is an IPv4 network in the form of IPv6, and matches nobody", "write it as IPv4, such as 10.20.0.0/16")
		}
	}
	if c.TLS.Cert == "" && len(c.TrustedProxies) == 0 {
		// Every client would have the address of whatever stands before the bridge.
		f.add("console.allow_from", "needs clients' addresses, and there is neither tls.cert nor a proxy in trusted_proxies",
			"set tls.cert and tls.key, or name the proxy in trusted_proxies")
	}
	if c.consoleGroups().Empty() {
		f.add("console.allow_from", "is set, and nobody has a role in the console", "set console.admin_group, or remove console.allow_from")
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
