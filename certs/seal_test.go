package certs_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"ssobridge/certs"
)

func newSealer(t testing.TB, fill byte) *certs.Sealer {
	t.Helper()
	s, err := certs.NewSealer(bytes.Repeat([]byte{fill}, certs.MinSecret))
	if err != nil {
		t.Fatalf("NewSealer: %v", err)
	}
	return s
}

func TestSealOpens(t *testing.T) {
	for _, plain := range [][]byte{nil, []byte("k"), bytes.Repeat([]byte("private"), 1000)} {
		sealed, err := newSealer(t, 1).Seal(plain, "signing-key:01ab")
		if err != nil {
			t.Fatalf("Seal: %v", err)
		}
		if len(plain) > 4 && bytes.Contains(sealed, plain[:5]) {
			t.Error("the plain text stands in what was sealed")
		}
		// Another process with the same secret_key opens it.
		got, err := newSealer(t, 1).Open(sealed, "signing-key:01ab")
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("Open: got %d bytes and %v, want the %d sealed", len(got), err, len(plain))
		}
	}
}

func TestSealIsDifferentEachTime(t *testing.T) {
	s := newSealer(t, 1)
	one, err1 := s.Seal([]byte("same"), "c")
	two, err2 := s.Seal([]byte("same"), "c")
	if err1 != nil || err2 != nil || bytes.Equal(one, two) {
		t.Errorf("sealed twice: equal %t, errors %v %v; want two different", bytes.Equal(one, two), err1, err2)
	}
}

func TestOpenRefuses(t *testing.T) {
	s := newSealer(t, 1)
	sealed, err := s.Seal([]byte("private key"), "signing-key:01ab")
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		tampered := bytes.Clone(sealed)
		tampered[i] ^= 1
		if _, err := s.Open(tampered, "signing-key:01ab"); err == nil {
			t.Errorf("byte %d changed: opened", i)
		} else if i > 0 && !errors.Is(err, certs.ErrSealed) {
			t.Errorf("byte %d changed: got %v, want ErrSealed", i, err)
		}
	}
	cases := []struct {
		name    string
		by      *certs.Sealer
		sealed  []byte
		context string
	}{
		{"other context", s, sealed, "signing-key:02cd"},
		{"empty context", s, sealed, ""},
		{"other secret_key", newSealer(t, 2), sealed, "signing-key:01ab"},
		{"cut short", s, sealed[:len(sealed)-1], "signing-key:01ab"},
		{"version alone", s, sealed[:1], "signing-key:01ab"},
		{"empty", s, nil, "signing-key:01ab"},
		{"longer", s, append(bytes.Clone(sealed), 0), "signing-key:01ab"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			plain, err := c.by.Open(c.sealed, c.context)
			if !errors.Is(err, certs.ErrSealed) || plain != nil {
				t.Errorf("got %q, %v; want nothing and ErrSealed", plain, err)
			}
		})
	}
	if _, err := s.Seal([]byte("x"), ""); err == nil {
		t.Error("Seal without context: got no error")
	}
	if _, err := s.Open(append([]byte{9}, sealed[1:]...), "signing-key:01ab"); err == nil || !strings.Contains(err.Error(), "form 9") {
		t.Errorf("unknown version: got %v, want an error that names it", err)
	}
}

func TestDerive(t *testing.T) {
	s := newSealer(t, 1)
	csrf := s.Derive("csrf")
	if len(csrf) != 32 {
		t.Errorf("got %d bytes, want 32", len(csrf))
	}
	if !bytes.Equal(csrf, newSealer(t, 1).Derive("csrf")) {
		t.Error("the same secret_key and purpose give two keys")
	}
	if bytes.Equal(csrf, s.Derive("browser")) || bytes.Equal(csrf, newSealer(t, 2).Derive("csrf")) {
		t.Error("another purpose or secret_key gives the same key")
	}
}

func TestSecret(t *testing.T) {
	text, err := certs.NewSecret(nil)
	if err != nil {
		t.Fatalf("NewSecret: %v", err)
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatalf("decode %q: %v", text, err)
	}
	for _, form := range []string{text, text + "\n", "  " + strings.TrimRight(text, "=") + " \r\n"} {
		if got, err := certs.ParseSecret(form); err != nil || !bytes.Equal(got, raw) {
			t.Errorf("ParseSecret of a form of it: %d bytes, %v", len(got), err)
		}
	}
	if _, err := certs.NewSecret(strings.NewReader("short")); err == nil {
		t.Error("NewSecret from an exhausted source: got no error")
	}
	if _, err := certs.NewSealer(make([]byte, certs.MinSecret-1)); err == nil {
		t.Error("NewSealer with a short secret: got no error")
	}

	refusals := []struct{ name, text, want string }{
		{"empty", " \n", "empty"},
		{"not base64", "correct horse battery staple, and then some more", "not base64"},
		{"short", base64.StdEncoding.EncodeToString([]byte("hunter2hunter2")), "14 bytes"},
		{"a whole file", strings.Repeat("A", 5000), "at most 4096"},
	}
	for _, c := range refusals {
		t.Run(c.name, func(t *testing.T) {
			_, err := certs.ParseSecret(c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want an error with %q", err, c.want)
			}
			if word := strings.TrimSpace(c.text); word != "" && strings.Contains(err.Error(), word[:12]) {
				t.Errorf("the error repeats the secret: %v", err)
			}
		})
	}
}
