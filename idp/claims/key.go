package claims

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// The algorithms. There is no other, and none is chosen by a token.
const (
	ES256 = "ES256"
	EdDSA = "EdDSA"
	RS256 = "RS256"
	PS256 = "PS256"
	HS256 = "HS256"
)

const (
	leastRSA  = 2048 // bits
	mostRSA   = 8192 // more only costs time
	leastHMAC = 32   // bytes: as many as the hash has (RFC 7518 section 3.2)
	maxKeyID  = 256
	maxKeys   = 50 // of one source
)

// Key is a key that verifies a source's tokens, by the one algorithm that it is for.
type Key struct {
	ID  string // kid; of a key that was given without one, its thumbprint (RFC 7638)
	Alg string

	named  bool // the kid came with the key
	public crypto.PublicKey
	secret []byte
}

// newKey makes a key of a public one. alg "" takes that of the kind of key, RS256 for RSA.
func newKey(public crypto.PublicKey, id, alg string) (Key, error) {
	k := Key{ID: id, named: id != "", public: public}
	var fits []string
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		if p.Curve != elliptic.P256() {
			return k, errors.New("it is an EC key on another curve than P-256")
		}
		fits = []string{ES256}
	case ed25519.PublicKey:
		fits = []string{EdDSA}
	case *rsa.PublicKey:
		if n := p.N.BitLen(); n < leastRSA || n > mostRSA {
			return k, fmt.Errorf("it is an RSA key of %d bits: want %d to %d", n, leastRSA, mostRSA)
		}
		if p.E < 3 || p.E%2 == 0 {
			return k, errors.New("it is an RSA key with an exponent that can't be")
		}
		fits = []string{RS256, PS256}
	default:
		return k, fmt.Errorf("it is a key of the kind %T, which is not used here", public)
	}
	if k.Alg = alg; alg == "" {
		k.Alg = fits[0]
	}
	if !slices.Contains(fits, k.Alg) {
		return k, fmt.Errorf("its alg %.20q does not fit this kind of key: want %v", alg, fits)
	}
	if k.ID == "" {
		var err error
		if k.ID, err = thumbprint(public); err != nil {
			return k, err
		}
	}
	return k, nil
}

// NewSecret makes a key for HS256. The secret is shared with the source, which must be asked for by name in its
// settings.
func NewSecret(secret []byte) (Key, error) {
	if len(secret) < leastHMAC {
		return Key{}, fmt.Errorf("the secret has %d bytes: want %d random ones or more", len(secret), leastHMAC)
	}
	if distinct := len(slices.Compact(slices.Sorted(slices.Values(secret)))); distinct < 10 {
		return Key{}, fmt.Errorf("the secret has %d different bytes only: want random ones", distinct)
	}
	return Key{ID: HS256, Alg: HS256, secret: secret}, nil
}

// verify checks a signature by the key's own algorithm (RFC 7518 section 3).
func (k Key) verify(signed string, signature []byte) bool {
	sum := sha256.Sum256([]byte(signed))
	switch k.Alg {
	case ES256:
		public, ok := k.public.(*ecdsa.PublicKey)
		if !ok || len(signature) != 64 {
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		return ecdsa.Verify(public, sum[:], r, s)
	case EdDSA:
		public, ok := k.public.(ed25519.PublicKey)
		return ok && ed25519.Verify(public, []byte(signed), signature)
	case RS256:
		public, ok := k.public.(*rsa.PublicKey)
		return ok && rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], signature) == nil
	case PS256:
		public, ok := k.public.(*rsa.PublicKey)
		return ok && rsa.VerifyPSS(public, crypto.SHA256, sum[:], signature,
			&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
	case HS256:
		mac := hmac.New(sha256.New, k.secret)
		mac.Write([]byte(signed))
		// Constant time: else a signature is found byte by byte.
		return len(k.secret) >= leastHMAC && hmac.Equal(mac.Sum(nil), signature)
	}
	return false
}

// ParseKeys reads the file of a pinned key: a PEM public key or certificate, a JWK, or a JWK set. One that holds a
// private key is refused, since it should not be here.
func ParseKeys(data []byte) ([]Key, error) {
	if block, rest := pem.Decode(data); block != nil {
		var all []Key
		for ; block != nil; block, rest = pem.Decode(rest) {
			k, err := pemKey(block)
			if err != nil {
				return nil, err
			}
			all = append(all, k)
		}
		return distinct(all)
	}
	o, err := readObject(data)
	if err != nil {
		return nil, fmt.Errorf("it is neither PEM nor a JWK: %w", err)
	}
	if _, isSet := o["keys"]; isSet {
		return jwkSet(o, true)
	}
	k, err := jwkKey(o)
	if err != nil {
		return nil, err
	}
	return []Key{k}, nil
}

func pemKey(block *pem.Block) (Key, error) {
	switch block.Type {
	case "PUBLIC KEY":
		public, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return Key{}, errors.New("it is no public key")
		}
		return newKey(public, "", "")
	case "CERTIFICATE":
		// Only a wrapping of the key: it is pinned, and no authority is asked.
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return Key{}, errors.New("it is no certificate")
		}
		return newKey(c.PublicKey, "", "")
	}
	return Key{}, fmt.Errorf("it is a PEM block of the type %.40q: want PUBLIC KEY or CERTIFICATE", block.Type)
}

// parseJWKS reads a JWK set that was fetched (RFC 7517 section 5). Keys that can't be used are passed over, as a set
// has keys for other purposes too; symmetric ones above all, which nobody publishes.
func parseJWKS(data []byte) ([]Key, error) {
	o, err := readObject(data)
	if err != nil {
		return nil, fmt.Errorf("the JWK set can't be read: %w", err)
	}
	return jwkSet(o, false)
}

func jwkSet(o map[string]any, strict bool) ([]Key, error) {
	list, ok := o["keys"].([]any)
	if !ok {
		return nil, errors.New("the JWK set has no list of keys")
	}
	if len(list) > maxKeys {
		return nil, fmt.Errorf("the JWK set has %d keys: at most %d are read", len(list), maxKeys)
	}
	var all []Key
	for _, one := range list {
		jwk, ok := one.(map[string]any)
		if !ok {
			return nil, errors.New("the JWK set has an entry that is no key")
		}
		k, err := jwkKey(jwk)
		if err != nil {
			if strict {
				return nil, err
			}
			continue
		}
		all = append(all, k)
	}
	return distinct(all)
}

// distinct refuses keys of one id: which one counts would be a matter of order.
func distinct(all []Key) ([]Key, error) {
	if len(all) == 0 {
		return nil, errors.New("it holds no key that can be used")
	}
	seen := map[string]bool{}
	for _, k := range all {
		if seen[k.ID] {
			return nil, fmt.Errorf("two keys have the kid %.60q", k.ID)
		}
		seen[k.ID] = true
	}
	return all, nil
}

func jwkKey(o map[string]any) (Key, error) {
	text := func(name string) string { s, _ := o[name].(string); return s }
	if use := text("use"); use != "" && use != "sig" {
		return Key{}, fmt.Errorf("the use of the JWK is %.20q and not sig", use)
	}
	if ops, there := o["key_ops"].([]any); there && !slices.Contains(ops, any("verify")) {
		return Key{}, errors.New("the key_ops of the JWK do not have verify")
	}
	if _, private := o["d"]; private {
		// Whoever can read it signs as the source.
		return Key{}, errors.New("it is a private key: give the public one, and make a new key, since this one was shown")
	}
	id := text("kid")
	if len(id) > maxKeyID {
		return Key{}, fmt.Errorf("the kid of the JWK has more than %d bytes", maxKeyID)
	}
	number := func(name string) []byte {
		raw, err := base64.RawURLEncoding.DecodeString(text(name))
		if err != nil {
			return nil
		}
		return raw
	}
	switch kty, crv := text("kty"), text("crv"); {
	case kty == "EC" && crv == "P-256":
		x, y := number("x"), number("y")
		if len(x) != 32 || len(y) != 32 {
			return Key{}, errors.New("the JWK's point has the wrong length")
		}
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
		if err != nil {
			return Key{}, errors.New("the JWK's point is not on the curve")
		}
		return newKey(public, id, text("alg"))
	case kty == "OKP" && crv == "Ed25519":
		x := number("x")
		if len(x) != ed25519.PublicKeySize {
			return Key{}, errors.New("the JWK's point has the wrong length")
		}
		return newKey(ed25519.PublicKey(x), id, text("alg"))
	case kty == "RSA":
		n, e := number("n"), number("e")
		if len(n) == 0 || len(n) > mostRSA/8+1 || len(e) == 0 || len(e) > 4 {
			return Key{}, errors.New("the JWK's modulus or exponent can't be used")
		}
		exponent := new(big.Int).SetBytes(e).Int64()
		return newKey(&rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent)}, id, text("alg"))
	case kty == "oct":
		return Key{}, errors.New("it is a shared secret, which is never taken from a JWK")
	}
	return Key{}, errors.New("it is no EC key on P-256, no Ed25519 key and no RSA key")
}

// thumbprint names a key by what it is (RFC 7638).
func thumbprint(public crypto.PublicKey) (string, error) {
	b64 := base64.RawURLEncoding.EncodeToString
	var o any
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		point, err := p.Bytes()
		if err != nil {
			return "", fmt.Errorf("encode the key's point: %w", err)
		}
		o = struct {
			Crv string `json:"crv"`
			Kty string `json:"kty"`
			X   string `json:"x"`
			Y   string `json:"y"`
		}{"P-256", "EC", b64(point[1:33]), b64(point[33:])}
	case ed25519.PublicKey:
		o = struct {
			Crv string `json:"crv"`
			Kty string `json:"kty"`
			X   string `json:"x"`
		}{"Ed25519", "OKP", b64(p)}
	case *rsa.PublicKey:
		o = struct {
			E   string `json:"e"`
			Kty string `json:"kty"`
			N   string `json:"n"`
		}{b64(big.NewInt(int64(p.E)).Bytes()), "RSA", b64(p.N.Bytes())}
	}
	text, err := json.Marshal(o)
	if err != nil {
		return "", fmt.Errorf("encode the key: %w", err)
	}
	sum := sha256.Sum256(text)
	return b64(sum[:]), nil
}
