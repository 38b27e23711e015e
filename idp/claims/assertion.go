package claims

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
)

// AssertionType is the client_assertion_type of a client that proves itself by a key (RFC 7523 section 2.2).
const AssertionType = assertionType

// typeClient is the typ that new clients write; older ones write JWT, or none.
const typeClient = "client-authentication+jwt"

// Assertion is what a program sends to prove itself by its key (private_key_jwt, OpenID Connect Core 1.0 section 9).
// Nothing of it is to be believed before Verify.
type Assertion struct {
	// Client is who the program says that it is: iss and sub, which are the same.
	Client string

	t token
}

// ParseAssertion takes an assertion apart.
func ParseAssertion(text string) (*Assertion, *Fault) {
	t, bad := split(text)
	if bad != nil {
		return nil, bad
	}
	if t.typ != "" && !strings.EqualFold(t.typ, typeJWT) && !strings.EqualFold(t.typ, typeClient) {
		return nil, fault(ReasonType, "the token's typ is neither %s nor %s", typeJWT, typeClient)
	}
	iss, _, ok := t.text("iss", maxText)
	if !ok {
		return nil, fault(ReasonIssuer, "the token has no iss, or none that can be used")
	}
	if sub, _, ok := t.text("sub", maxText); !ok || sub != iss {
		return nil, fault(ReasonClaims, "the token's sub is not its iss: both are the client's id")
	}
	return &Assertion{Client: iss, t: t}, nil
}

// Verify checks an assertion by the one key of its client. used names it among those of its client: it is to be taken
// once, and remembered until ends.
func (a *Assertion) Verify(key Key, audience string, now time.Time, skew time.Duration) (used []byte, ends time.Time,
	bad *Fault) {
	// The key decides on the algorithm, see Verifier.verify. A client's key is never a secret.
	if key.public == nil || a.t.alg != key.Alg {
		return nil, ends, fault(ReasonAlgorithm, "the token's alg is not %s, which the client's key is for", key.Alg)
	}
	if !key.verify(a.t.signed, a.t.signature) {
		return nil, ends, fault(ReasonSignature, "the client's key does not verify the signature")
	}
	if aud := a.t.audience(); len(aud) != 1 || aud[0] != audience {
		return nil, ends, fault(ReasonAudience, "the token's aud is not %s and nothing else", audience)
	}
	var issued, expires time.Time
	if bad := a.t.stamp(&used, &issued, &expires); bad != nil {
		return nil, ends, bad
	}
	if bad := a.t.valid(issued, expires, now, skew); bad != nil {
		return nil, ends, bad
	}
	return used, expires.Add(skew), nil
}

// Thumbprint names a public key by what it is (RFC 7638), whatever its kid.
func (k Key) Thumbprint() ([]byte, error) {
	if k.public == nil {
		return nil, errors.New("a secret has no thumbprint")
	}
	text, err := thumbprint(k.public)
	if err != nil {
		return nil, err
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) != sha256.Size {
		return nil, fmt.Errorf("the key's thumbprint can't be read: %.60q", text)
	}
	return raw, nil
}

// MarshalText writes a public key as it is stored: its algorithm, and the key itself (PKIX, base64).
func (k Key) MarshalText() ([]byte, error) {
	if k.public == nil {
		return nil, errors.New("a secret is not stored")
	}
	der, err := x509.MarshalPKIXPublicKey(k.public)
	if err != nil {
		return nil, fmt.Errorf("encode a public key: %w", err)
	}
	return []byte(k.Alg + " " + base64.StdEncoding.EncodeToString(der)), nil
}

// UnmarshalText reads a key that MarshalText has written.
func (k *Key) UnmarshalText(text []byte) error {
	alg, encoded, _ := strings.Cut(string(text), " ")
	der, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return errors.New("a stored public key can't be read")
	}
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return errors.New("a stored public key can't be read")
	}
	*k, err = newKey(public, "", alg)
	return err
}
