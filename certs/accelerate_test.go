package certs_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"ssobridge/certs"
)

// Accelerate changes nothing but the time it takes. With the tag openssl this is the test of OpenSSL's signatures.
func TestAccelerateSignsTheSame(t *testing.T) {
	for _, a := range []certs.Algorithm{certs.RSA2048, certs.RSA3072} {
		t.Run(string(a), func(t *testing.T) {
			k := generate(t, a)
			fast, err := certs.Accelerate(k)
			if err != nil {
				t.Fatal(err)
			}
			if fast.ID != k.ID || !fast.Owns(k.Certificate) {
				t.Errorf("another key came back: %v", fast)
			}
			short, long := sha256.Sum256([]byte("message")), sha512.Sum384([]byte("message"))
			for _, c := range []struct {
				hash   crypto.Hash
				digest []byte
			}{{crypto.SHA256, short[:]}, {crypto.SHA384, long[:]}} {
				want, err := k.Signer.Sign(rand.Reader, c.digest, c.hash)
				if err != nil {
					t.Fatal(err)
				}
				got, err := fast.Signer.Sign(rand.Reader, c.digest, c.hash)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("%v: the signatures differ", c.hash)
				}
			}
			if _, err := fast.Signer.Sign(rand.Reader, short[:31], crypto.SHA256); err == nil {
				t.Error("a digest that is too short was signed")
			}
			if _, err := certs.FromSigner(k.Certificate.Raw, fast.Signer); err != nil {
				t.Error(err)
			}
		})
	}
	if k := generate(t, certs.P256); true {
		if fast, err := certs.Accelerate(k); err != nil || fast != k {
			t.Errorf("ECDSA key: %v, %v, want it as it was", fast, err)
		}
	}
	t.Logf("RSA is signed by %s", certs.Engine())
}

// Many threads sign with one key, while others are made and forgotten.
func TestAccelerateIsSafeForMany(t *testing.T) {
	k := generate(t, certs.RSA2048)
	fast, err := certs.Accelerate(k)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	for n := range 8 {
		wg.Go(func() {
			for i := range 20 {
				digest := sha256.Sum256(fmt.Append(nil, n, i))
				signature, err := fast.Signer.Sign(rand.Reader, digest[:], crypto.SHA256)
				if err == nil {
					err = rsa.VerifyPKCS1v15(k.Signer.Public().(*rsa.PublicKey), crypto.SHA256, digest[:], signature)
				}
				if err != nil {
					errs <- err
					return
				}
				if _, err := certs.Accelerate(k); err != nil {
					errs <- err
					return
				}
				if i%10 == 0 {
					runtime.GC()
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
}

// BenchmarkSignRSA compares what signs in this program with Go's own signer; run it with and without the tag openssl.
func BenchmarkSignRSA(b *testing.B) {
	for _, a := range []certs.Algorithm{certs.RSA2048, certs.RSA3072} {
		k := generate(b, a)
		fast, err := certs.Accelerate(k)
		if err != nil {
			b.Fatal(err)
		}
		digest := sha256.Sum256([]byte("message"))
		for name, signer := range map[string]crypto.Signer{"Go": k.Signer, "this": fast.Signer} {
			b.Run(string(a)+"/"+name, func(b *testing.B) {
				for b.Loop() {
					if _, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
