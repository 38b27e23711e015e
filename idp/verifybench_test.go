package idp_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"net/http"
	"testing"

	"ssobridge/certs"
	"ssobridge/idp"
)

// BenchmarkVerify is the verification of signed requests beside the plain RSA
// operation in it: the ratio is what our own part costs.
func BenchmarkVerify(b *testing.B) {
	now.Set(start)
	key := readKey(b, "sp-rsa")
	sp := signingSP(key.Certificate)
	redirect := query{key: key}.sign(b, newRequest(signs).xml())
	document := postText(signature{key: key, keyInfo: certificateInfo(key.Certificate)}.sign(b, newRequest(signs).xml()))
	unsigned := postText(newRequest(signs).xml())
	read := func(b *testing.B, request func() *http.Request, want bool) {
		compiled := idp.Compile(sp)
		b.ReportAllocs()
		for b.Loop() {
			if _, signed, bad := idp.ReadCompiled(request(), compiled); bad != nil || signed != want {
				b.Fatal(signed, bad)
			}
		}
	}
	b.Run("rsa", func(b *testing.B) { verifyRSA(b, key) })
	b.Run("redirect", func(b *testing.B) { read(b, func() *http.Request { return get(redirect) }, true) })
	b.Run("post", func(b *testing.B) { read(b, func() *http.Request { return post(document) }, true) })
	b.Run("unsigned", func(b *testing.B) { read(b, func() *http.Request { return post(unsigned) }, false) })
}

func verifyRSA(b *testing.B, key *certs.Key) {
	sum := sha256.Sum256([]byte("x"))
	value := signOctets(b, key, rsaSHA256, false, []byte("x"))
	public := key.Signer.Public().(*rsa.PublicKey)
	for b.Loop() {
		if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], value); err != nil {
			b.Fatal(err)
		}
	}
}
