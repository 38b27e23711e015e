package netname

import (
	"errors"
	"net/netip"
)

// What is wrong with a network. Callers add the setting, its value and what to write instead.
var (
	ErrNoNetwork     = errors.New("it is neither an address nor a network")
	ErrMappedNetwork = errors.New("it is an IPv4 network in the form of IPv6, and matches nobody")
)

// ParseNetwork reads an address, which is a network of its own, or a network (ADDRESS/LENGTH). Bits of the address
// behind the length are dropped: 10.1.2.3/16 is 10.1.0.0/16; so is the zone of an IPv6 address. An error is
// ErrNoNetwork, or ErrMappedNetwork: addresses of clients are compared in their own form, which ::ffff:10.1.0.0/112
// never is, so that a network in that form would let in nobody, or keep out nobody.
func ParseNetwork(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return netip.Prefix{}, ErrNoNetwork
		}
		a = a.WithZone("")
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Addr().Is4In6() {
		return netip.Prefix{}, ErrMappedNetwork
	}
	return p.Masked(), nil
}
