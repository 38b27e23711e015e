package claims

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"golang.org/x/oauth2"
)

// ClientKey is the private key by which the bridge proves itself at an OpenID provider, in place of a secret that both
// have (private_key_jwt, OpenID Connect Core 1.0 section 9). It signs nothing else.
type ClientKey struct {
	id, alg string
	signer  crypto.Signer
	atToken bool
}

const (
	minClientRSA = 2048
	maxClientRSA = 4096
	// assertionLife is how long a proof is valid. Each is used once, in the call that it was made for.
	assertionLife = time.Minute
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523 section 2.2
	privateKeyJWT = "private_key_jwt"
)

// ParseClientKey reads a private key (PEM: PKCS #8, PKCS #1 or SEC 1): one on P-256, which signs by ES256, or an RSA
// key of 2048 to 4096 bits, which signs by RS256. id is the kid under which the provider has the public key; "": it has
// it without. atToken has proofs name the provider by its token endpoint, for providers that don't take their issuer.
func ParseClientKey(data []byte, id string, atToken bool) (*ClientKey, error) {
	if id != "" && !plain(id, maxText) {
		return nil, fmt.Errorf("the key's id has more than %d bytes, or control characters", maxText)
	}
	block, rest := pem.Decode(data)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("want one private key in PEM, and nothing beside it")
	}
	var (
		key any
		err error
	)
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, errors.New("the PEM block is no private key, or is encrypted")
	}
	if err != nil { // its text may have parts of the key
		return nil, errors.New("the private key can't be read")
	}
	k := &ClientKey{id: id, atToken: atToken}
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		if key.Curve != elliptic.P256() {
			return nil, errors.New("the private key is on another curve than P-256")
		}
		k.alg, k.signer = ES256, key
	case *rsa.PrivateKey:
		if bits := key.N.BitLen(); bits < minClientRSA || bits > maxClientRSA {
			return nil, fmt.Errorf("the RSA key has %d bits: want %d to %d", bits, minClientRSA, maxClientRSA)
		}
		k.alg, k.signer = RS256, key
	default:
		return nil, errors.New("the private key is neither one on P-256 nor an RSA key")
	}
	return k, nil
}

// proof is what a call of the token endpoint has beside its code to prove who asks.
func (u *OpenID) proof(s *Source, p *provider, now time.Time) ([]oauth2.AuthCodeOption, error) {
	if u.Key == nil {
		return nil, nil
	}
	audience := s.Issuer
	if u.Key.atToken {
		// It goes to that very address: whoever names another one as theirs gets no proof that is good here.
		audience = p.token
	}
	text, err := u.Key.assertion(u.ClientID, audience, now)
	if err != nil {
		return nil, err
	}
	return []oauth2.AuthCodeOption{oauth2.SetAuthURLParam("client_assertion_type", assertionType),
		oauth2.SetAuthURLParam("client_assertion", text)}, nil
}

// assertion is a proof for one call (RFC 7523 section 3).
func (k *ClientKey) assertion(client, audience string, now time.Time) (string, error) {
	header := map[string]string{"alg": k.alg, "typ": typeJWT}
	if k.id != "" {
		header["kid"] = k.id
	}
	at := now.Unix()
	var parts [2]string
	for i, part := range []any{header, map[string]any{"iss": client, "sub": client, "aud": audience, "jti": rand.Text(),
		"iat": at, "exp": at + int64(assertionLife/time.Second)}} {
		data, err := json.Marshal(part)
		if err != nil {
			return "", fmt.Errorf("encode a proof for a provider: %w", err)
		}
		parts[i] = base64.RawURLEncoding.EncodeToString(data)
	}
	signed := parts[0] + "." + parts[1]
	sum := sha256.Sum256([]byte(signed))
	signature, err := k.sign(sum[:])
	if err != nil {
		return "", fmt.Errorf("sign a proof for a provider: %w", err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

func (k *ClientKey) sign(sum []byte) ([]byte, error) {
	key, ok := k.signer.(*ecdsa.PrivateKey)
	if !ok {
		return k.signer.Sign(rand.Reader, sum, crypto.SHA256) // PKCS #1 v1.5: RS256
	}
	// Two numbers of 32 bytes each (RFC 7518 section 3.4).
	r, s, err := ecdsa.Sign(rand.Reader, key, sum)
	if err != nil {
		return nil, err
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signature, nil
}
