package idp

import (
	"context"
	"log/slog"
	"net/http"

	"ssobridge/idp/saml"
	"ssobridge/store"
)

// warnOfCertificates tells once for each reading of the configuration which
// certificates of service providers are out of date or unreadable. Out of date
// they still serve (row REQ-13).
func (p *IdP) warnOfCertificates(ctx context.Context, c *config) {
	now := p.o.Now()
	for _, sp := range c.order {
		for _, err := range sp.lost {
			p.o.Logger.LogAttrs(ctx, slog.LevelWarn, "certificate of a service provider can't be read",
				slog.String("sp", sp.EntityID),
				slog.Any("cause", err), slog.String("fix", "import its metadata again"))
		}
		for _, x := range sp.trust.Certificates() {
			if now.After(x.NotAfter) {
				p.o.Logger.LogAttrs(ctx, slog.LevelWarn, "certificate of a service provider has expired",
					slog.String("sp", sp.EntityID),
					slog.Time("expired", x.NotAfter), slog.String("fix", "its signatures are still accepted; ask for the new "+
						"certificate before it changes its key"))
			}
		}
	}
}

// encryptionOf is what a record says of the encryption of assertions.
func encryptionOf(r store.ServiceProvider) saml.Encryption {
	e := saml.Encryption{Mode: r.Encryption, AllowCBC: r.AllowCBC, SignResponse: r.SignResponse}
	for _, k := range r.EncryptionKeys {
		e.Keys = append(e.Keys, saml.EncryptionKey(k))
	}
	return e
}

// Encrypts tells whether a service provider's settings ask for encryption at all.
func Encrypts(r store.ServiceProvider) bool {
	return r.Encryption != "" && r.Encryption != saml.EncryptionOff
}

// CanEncrypt says whether assertions can be encrypted for a service provider by the keys on record: by what the
// settings allow, or by CBC alone, which they don't.
func CanEncrypt(r store.ServiceProvider) (as, cbc bool) {
	e := encryptionOf(r)
	e.Mode, e.SignResponse = saml.EncryptionRequired, true
	if _, err := e.Recipient(); err == nil {
		return true, false
	}
	e.AllowCBC = true
	_, err := e.Recipient()
	return false, err == nil
}

// wantsSigned tells whether a service provider's requests must be signed: who
// promises to sign is never believed unsigned (row REQ-09).
func wantsSigned(sp store.ServiceProvider) bool {
	return sp.AuthnRequestsSigned || sp.RequestSignatures == "required"
}

func unsigned(sp store.ServiceProvider) *saml.Fault {
	switch {
	case sp.AuthnRequestsSigned:
		return newFault(ReasonUnsignedRequest, http.StatusBadRequest,
			"the service provider's metadata says AuthnRequestsSigned and the request is not signed",
			"switch the signing of AuthnRequests on at the service provider, or import metadata without AuthnRequestsSigned")
	case wantsSigned(sp):
		return newFault(ReasonUnsignedRequest, http.StatusBadRequest,
			"request_signatures is required for this service provider and the request is not signed",
			"switch the signing of AuthnRequests on at the service provider, or set request_signatures to if-present")
	}
	return nil
}
