package sandbox

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/crewjam/saml"
	xrv "github.com/mattermost/xml-roundtrip-validator"
)

const (
	maxMetadata   = 1 << 20
	metadataFresh = 10 * time.Second // a page that is reloaded must not fetch each time
)

// identityProvider is one that the service provider trusts.
type identityProvider struct {
	entityID       string
	certificates   []*x509.Certificate
	redirect, post string // single sign-on addresses by binding; empty: not offered

	logoutRedirect, logoutPost string // single logout addresses
}

// Trust registers an identity provider by its exact entityID, its signing certificates (DER) and its
// single sign-on addresses, in place of what was known of it. An address may be empty where
// the binding is not used.
func (s *Sandbox) Trust(entityID string, certs [][]byte, ssoRedirectURL, ssoPostURL string) error {
	p := &identityProvider{entityID: entityID, redirect: ssoRedirectURL, post: ssoPostURL}
	if entityID == "" {
		return errors.New("trust an identity provider: the entityID is empty")
	}
	for i, der := range certs {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("trust %s: certificate %d: %w", entityID, i+1, err)
		}
		p.certificates = append(p.certificates, c)
	}
	if len(p.certificates) == 0 {
		return fmt.Errorf("trust %s: no certificate", entityID)
	}
	for _, address := range []string{ssoRedirectURL, ssoPostURL} {
		u, err := url.Parse(address)
		if address != "" && (err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http")) {
			return fmt.Errorf("trust %s: %q is no http or https URL", entityID, address)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idps[entityID] = p
	return nil
}

// identityProvider finds the one with this entityID, byte for byte, or any for "". The metadata
// are fetched where they can help.
func (s *Sandbox) identityProvider(ctx context.Context, entityID string) (*identityProvider, error) {
	find := func() *identityProvider {
		s.mu.Lock()
		defer s.mu.Unlock()
		if entityID != "" {
			return s.idps[entityID]
		}
		for _, p := range s.idps {
			return p
		}
		return nil
	}
	if err := s.refreshMetadata(ctx); err != nil {
		s.o.Logger.Warn("identity provider's metadata not fetched", "error", err)
		if find() == nil {
			return nil, err
		}
	}
	p := find()
	switch {
	case p == nil && entityID == "":
		return nil, errors.New("no identity provider is registered")
	case p == nil:
		return nil, fmt.Errorf("no identity provider is registered as %q (compared byte for byte)", entityID)
	}
	return p, nil
}

// refreshMetadata fetches the metadata once they are no longer fresh. Who comes meanwhile waits for the
// same fetch.
func (s *Sandbox) refreshMetadata(ctx context.Context) error {
	if s.o.IdPMetadataURL == "" {
		return nil
	}
	s.fetch.Lock()
	defer s.fetch.Unlock()
	now := s.o.Now()
	if now.Sub(s.fetchedAt) < metadataFresh {
		return nil
	}
	err := s.fetchMetadata(ctx)
	if err == nil {
		s.fetchedAt = now
	}
	return err
}

// fetchMetadata reads the identity provider's metadata from its URL and trusts what stands there.
func (s *Sandbox) fetchMetadata(ctx context.Context) error {
	fail := func(err error) error { return fmt.Errorf("fetch metadata from %s: %w", s.o.IdPMetadataURL, err) }
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.o.IdPMetadataURL, nil)
	if err != nil {
		return fail(err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return fail(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fail(fmt.Errorf("status %s", resp.Status))
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxMetadata))
	if err != nil {
		return fail(err)
	}
	if err := s.TrustMetadata(data); err != nil {
		return fail(err)
	}
	return nil
}

// TrustMetadata is Trust with what an identity provider's metadata say.
func (s *Sandbox) TrustMetadata(data []byte) error {
	if err := xrv.Validate(bytes.NewReader(data)); err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	var d saml.EntityDescriptor
	if err := xml.Unmarshal(data, &d); err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	if len(d.IDPSSODescriptors) != 1 {
		return fmt.Errorf("metadata of %q: %d IDPSSODescriptors, want one", d.EntityID, len(d.IDPSSODescriptors))
	}
	idp := d.IDPSSODescriptors[0]
	var certs [][]byte
	for _, k := range idp.KeyDescriptors {
		// A key without use serves both purposes (saml-metadata 2.4.1.1).
		if k.Use != "" && k.Use != "signing" {
			continue
		}
		for _, c := range k.KeyInfo.X509Data.X509Certificates {
			der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(c.Data), ""))
			if err != nil {
				return fmt.Errorf("metadata of %q: certificate: %w", d.EntityID, err)
			}
			certs = append(certs, der)
		}
	}
	var redirect, post string
	for _, e := range idp.SingleSignOnServices {
		switch e.Binding {
		case saml.HTTPRedirectBinding:
			redirect = e.Location
		case saml.HTTPPostBinding:
			post = e.Location
		}
	}
	if err := s.Trust(d.EntityID, certs, redirect, post); err != nil {
		return err
	}
	var logoutRedirect, logoutPost string
	for _, e := range idp.SingleLogoutServices {
		switch e.Binding {
		case saml.HTTPRedirectBinding:
			logoutRedirect = e.Location
		case saml.HTTPPostBinding:
			logoutPost = e.Location
		}
	}
	return s.TrustLogout(d.EntityID, logoutRedirect, logoutPost)
}

// serviceProvider is crewjam's for one identity provider and the one certificate that verified: with
// several, it can't tell which is meant when a signature names none.
func (s *Sandbox) serviceProvider(p *identityProvider, cert *x509.Certificate) (*saml.ServiceProvider, error) {
	acs, err := url.Parse(s.acs)
	if err != nil {
		return nil, err
	}
	descriptor := saml.IDPSSODescriptor{}
	if cert != nil {
		descriptor.KeyDescriptors = []saml.KeyDescriptor{{
			Use: "signing",
			KeyInfo: saml.KeyInfo{X509Data: saml.X509Data{X509Certificates: []saml.X509Certificate{
				{Data: base64.StdEncoding.EncodeToString(cert.Raw)},
			}}},
		}}
	}
	return &saml.ServiceProvider{
		EntityID:          s.o.EntityID,
		AcsURL:            *acs,
		AuthnNameIDFormat: saml.PersistentNameIDFormat,
		IDPMetadata: &saml.EntityDescriptor{EntityID: p.entityID,
			IDPSSODescriptors: []saml.IDPSSODescriptor{descriptor}},
	}, nil
}
