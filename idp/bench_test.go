package idp_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"testing"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// BenchmarkSign is what the machine can sign: the measure for the others.
func BenchmarkSign(b *testing.B) {
	for _, name := range []string{"rsa-2048", "p-256"} {
		b.Run(name, func(b *testing.B) {
			key := readKey(b, name)
			digest := sha256.Sum256([]byte("x"))
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := key.Signer.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "signatures/s")
		})
	}
}

// BenchmarkResponse builds and signs Responses, without store and pages.
func BenchmarkResponse(b *testing.B) {
	for _, c := range []struct {
		name, key string
		both      bool
	}{
		{"rsa-2048/both", "rsa-2048", true},
		{"rsa-2048/response", "rsa-2048", false},
		{"p-256/both", "p-256", true},
	} {
		b.Run(c.name, func(b *testing.B) {
			f := newFixture(b, c.key, nil)
			record := constantContact()
			record.SignAssertion = c.both
			sp := idp.Compile(record)
			e := directory.Entry{ID: "11111111-aaaa-4bbb-8ccc-000000000001", FirstName: "Alice", LastName: "Ång",
				Mail: "alice@partner.test"}
			d := granted(provisioning.Question{Person: e})
			s := store.Session{AuthenticatedAt: start, EndsAt: start.Add(time.Hour), Methods: []string{"password"}}
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := f.Build(context.Background(), sp, s, e, d); err != nil {
						b.Error(err)
						return
					}
				}
			})
			signatures := float64(b.N)
			if c.both {
				signatures *= 2
			}
			b.ReportMetric(signatures/b.Elapsed().Seconds(), "signatures/s")
		})
	}
}

// BenchmarkEncryptedResponse builds, signs twice and encrypts, beside what the
// same RSA operations cost alone: two signatures and one encryption. The ratio is
// what everything else costs.
func BenchmarkEncryptedResponse(b *testing.B) {
	f := newFixture(b, "rsa-2048", nil)
	key := readKey(b, "rsa-2048")
	private, _ := spKey(b)
	digest := sha256.Sum256([]byte("x"))
	e := directory.Entry{ID: "11111111-aaaa-4bbb-8ccc-000000000001", FirstName: "Alice", LastName: "Ång",
		Mail: "alice@partner.test"}
	d := granted(provisioning.Question{Person: e})
	s := store.Session{AuthenticatedAt: start, EndsAt: start.Add(time.Hour), Methods: []string{"password"}}
	sp := idp.Compile(encrypted(b, "required", aes256GCM))
	var pure, whole time.Duration
	b.ReportAllocs()
	b.ResetTimer()
	// By turns, so that a busy machine slows both alike.
	for range b.N {
		at := time.Now()
		for range 2 {
			if _, err := key.Signer.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, &private.PublicKey, digest[:], nil); err != nil {
			b.Fatal(err)
		}
		pure += time.Since(at)
		at = time.Now()
		if _, err := f.Build(context.Background(), sp, s, e, d); err != nil {
			b.Fatal(err)
		}
		whole += time.Since(at)
	}
	b.ReportMetric(float64(whole)/float64(pure), "x-pure-RSA")
}

// BenchmarkLaunch is a launch with a live session: everything but the pages.
func BenchmarkLaunch(b *testing.B) {
	f := newFixture(b, "rsa-2048", nil)
	v := f.signIn(b, "alice", "correct horse")
	b.ResetTimer()
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			a, err := f.Launch(context.Background(), idp.LaunchRequest{}, v)
			if _, ok := a.Page.(idp.Deliver); !ok || err != nil {
				b.Errorf("%T, %v", a.Page, err)
				return
			}
		}
	})
	b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "signatures/s")
}
