package idp

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"ssobridge/idp/netname"
	"ssobridge/idp/saml"
	"ssobridge/store"
)

// logoutEndpoint finds where a service provider takes messages of single logout,
// of the bindings that go through the browser; the wanted one first, then HTTP-Redirect,
// which needs no form. ok is false for one that can't be reached.
func (sp *serviceProvider) logoutEndpoint(wanted string) (e store.LogoutEndpoint, ok bool) {
	if sp == nil || !sp.Enabled {
		return e, false
	}
	for _, binding := range []string{wanted, saml.BindingRedirect, saml.BindingPost} {
		for _, e := range sp.Logout {
			if e.Binding != binding || binding != saml.BindingRedirect && binding != saml.BindingPost {
				continue
			}
			// Checked on the way out as well, whatever is on record (CVE-2023-45683).
			if netname.CheckAddress(e.URL, true) == nil && netname.CheckAddress(cmp.Or(e.ResponseURL, e.URL), true) == nil {
				return e, true
			}
		}
	}
	return e, false
}

// takesLogout is the last look at an address before a message of single logout
// leaves: it must be registered for this. It works from the record alone.
func (sp *serviceProvider) takesLogout(address string) error {
	if err := netname.CheckAddress(address, true); err != nil {
		return fmt.Errorf("logout address of service provider %s: %w", sp.EntityID, err)
	}
	if !slices.ContainsFunc(sp.Logout, func(e store.LogoutEndpoint) bool {
		return address == e.URL ||
			address == e.ResponseURL
	}) {
		return fmt.Errorf("logout address of service provider %s is not registered", sp.EntityID)
	}
	return nil
}

// logoutParams is the start of a message of single logout.
func (p *IdP) logoutParams(id, destination string) saml.LogoutParams {
	return saml.LogoutParams{Issuer: p.o.EntityID, ID: id, At: p.o.Now(), Destination: destination}
}

// maxLocation is how long the address of a redirect may get, in bytes. Proxies take the header of an answer into a
// buffer of 4 KiB by default (nginx: proxy_buffer_size), in which the other headers have to find room, and answer 502
// beyond.
const maxLocation = 2600

// askLogout is the LogoutRequest for a participant (saml-core 3.7.1). The NameID
// is, letter by letter, the one that the assertion had.
func (p *IdP) askLogout(ctx context.Context, by *saml.Signer, sp *serviceProvider,
	part store.Participant) (Page, error) {
	return p.sendLogout(ctx, by, sp, part.EntityID, saml.BindingRedirect, nil,
		func(e store.LogoutEndpoint) (string, saml.LogoutMessage) {
			return e.URL, saml.NewLogoutRequest(p.logoutParams(part.Request, e.URL), part.NameID, part.NameIDFormat,
				part.SessionIndexes)
		})
}

// answerLogout is the LogoutResponse to the service provider that asked (saml-core 3.7.2).
func (p *IdP) answerLogout(ctx context.Context, by *saml.Signer, sp *serviceProvider, wanted, id, inResponseTo string,
	relayState *string, st saml.Status) (Page, error) {
	return p.sendLogout(ctx, by, sp, sp.EntityID, wanted, relayState,
		func(e store.LogoutEndpoint) (string, saml.LogoutMessage) {
			address := cmp.Or(e.ResponseURL, e.URL)
			return address, saml.NewLogoutResponse(p.logoutParams(id, address), inResponseTo, st)
		})
}

// sendLogout sends a message of single logout to the endpoint of the wanted binding, as far as there is one. What would
// make the address of a redirect too long goes by a form, where the service provider takes one: a RelayState of theirs
// has up to 16 KiB, a session any number of indexes.
func (p *IdP) sendLogout(ctx context.Context, by *saml.Signer, sp *serviceProvider, entityID, wanted string,
	relayState *string, message func(store.LogoutEndpoint) (address string, m saml.LogoutMessage)) (Page, error) {
	e, ok := sp.logoutEndpoint(wanted)
	if !ok {
		return nil, fmt.Errorf("service provider %s has no logout endpoint", entityID)
	}
	address, m := message(e)
	page, err := carry(ctx, by, sp, e.Binding, address, m, relayState)
	if long, is := page.(RedirectMessage); err != nil || !is || len(long.URL) <= maxLocation {
		return page, err
	}
	form, ok := sp.logoutEndpoint(saml.BindingPost)
	if !ok || form.Binding != saml.BindingPost {
		return page, nil // it takes nothing else
	}
	address, m = message(form)
	return carry(ctx, by, sp, form.Binding, address, m, relayState)
}

// carry signs a message of single logout in the way of its binding, and is the
// one door through which it leaves.
func carry(ctx context.Context, by *saml.Signer, sp *serviceProvider, binding, address string, m saml.LogoutMessage,
	relayState *string) (Page, error) {
	if err := sp.takesLogout(address); err != nil {
		return nil, err
	}
	if binding == saml.BindingPost {
		signed, err := by.Form(ctx, m)
		if err != nil {
			return nil, err
		}
		return PostMessage{Action: address, Parameter: m.Parameter, Message: signed, RelayState: relayState,
			Provider: sp.name()}, nil
	}
	query, err := by.Query(ctx, m, relayState)
	if err != nil {
		return nil, err
	}
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
	}
	return RedirectMessage{URL: address + separator + query}, nil
}
