package web

import (
	"net/http"
	"net/netip"
	"strings"
)

// maxHops bounds how far X-Forwarded-For is read.
const maxHops = 32

// clientAddress is who asks. X-Forwarded-For is written by anybody, so it is read
// from its right end, and only as long as the hop that wrote the entry is a
// trusted proxy: the first address that is none is the client.
func clientAddress(r *http.Request, trusted []netip.Prefix) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	address := plain(peer.Addr())
	if !within(trusted, address) {
		return address.String()
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && len(hops)-i <= maxHops; i-- {
		hop, err := parseHop(strings.TrimSpace(hops[i]))
		if err != nil {
			break // the proxy wrote something else: it is the last that is sure
		}
		address = hop
		if !within(trusted, address) {
			break
		}
	}
	return address.String()
}

// parseHop reads an address; some proxies write the port too.
func parseHop(text string) (netip.Addr, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return plain(a), nil
	}
	ap, err := netip.ParseAddrPort(text)
	return plain(ap.Addr()), err
}

// plain drops what would let one client go by several names.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

func within(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
