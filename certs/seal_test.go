package certs_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

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
	if _, err := s.Open(append([]byte{9}, sealed[1:]...), "signing-key:01ab"); err == nil ||
		!strings.Contains(err.Error(), "form 9") {
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

// newRing is a Sealer with several secret keys.
func newRing(t testing.TB, fills ...byte) *certs.Sealer {
	t.Helper()
	var secrets [][]byte
	for _, fill := range fills {
		secrets = append(secrets, bytes.Repeat([]byte{fill}, certs.MinSecret))
	}
	s, err := certs.NewSealer(secrets...)
	if err != nil {
		t.Fatalf("NewSealer: %v", err)
	}
	return s
}

// Another secret key is first known everywhere, then seals, and then the former one goes.
func TestSecretKeysRotate(t *testing.T) {
	const context = "signing-key:01ab"
	states := []*certs.Sealer{newRing(t, 1), newRing(t, 1, 2), newRing(t, 2, 1), newRing(t, 2)}
	for i, by := range states {
		sealed, err := by.Seal([]byte("k"), context)
		if err != nil {
			t.Fatal(err)
		}
		mac := by.MAC("session", []byte("a"))
		for j, at := range states {
			// Neighbouring states run side by side.
			want := i-j <= 1 && j-i <= 1
			if _, err := at.Open(sealed, context); want && err != nil {
				t.Errorf("sealed in state %d, opened in state %d: %v", i, j, err)
			}
			if err := at.CheckMAC(mac, "session", []byte("a")); want && err != nil {
				t.Errorf("vouched for in state %d, checked in state %d: %v", i, j, err)
			}
		}
		if id, ok := states[1].SealedBy(sealed, context); !ok || id != by.KeyIDs()[0] {
			t.Errorf("state %d: sealed by %s, %t; want %s", i, id, ok, by.KeyIDs()[0])
		}
	}
	old, _ := states[0].Seal([]byte("k"), context)
	if _, err := states[3].Open(old, context); !errors.Is(err, certs.ErrSealed) {
		t.Errorf("the former secret key is gone: got %v, want ErrSealed", err)
	}
	if err := states[3].CheckMAC(states[0].MAC("session"), "session"); !errors.Is(err, certs.ErrSealed) {
		t.Errorf("MAC by a secret key that is gone: got %v, want ErrSealed", err)
	}
	if _, err := certs.NewSealer(bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{1}, 32)); err == nil {
		t.Error("one secret key twice: got no error")
	}
	if key, known := states[1].DeriveBy(states[3].KeyIDs()[0], "csrf"); !known ||
		!bytes.Equal(key, states[3].Derive("csrf")) {
		t.Error("DeriveBy gives another key than Derive")
	}
}

func TestSealDay(t *testing.T) {
	s, now := newSealer(t, 1), time.Date(2026, 3, 1, 23, 59, 0, 0, time.UTC)
	sealed, err := s.SealDay([]byte("started"), "start", "browser", now)
	if err != nil {
		t.Fatal(err)
	}
	for _, later := range []time.Duration{-time.Hour, 0, 2 * time.Minute, 24 * time.Hour} {
		if plain, err := newSealer(t, 1).OpenDay(sealed, "start", "browser", now.Add(later)); err != nil ||
			string(plain) != "started" {
			t.Errorf("after %v: got %q, %v", later, plain, err)
		}
	}
	refused := func(name string, by *certs.Sealer, sealed []byte, purpose, context string, at time.Time) {
		t.Helper()
		if plain, err := by.OpenDay(sealed, purpose, context, at); !errors.Is(err, certs.ErrSealed) || plain != nil {
			t.Errorf("%s: got %q, %v; want ErrSealed", name, plain, err)
		}
	}
	refused("two days later", s, sealed, "start", "browser", now.Add(48*time.Hour))
	refused("two days before", s, sealed, "start", "browser", now.Add(-48*time.Hour))
	refused("another purpose", s, sealed, "page", "browser", now)
	refused("another context", s, sealed, "start", "other", now)
	refused("another secret key", newSealer(t, 2), sealed, "start", "browser", now)
	refused("empty", s, nil, "start", "browser", now)
	for i := range sealed {
		tampered := bytes.Clone(sealed)
		tampered[i] ^= 1
		refused(fmt.Sprintf("byte %d changed", i), s, tampered, "start", "browser", now)
	}
	if _, err := s.Open(sealed, "browser"); err == nil {
		t.Error("Open opens what was sealed for a day")
	}
}

func TestMAC(t *testing.T) {
	s := newSealer(t, 1)
	mac := s.MAC("session", []byte("ab"), []byte("c"))
	if err := newSealer(t, 1).CheckMAC(mac, "session", []byte("ab"), []byte("c")); err != nil {
		t.Errorf("CheckMAC: %v", err)
	}
	for name, err := range map[string]error{
		"fields cut elsewhere": s.CheckMAC(mac, "session", []byte("a"), []byte("bc")),
		"another purpose":      s.CheckMAC(mac, "factor", []byte("ab"), []byte("c")),
		"one field more":       s.CheckMAC(mac, "session", []byte("ab"), []byte("c"), nil),
		"another secret key":   newSealer(t, 2).CheckMAC(mac, "session", []byte("ab"), []byte("c")),
		"cut short":            s.CheckMAC(mac[:len(mac)-1], "session", []byte("ab"), []byte("c")),
		"empty":                s.CheckMAC(nil, "session", []byte("ab"), []byte("c")),
	} {
		if !errors.Is(err, certs.ErrSealed) {
			t.Errorf("%s: got %v, want ErrSealed", name, err)
		}
	}
}

// TestMACsAtOnce: keys of MACs are kept ready for use, by purpose and secret key. MACs that are made at the same time
// are those that are made one after the other, and no other secret key checks them.
func TestMACsAtOnce(t *testing.T) {
	var sealers []*certs.Sealer
	want := map[string][]byte{}
	field := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, i) }
	for key := range byte(2) {
		s := newSealer(t, key+1)
		sealers = append(sealers, newSealer(t, key+1))
		for i := range 40 {
			for _, purpose := range []string{"session", "factor"} {
				want[fmt.Sprint(key, purpose, i)] = s.MAC(purpose, field(i), field(i+1))
			}
		}
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for n := range 4000 {
				key, i, purpose := n%2, n/4%40, []string{"session", "factor"}[n/2%2]
				mac := want[fmt.Sprint(key, purpose, i)]
				if got := sealers[key].MAC(purpose, field(i), field(i+1)); !bytes.Equal(got, mac) {
					t.Errorf("key %d, purpose %s, field %d: got %x, want %x", key, purpose, i, got, mac)
				}
				if err := sealers[key].CheckMAC(mac, purpose, field(i), field(i+1)); err != nil {
					t.Errorf("key %d, purpose %s, field %d: %v", key, purpose, i, err)
				}
				if sealers[1-key].CheckMAC(mac, purpose, field(i), field(i+1)) == nil {
					t.Errorf("key %d, purpose %s, field %d: another secret key checks it", key, purpose, i)
				}
			}
		})
	}
	all.Wait()
}
