package saml

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"ssobridge/certs"
)

// failingRSA makes no signature once it has made some.
type failingRSA struct {
	crypto.Signer
	left int
}

func (f *failingRSA) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	if f.left--; f.left < 0 {
		return nil, errors.New("the token is gone")
	}
	return f.Signer.Sign(r, digest, o)
}

// TestDrafts: Responses are written into memory that is used again. None has anything of another person's, and none
// that was given out changes when others are written, be these longer or shorter, given up half-way, or written at the
// same time.
func TestDrafts(t *testing.T) {
	key := readableKey(t, "rsa-2048")
	quick := quickRSA{key.Signer.Public()}
	signer := func(s crypto.Signer) *Signer {
		k := *key
		k.Signer = s
		by, err := NewSigner(&k)
		if err != nil {
			t.Fatal(err)
		}
		return by
	}
	by := signer(quick)
	to := encryptionTo(t, key)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	response := func(by *Signer, person, n int, how Protection) (SignedResponse, error) {
		name := fmt.Sprintf("person-%d-", person)
		a := Assertion{
			ID: "_" + name, NameID: name, Recipient: name, Audience: name, SessionIndex: name, Class: name,
			AuthenticatedAt: now, SessionEnds: now, Attributes: []Attribute{{Name: name, Values: make([]string, n)}},
		}
		for i := range a.Attributes[0].Values {
			a.Attributes[0].Values[i] = name
		}
		how.Random, how.Keep = rand.Reader, true
		r := ResponseParams{Issuer: name, ID: "_r" + name, At: now, Destination: name, InResponseTo: name}
		return by.Response(context.Background(), r, a, how)
	}
	type given struct {
		person       int
		out, written SignedResponse
	}
	check := func(g given) {
		t.Helper()
		if g.out.Body != g.written.Body || !bytes.Equal(g.out.Assertion, g.written.Assertion) {
			t.Errorf("the Response of person %d was changed after it was given out", g.person)
		}
		body, err := base64.StdEncoding.DecodeString(g.out.Body)
		if err != nil {
			t.Error(err)
		}
		for _, text := range []string{string(body), string(g.out.Assertion)} {
			own := strings.Count(text, fmt.Sprintf("person-%d-", g.person))
			if all := strings.Count(text, "person-"); all != own || own == 0 {
				t.Errorf("the Response of person %d names a person %d times, them %d times", g.person, all, own)
			}
		}
	}
	ways := []Protection{
		{SignAssertion: true}, {SignResponse: true}, {SignAssertion: true, SignResponse: true},
		{SignAssertion: true, SignResponse: true, Recipient: to},
	}
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			var kept []given
			for i := range 200 {
				person, n := worker*1000+i, []int{1, 0, 40, 3000, 2, 300}[i%6]
				if i%7 == 3 { // the assertion is signed, and the Response is not
					if _, err := response(signer(&failingRSA{quick, 1}), person, n, ways[2]); err == nil {
						t.Error("a signature that was not made is none")
					}
					continue
				}
				out, err := response(by, person, n, ways[i%len(ways)])
				if err != nil {
					t.Error(err)
					return
				}
				written := SignedResponse{strings.Clone(out.Body), bytes.Clone(out.Assertion)}
				kept = append(kept, given{person, out, written})
			}
			for _, g := range kept {
				check(g)
			}
		})
	}
	all.Wait()
}

func encryptionTo(t *testing.T, key *certs.Key) *Recipient {
	t.Helper()
	keys := []EncryptionKey{{Certificate: key.Certificate.Raw}}
	to, err := Encryption{Mode: EncryptionRequired, SignResponse: true, Keys: keys}.Recipient()
	if err != nil {
		t.Fatal(err)
	}
	return to
}
