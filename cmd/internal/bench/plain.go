package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"os"
	"runtime"
	"time"

	"ssobridge/certs"
)

// plain is what all cores together sign in a loop that does nothing else: the most
// that any program could reach with this kind of key on this machine now.
type plain struct {
	signer crypto.Signer
	run    time.Duration
}

func newPlain(a certs.Algorithm, run time.Duration) (plain, error) {
	key, err := certs.Generate(a, "bench", 24*time.Hour, time.Now(), rand.Reader)
	if err != nil {
		return plain{}, fmt.Errorf("make a key for the plain loop: %w", err)
	}
	return plain{key.Signer, run}, nil
}

// measure signs for a while.
func (p plain) measure(ctx context.Context) (pace, error) {
	digest := sha256.Sum256([]byte("a SignedInfo is hashed before it is signed"))
	sign := func() error {
		// For RSA this is PKCS #1 v1.5, as rsa-sha256 of XML signatures is.
		_, err := p.signer.Sign(rand.Reader, digest[:], crypto.SHA256)
		return err
	}
	m := &meter{pid: os.Getpid()}
	rate, done, err := loop(ctx, runtime.GOMAXPROCS(0), p.run/6, p.run, func(int) (step, error) { return sign, nil }, m.read)
	if err != nil {
		return pace{}, fmt.Errorf("sign in a plain loop: %w", err)
	}
	return pace{rate: rate, each: m.used / time.Duration(done)}, nil
}
