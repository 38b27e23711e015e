package netname_test

import (
	"errors"
	"testing"

	"ssobridge/idp/netname"
)

// Every network of a setting, a token and a receiver is read by one rule.
func TestParseNetwork(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.7":       "10.0.0.7/32",
		"10.1.0.0/16":    "10.1.0.0/16",
		"10.1.2.3/16":    "10.1.0.0/16",
		"0.0.0.0/0":      "0.0.0.0/0",
		"2001:db8::7":    "2001:db8::7/128",
		"2001:DB8::7/32": "2001:db8::/32",
		"fe80::1%eth0":   "fe80::1/128",
	} {
		if got, err := netname.ParseNetwork(text); err != nil || got.String() != want {
			t.Errorf("%s: got %s, %v, want %s", text, got, err, want)
		}
	}
	for text, want := range map[string]error{
		"":                     netname.ErrNoNetwork,
		" 10.0.0.7":            netname.ErrNoNetwork,
		"10.0.0":               netname.ErrNoNetwork,
		"10.0.0.0/33":          netname.ErrNoNetwork,
		"10.0.0.0/8/8":         netname.ErrNoNetwork,
		"010.0.0.7":            netname.ErrNoNetwork,
		"10.0.0.0/255.0.0.0":   netname.ErrNoNetwork,
		"fe80::/10%eth0":       netname.ErrNoNetwork,
		"proxy.example.com":    netname.ErrNoNetwork,
		"::ffff:10.0.0.7":      netname.ErrMappedNetwork,
		"::ffff:10.0.0.0/104":  netname.ErrMappedNetwork,
		"::ffff:0a00:0000/112": netname.ErrMappedNetwork,
		"::ffff:10.0.0.7%eth0": netname.ErrMappedNetwork,
		"::ffff:0.0.0.0/96":    netname.ErrMappedNetwork,
	} {
		if got, err := netname.ParseNetwork(text); !errors.Is(err, want) || got.IsValid() {
			t.Errorf("%q: got %s, %v, want %v", text, got, err, want)
		}
	}
}
