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

// askLogout is the LogoutRequest for a participant (saml-core 3.7.1). The NameID
// is, letter by letter, the one that the assertion had.
func (p *IdP) askLogout(ctx context.Context, by *saml.Signer, sp *serviceProvider,
	part store.Participant) (Page, error) {
	wanted := saml.BindingRedirect
	if len(part.SessionIndexes) > 4 {
		wanted = saml.BindingPost // a URL has no room for many
	}
	e, ok := sp.logoutEndpoint(wanted)
	if !ok {
		return nil, fmt.Errorf("service provider %s has no logout endpoint", part.EntityID)
	}
	m := saml.NewLogoutRequest(p.logoutParams(part.Request, e.URL), part.NameID, part.NameIDFormat, part.SessionIndexes)
	return carry(ctx, by, sp, e.Binding, e.URL, m, nil)
}

// answerLogout is the LogoutResponse to the service provider that asked (saml-core 3.7.2).
func (p *IdP) answerLogout(ctx context.Context, by *saml.Signer, sp *serviceProvider, wanted, id, inResponseTo string,
	relayState *string, st saml.Status) (Page, error) {
	e, ok := sp.logoutEndpoint(wanted)
	if !ok {
		return nil, fmt.Errorf("service provider %s has no logout endpoint", sp.EntityID)
	}
	address := cmp.Or(e.ResponseURL, e.URL)
	return carry(ctx, by, sp, e.Binding, address, saml.NewLogoutResponse(p.logoutParams(id, address), inResponseTo,
		st), relayState)
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
