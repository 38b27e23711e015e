package claims_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"

	"ssobridge/idp/claims"
)

// BenchmarkVerify is the whole check of a token; BenchmarkSignature is the signature in it alone. The difference is to
// stay below 50 µs.
func BenchmarkVerify(b *testing.B) {
	v, token := verifier(b, portal(b)), es256(b, nil)
	for b.Loop() {
		if _, bad := v.Verify(b.Context(), token, claims.TypeLaunch, nil); bad != nil {
			b.Fatal(bad)
		}
	}
}

func BenchmarkSignature(b *testing.B) {
	parts := strings.Split(es256(b, nil), ".")
	raw, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		b.Fatal(err)
	}
	r, s := new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])
	for b.Loop() {
		sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
		if !ecdsa.Verify(&keys().ec.PublicKey, sum[:], r, s) {
			b.Fatal("the signature is wrong")
		}
	}
}
