package admin

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"ssobridge/certs"
	"ssobridge/store"
)

// Handover makes the sheet for the support engineer who sets up single sign-on at a service provider.
type Handover struct {
	Keys      Keys
	Providers Providers
	EntityID  string // ours
	PublicURL string
	Contacts  []string // who answers questions, as text
	Now       func() time.Time
}

// Sheet is what a support engineer needs. Nothing of it is secret.
type Sheet struct {
	EntityID, SSO, Metadata string
	Certificates            []Key                  // that sign, or will sign next and are in the metadata already
	Provider                *store.ServiceProvider // nil: Constant Contact is not registered yet
	Contact                 []string
	Date                    time.Time
}

// Sheet makes the sheet for one service provider; for Constant Contact where none is named.
func (h Handover) Sheet(ctx context.Context, s Scope, entityID string) (Sheet, error) {
	sheet := Sheet{EntityID: h.EntityID, Contact: h.Contacts, Date: h.Now()}
	// Only the public address is named, never the console's own, which is nobody's business outside.
	public, err := url.Parse(h.PublicURL)
	if err != nil {
		return sheet, fmt.Errorf("read public_url: %w", err)
	}
	sheet.SSO = public.JoinPath("saml", "sso").String()
	sheet.Metadata = public.JoinPath("saml", "metadata").String()
	if entityID != "" {
		sp, err := h.Providers.Get(ctx, s, entityID)
		if err != nil {
			return sheet, err
		}
		sheet.Provider = &sp.ServiceProvider
		sheet.Metadata += "/" + url.PathEscape(sp.EntityID) // has the NameID formats of this one
	} else {
		all, err := h.Providers.List(ctx, s)
		if err != nil {
			return sheet, err
		}
		for i := range all {
			if all[i].Kind == store.ConstantContact {
				sheet.Provider = &all[i].ServiceProvider
				break
			}
		}
	}
	list, err := h.Keys.List(ctx, s)
	if err != nil {
		return sheet, fmt.Errorf("read how the keys stand: %w", err)
	}
	for _, key := range list.Keys {
		if key.Use == Signing && (key.State == KeyActive || key.State == KeyPublished) {
			sheet.Certificates = append(sheet.Certificates, key)
		}
	}
	return sheet, nil
}

// SheetQuestion is what the engineer is asked, with what is on record so far.
type SheetQuestion struct {
	Text  string   `json:"question"`
	Known []string `json:"known,omitempty"`
}

// Questions are all that has to be agreed on, to be confirmed where something is on record.
func (s Sheet) Questions() []SheetQuestion {
	var sp store.ServiceProvider
	if s.Provider != nil {
		sp = *s.Provider
	}
	var acs, relay []string
	for _, e := range sp.ACS {
		acs = append(acs, e.URL)
	}
	for _, r := range sp.RelayStates {
		relay = append(relay, r.Value)
	}
	some := func(text string) []string {
		if text == "" {
			return nil
		}
		return []string{text}
	}
	held := some(sp.HoldsCertificates)
	return []SheetQuestion{
		{"What is your entity ID, letter by letter?", some(sp.EntityID)},
		{"Where do you take Responses (assertion consumer service)?", acs},
		{"Which Audience do you expect, if not your entity ID?", some(sp.Audience)},
		{"How many of our signing certificates can be loaded at a time, one or two? With one, we agree on a time before we " +
			"change to another key.", held},
		{"Which RelayState takes people to which page, and what happens without one?", relay},
		{"Do you sign your requests, and with which certificate?", nil},
		{"Can you decrypt assertions, and with which certificate?", nil},
	}
}

// SheetNote is what the engineer should look at before this certificate is loaded; "" for nothing.
func (k Key) SheetNote() string {
	switch certs.Algorithm(k.Algorithm) {
	case certs.P256, certs.P384:
		return "this key is on an elliptic curve (ECDSA with SHA-256 or SHA-384). Many products verify RSA signatures only: if " +
			"yours does, tell us, and we sign with an RSA key"
	default:
		return ""
	}
}
