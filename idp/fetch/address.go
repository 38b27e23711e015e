package fetch

import (
	"fmt"
	"net/netip"
	"slices"
)

// Ranges beside those that netip has names for. internal may be allowed, never
// may not; what embeds an IPv4 address is taken apart.
var (
	internal = []netip.Prefix{
		netip.MustParsePrefix("100.64.0.0/10"), // shared address space, RFC 6598
		netip.MustParsePrefix("198.18.0.0/15"), // benchmarks, RFC 2544
		netip.MustParsePrefix("192.0.0.0/24"),  // protocol assignments, RFC 6890
		netip.MustParsePrefix("fec0::/10"),     // site-local, RFC 3879
	}
	never = []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"), // this network, RFC 1122; Linux takes it for loopback
		netip.MustParsePrefix("240.0.0.0/4"),
		netip.MustParsePrefix("::/128"),
		netip.MustParsePrefix("100::/64"), // discard, RFC 6666
	}
	nat64  = netip.MustParsePrefix("64:ff9b::/96")   // RFC 6052
	nat64x = netip.MustParsePrefix("64:ff9b:1::/48") // for local use, RFC 8215
	sixto4 = netip.MustParsePrefix("2002::/16")      // RFC 3056
	teredo = netip.MustParsePrefix("2001::/32")      // RFC 4380
	mapped = netip.MustParsePrefix("::/96")          // IPv4-compatible, RFC 4291
)

// mayDial says whether the client may connect to an address and port.
func (o Options) mayDial(address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address %.60q can't be read", address)
	}
	ip := at.Addr().WithZone("").Unmap()
	refuse := func(what string) error {
		return fmt.Errorf("%s is %s address, and %s is not fetched from there", at.Addr(), what, o.What)
	}
	switch {
	case ip.IsLinkLocalUnicast(), ip.IsMulticast(), ip.IsUnspecified(), within(ip, never):
		return refuse("a link-local, multicast or reserved")
	case nat64x.Contains(ip), teredo.Contains(ip):
		return refuse("a translated")
	}
	if inner, ok := embedded(ip); ok {
		// Whatever translates it connects to the inner one.
		return o.mayDial(netip.AddrPortFrom(inner, at.Port()).String())
	}
	if o.AllowInternal || !ip.IsLoopback() && !ip.IsPrivate() && !within(ip, internal) || within(ip, o.Internal) {
		return nil
	}
	if o.Internal != nil {
		return fmt.Errorf("%s is an internal address that %s does not list", at.Addr(), o.Setting)
	}
	return fmt.Errorf("%s is an internal address, and %s is off", at.Addr(), o.Setting)
}

func within(ip netip.Addr, ranges []netip.Prefix) bool {
	return slices.ContainsFunc(ranges, func(r netip.Prefix) bool { return r.Contains(ip) })
}

// embedded finds the IPv4 address inside an IPv6 one.
func embedded(ip netip.Addr) (netip.Addr, bool) {
	if !ip.Is6() || ip == netip.IPv6Loopback() {
		return netip.Addr{}, false
	}
	b := ip.As16()
	switch {
	case nat64.Contains(ip), mapped.Contains(ip):
		return netip.AddrFrom4([4]byte(b[12:16])), true
	case sixto4.Contains(ip):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return netip.Addr{}, false
}
