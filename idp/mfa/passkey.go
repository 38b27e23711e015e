package mfa

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"ssobridge/idp/netname"
	"ssobridge/store"
)

// Passkeys is the relying party of WebAuthn. It is nil where the public URL's host is an
// address: passkeys belong to a name (https://www.w3.org/TR/webauthn-3/#relying-party-identifier).
type Passkeys struct {
	party *webauthn.WebAuthn
	host  string // to which they belong; "": the public one, whichever that is
}

// passkeyProof is what is sealed of a passkey. Those of before the console could have a host of its own belong to the
// public one.
type passkeyProof struct {
	webauthn.Credential
	Host string `json:"host,omitempty"`
}

// of tells whether a passkey belongs to this host.
func (k *Passkeys) of(c passkeyProof) bool {
	return k != nil && (c.Host == k.host || c.Host == k.party.Config.RPID)
}

// UnmarshalJSON reads both parts: the credential's own would be called for the whole, and leave the host out.
func (k *passkeyProof) UnmarshalJSON(data []byte) error {
	var at struct {
		Host string `json:"host"`
	}
	if err := json.Unmarshal(data, &at); err != nil {
		return fmt.Errorf("decode the host of a passkey: %w", err)
	}
	k.Host = at.Host
	if err := json.Unmarshal(data, &k.Credential); err != nil {
		return fmt.Errorf("decode a passkey: %w", err)
	}
	return nil
}

// NewPasskeys makes the relying party of an address. Several addresses of the public URL's host, by their port, share
// their passkeys. nil: there can be none.
func NewPasskeys(base, public *url.URL, name string) (*Passkeys, error) {
	host := strings.ToLower(base.Hostname())
	if _, err := netip.ParseAddr(host); err == nil {
		return nil, nil //nolint:nilnil // without passkeys is how it works then
	}
	party, err := webauthn.New(&webauthn.Config{
		RPID: host, RPDisplayName: name, RPOrigins: []string{netname.Origin(base)},
		AttestationPreference: protocol.PreferNoAttestation, // which make it is does not matter here
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			// It is asked for by name, after the password. A device that keeps it can offer it by itself in the page's field
			// (conditional mediation knows no other); one that can't, as an old security key, is as good.
			ResidentKey: protocol.ResidentKeyRequirementPreferred,
			// The password is the other factor: a key that asks for no PIN is one too.
			UserVerification: protocol.VerificationPreferred,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("passkeys: %w", err)
	}
	k := &Passkeys{party: party}
	if host != strings.ToLower(public.Hostname()) {
		k.host = host
	}
	return k, nil
}

// Holder is a person as the library wants them. The handle says nothing about who it is:
// authenticators keep and show it (https://www.w3.org/TR/webauthn-3/#user-handle).
type Holder struct {
	person      store.PersonID
	login       string
	credentials []webauthn.Credential
}

// Empty reports whether the person has no passkey of the host.
func (h Holder) Empty() bool { return len(h.credentials) == 0 }

// Ceremony is what an answer of the browser is checked with.
type Ceremony = webauthn.SessionData

func (h Holder) WebAuthnID() []byte {
	sum := sha256.Sum256([]byte("passkey holder\x00" + string(h.person)))
	return sum[:]
}
func (h Holder) WebAuthnName() string                       { return h.login }
func (h Holder) WebAuthnDisplayName() string                { return h.login }
func (h Holder) WebAuthnCredentials() []webauthn.Credential { return h.credentials }

func (h Holder) descriptors() []protocol.CredentialDescriptor {
	var all []protocol.CredentialDescriptor
	for _, c := range h.credentials {
		all = append(all, c.Descriptor())
	}
	return all
}

// Offer begins the making of a passkey: options for the browser (JSON), and what to check its
// answer with.
func (k *Passkeys) Offer(h Holder) (options string, ceremony *Ceremony, err error) {
	creation, ceremony, err := k.party.BeginRegistration(h, webauthn.WithExclusions(h.descriptors()))
	if err != nil {
		return "", nil, fmt.Errorf("offer a passkey: %w", err)
	}
	raw, err := json.Marshal(creation.Response)
	return string(raw), ceremony, err
}

// CheckNew checks the browser's answer to Offer. refused says why it is not taken; it is for the log.
func (k *Passkeys) CheckNew(h Holder, ceremony Ceremony, answer string) (proof Proof, refused error) {
	parsed, err := protocol.ParseCredentialCreationResponseBytes([]byte(answer))
	if err != nil {
		return proof, fmt.Errorf("read a new passkey: %w", err)
	}
	c, err := k.party.CreateCredential(h, ceremony, parsed)
	if err != nil {
		return proof, fmt.Errorf("check a new passkey: %w", err)
	}
	c.Attestation = webauthn.CredentialAttestation{} // none was asked for
	return Proof{passkeyProof{*c, k.host}}, nil
}

// Ask begins the proof of a passkey.
func (k *Passkeys) Ask(h Holder) (options string, ceremony *Ceremony, err error) {
	assertion, ceremony, err := k.party.BeginLogin(h)
	if err != nil {
		return "", nil, fmt.Errorf("ask for a passkey: %w", err)
	}
	raw, err := json.Marshal(assertion.Response)
	return string(raw), ceremony, err
}

// proved checks the browser's answer to Ask, and returns the credential as it is to be kept
// from now on.
func (k *Passkeys) proved(h Holder, ceremony Ceremony, answer string) (c *webauthn.Credential, refused error) {
	parsed, err := protocol.ParseCredentialRequestResponseBytes([]byte(answer))
	if err != nil {
		return nil, fmt.Errorf("read a passkey's answer: %w", err)
	}
	c, err = k.party.ValidateLogin(h, ceremony, parsed)
	switch {
	case err != nil:
		return nil, fmt.Errorf("check a passkey's answer: %w", err)
	case c.Authenticator.CloneWarning:
		// Its counter went back: two devices hold what one should
		// (https://www.w3.org/TR/webauthn-3/#sctn-sign-counter).
		return nil, fmt.Errorf("check a passkey's answer: its counter went back, so it has been copied")
	}
	return c, nil
}
