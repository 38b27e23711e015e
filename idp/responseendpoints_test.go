package idp_test

import (
	"testing"

	"github.com/crewjam/saml"

	"ssobridge/idp"
	"ssobridge/store"
)

// TestSP04 goes through the four addresses, RelayState in field and query, and
// the default and another ACS.
func TestSP04(t *testing.T) {
	const (
		acs   = "https://sp.test/acs"
		other = "https://sp.test/other?tenant=1"
		state = "https://login.test/a?b=c&d=e f"
		coded = "RelayState=https%3A%2F%2Flogin.test%2Fa%3Fb%3Dc%26d%3De+f"
	)
	for _, c := range []struct {
		name                                     string
		sp                                       store.ServiceProvider
		acs                                      string
		state                                    string // "": none
		launch                                   bool
		action, destination, recipient, audience string
		field                                    bool
	}{
		{name: "defaults", acs: acs, launch: true, action: acs, destination: acs, recipient: acs, audience: "sp"},
		{name: "RelayState in a field", acs: acs, state: state, launch: true, action: acs, destination: acs, recipient: acs,
			audience: "sp", field: true},
		{
			name: "RelayState in the query", sp: store.ServiceProvider{RelayStateIn: "query"}, acs: acs,
			state: state, launch: true,
			action: acs + "?" + coded, destination: acs, recipient: acs, audience: "sp",
		},
		{
			name: "RelayState in a query that has more", sp: store.ServiceProvider{RelayStateIn: "query"}, acs: other,
			state: state, launch: true,
			action: other + "&" + coded, destination: other, recipient: other, audience: "sp",
		},
		{
			name: "a request's RelayState is a field", sp: store.ServiceProvider{RelayStateIn: "query"}, acs: acs, state: state,
			action: acs, destination: acs, recipient: acs, audience: "sp", field: true,
		},
		{
			name: "all four set", sp: store.ServiceProvider{FormAction: "https://f.test/", Destination: "https://d.test/",
				Recipient: "https://r.test/", Audience: "aud"},
			acs: acs, state: state, action: "https://f.test/", destination: "https://d.test/", recipient: "https://r.test/",
			audience: "aud", field: true,
		},
		{
			name: "Destination follows Recipient", sp: store.ServiceProvider{Recipient: "https://r.test/"},
			acs: acs, action: acs, destination: "https://r.test/", recipient: "https://r.test/", audience: "sp",
		},
		{
			name: "form action has a RelayState", sp: store.ServiceProvider{FormAction: acs + "?RelayState=x"},
			acs: acs, launch: true,
			action: acs + "?RelayState=x", destination: acs, recipient: acs, audience: "sp",
		},
		{
			name: "it gives way to a launch's in the query", sp: store.ServiceProvider{FormAction: acs +
				"?a=b&RelayState=x&c=%41", RelayStateIn: "query"},
			acs: acs, state: state, launch: true, action: acs + "?a=b&c=%41&" + coded, destination: acs, recipient: acs,
			audience: "sp",
		},
		{
			name: "it gives way to a request's", sp: store.ServiceProvider{FormAction: acs + "?Relay%53tate=x"},
			acs: acs, state: state, action: acs, destination: acs, recipient: acs, audience: "sp", field: true,
		},
		{
			name: "overrides hold for the default ACS alone", sp: store.ServiceProvider{FormAction: "https://f.test/",
				Destination: "https://d.test/", Recipient: "https://r.test/", Audience: "aud"},
			acs: other, action: other, destination: other, recipient: other, audience: "aud",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.sp.EntityID, c.sp.NameID = "sp", "{mail}"
			c.sp.ACS = []store.Endpoint{{URL: acs, Binding: saml.HTTPPostBinding},
				{URL: other, Binding: saml.HTTPPostBinding, Index: 1}}
			if c.name == "RelayState in a query that has more" {
				c.sp.ACS = c.sp.ACS[1:]
			}
			var state *string
			if c.state != "" {
				state = &c.state
			}
			sp := idp.Compile(c.sp)
			action, destination, recipient, audience, field := sp.Addresses(c.acs, state, c.launch)
			for _, x := range []struct{ what, got, want string }{
				{"action", action, c.action}, {"destination", destination, c.destination},
				{"recipient", recipient, c.recipient}, {"audience", audience, c.audience},
			} {
				if x.got != x.want {
					t.Errorf("%s is %s, want %s", x.what, x.got, x.want)
				}
			}
			if (field != nil) != c.field || field != nil && *field != c.state {
				t.Errorf("field %v, want one: %v", field, c.field)
			}
			if err := sp.MayReceive(action); err != nil {
				t.Errorf("the address is refused on the way out: %v", err)
			}
		})
	}

	t.Run("ACS with a RelayState in its query", func(t *testing.T) {
		full := acs + "?RelayState=https%3A%2F%2Flogin.test%2F"
		sp := idp.Compile(store.ServiceProvider{EntityID: "sp", NameID: "{mail}",
			ACS: []store.Endpoint{{URL: full, Binding: saml.HTTPPostBinding}}})
		action, destination, recipient, _, _ := sp.Addresses(full, nil, true)
		if action != full || destination != acs || recipient != acs {
			t.Errorf("%s, %s, %s", action, destination, recipient)
		}
	})
}

// TestMayReceive is the last check before a Response leaves.
func TestMayReceive(t *testing.T) {
	sp := idp.Compile(store.ServiceProvider{
		EntityID: "sp", NameID: "{mail}", FormAction: "https://f.test/post",
		ACS: []store.Endpoint{
			{URL: "https://sp.test/acs", Binding: saml.HTTPPostBinding},
			{URL: "https://sp.test/artifact", Binding: saml.HTTPArtifactBinding},
			{URL: "http://sp.test/clear", Binding: saml.HTTPPostBinding},
			{URL: "http://127.0.0.1:8081/acs", Binding: saml.HTTPPostBinding},
			{URL: "javascript:alert(1)", Binding: saml.HTTPPostBinding},
		},
	})
	for action, want := range map[string]bool{
		"https://sp.test/acs":                true,
		"https://sp.test/acs?RelayState=a":   true,
		"https://f.test/post":                true,
		"http://127.0.0.1:8081/acs":          true,
		"https://sp.test/acs?x=y":            false,
		"https://sp.test/acs/":               false,
		"https://SP.test/acs":                false,
		"https://sp.test/artifact":           false,
		"http://sp.test/clear":               false, // registered, and still not to be sent in clear
		"javascript:alert(1)":                false,
		"https://evil.test/?RelayState=a":    false,
		"https://sp.test/acs#?RelayState=a":  false,
		"":                                   false,
		"?RelayState=https://sp.test/acs":    false,
		"https://sp.test/acs\n?RelayState=a": false,
	} {
		if err := sp.MayReceive(action); (err == nil) != want {
			t.Errorf("%q: %v, want passed: %v", action, err, want)
		}
	}
}
