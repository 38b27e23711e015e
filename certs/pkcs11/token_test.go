package pkcs11_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/miekg/pkcs11"

	"ssobridge/certs"
	"ssobridge/certs/pkcs11"
	"ssobridge/internal/testkind"
)

const pin = "1234-Pin"

// module is where Debian puts SoftHSM, which is a PKCS #11 token in files.
func module(t testing.TB) string {
	t.Helper()
	for _, file := range []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so",
		"/usr/local/lib/softhsm/libsofthsm2.so"} {
		if _, err := os.Stat(file); err == nil {
			return file
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("no SoftHSM on this machine: install the package softhsm2")
	}
	t.Skip("no SoftHSM on this machine: install the package softhsm2")
	return ""
}

// newToken makes a token of its own for the test.
func newToken(t testing.TB, label string) pkcs11.Options {
	t.Helper()
	testkind.Starts(t, "softhsm2-util")
	o := pkcs11.Options{Module: module(t), TokenLabel: label, PIN: pin}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "tokens"), 0o700); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "softhsm2.conf")
	if err := os.WriteFile(conf, []byte("directories.tokendir = "+filepath.Join(dir, "tokens")+
		"\nobjectstore.backend = file\nlog.level = ERROR\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	setenv(t, "SOFTHSM2_CONF", conf)
	out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", label, "--pin", pin, "--so-pin",
		"so-pin-5678").CombinedOutput()
	if err != nil {
		t.Fatalf("make a token: %v\n%s", err, out)
	}
	return o
}

func setenv(t testing.TB, name, value string) {
	t.Helper()
	switch t := t.(type) {
	case *testing.T:
		t.Setenv(name, value)
	case *testing.B:
		t.Setenv(name, value)
	}
}

func open(t testing.TB, o pkcs11.Options) *pkcs11.Token {
	t.Helper()
	token, err := pkcs11.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := token.Close(); err != nil {
			t.Error(err)
		}
	})
	return token
}

// KEY-02: a key that a token holds signs, has a certificate, is found again by another
// process's connection, and never gives itself away.
func TestKEY02TokenHoldsKeys(t *testing.T) {
	o := newToken(t, "bridge")
	token := open(t, o)
	for name, c := range map[string]struct {
		make func(label string) (crypto.Signer, error)
		want certs.Algorithm
	}{
		"rsa-2048": {func(l string) (crypto.Signer, error) { return token.GenerateRSA(l, 2048) }, certs.RSA2048},
		"rsa-3072": {func(l string) (crypto.Signer, error) { return token.GenerateRSA(l, 3072) }, certs.RSA3072},
		"p-256":    {func(l string) (crypto.Signer, error) { return token.GenerateECDSA(l, elliptic.P256()) }, certs.P256},
		"p-384":    {func(l string) (crypto.Signer, error) { return token.GenerateECDSA(l, elliptic.P384()) }, certs.P384},
	} {
		t.Run(name, func(t *testing.T) {
			signer, err := c.make(name)
			if err != nil {
				t.Fatal(err)
			}
			now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
			key, err := certs.SelfSign(signer, "sso.example.test", time.Hour, now, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			if key.Algorithm != c.want {
				t.Errorf("algorithm %s, want %s", key.Algorithm, c.want)
			}
			if _, err := key.PKCS8(); err == nil {
				t.Error("the private key was given away")
			}
			if _, err := c.make(name); !errors.Is(err, pkcs11.ErrTaken) {
				t.Errorf("a second key of the same label: %v, want ErrTaken", err)
			}
			again, err := token.Signer(name)
			if err != nil {
				t.Fatal(err)
			}
			loaded, err := certs.FromSigner(key.Certificate.Raw, again)
			if err != nil {
				t.Fatal(err)
			}
			verify(t, loaded.Signer)
		})
	}
	other, err := token.Signer("p-256")
	if err != nil {
		t.Fatal(err)
	}
	key, err := token.Signer("p-384")
	if err != nil {
		t.Fatal(err)
	}
	made, err := certs.SelfSign(key, "sso.example.test", time.Hour, time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := certs.FromSigner(made.Certificate.Raw, other); err == nil {
		t.Error("another key of the token passes for the certificate's")
	}
}

// verify signs and checks the signature.
func verify(t testing.TB, signer crypto.Signer) {
	t.Helper()
	digest := sha256.Sum256([]byte("message"))
	signature, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	switch public := signer.Public().(type) {
	case *rsa.PublicKey:
		if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature); err != nil {
			t.Error(err)
		}
	case *ecdsa.PublicKey:
		if !ecdsa.VerifyASN1(public, digest[:], signature) {
			t.Error("the signature is not the key's")
		}
	default:
		t.Errorf("public key %T", public)
	}
}

func TestTokenRefuses(t *testing.T) {
	o := newToken(t, "bridge")
	token := open(t, o)
	if _, err := token.Signer("nobody"); !errors.Is(err, pkcs11.ErrNoKey) {
		t.Errorf("unknown label: %v, want ErrNoKey", err)
	}
	for _, label := range []string{"", strings.Repeat("x", 65)} {
		if _, err := token.GenerateRSA(label, 2048); err == nil {
			t.Errorf("a key of the label %.10q was made", label)
		}
	}
	if _, err := pkcs11.New(pkcs11.Options{Module: o.Module}); err == nil {
		t.Error("no token label, and no fault")
	}
	missing := open(t, pkcs11.Options{Module: o.Module, TokenLabel: "elsewhere", PIN: pin})
	if _, err := missing.Signer("x"); err == nil || !strings.Contains(err.Error(), "elsewhere") {
		t.Errorf("token that is not there: %v", err)
	}
	noModule := open(t, pkcs11.Options{Module: filepath.Join(t.TempDir(), "none.so"), TokenLabel: "x"})
	if _, err := noModule.Signer("x"); err == nil {
		t.Error("module that is not there")
	}
	if err := token.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := token.Signer("nobody"); err == nil || errors.Is(err, pkcs11.ErrNoKey) {
		t.Errorf("closed token: %v", err)
	}
}

// A wrong PIN is tried once: each further try would bring the token nearer to locking itself.
func TestWrongPINIsTriedOnce(t *testing.T) {
	o := newToken(t, "bridge")
	wrong := o
	wrong.PIN = "not-the-pin"
	token := open(t, wrong)
	for try := range 3 {
		_, err := token.Signer("x")
		if !errors.Is(err, pkcs11.ErrPIN) || strings.Contains(err.Error(), wrong.PIN) {
			t.Errorf("try %d: %v, want ErrPIN and no PIN", try, err)
		}
		// Only the first try reaches the token, which then names its own code.
		if told := strings.Contains(err.Error(), "CKR_"); told != (try == 0) {
			t.Errorf("try %d: %v", try, err)
		}
	}
}

// A lost connection is found again within the signature that meets it, and not over and over.
func TestConnectionComesBack(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	o := newToken(t, "bridge")
	o.Now = func() time.Time { return now }
	token := open(t, o)
	signer, err := token.GenerateECDSA("k", elliptic.P256())
	if err != nil {
		t.Fatal(err)
	}
	verify(t, signer)
	// What a module that was restarted has forgotten: all sessions and logins.
	cut := func() {
		t.Helper()
		if err := api.New(o.Module).Finalize(); err != nil {
			t.Fatal(err)
		}
	}
	cut()
	verify(t, signer)
	cut()
	digest := sha256.Sum256([]byte("message"))
	if _, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256); err == nil {
		t.Error("connected again at once, for the second time")
	}
	now = now.Add(5 * time.Second)
	verify(t, signer)
}

func TestConcurrentSignatures(t *testing.T) {
	token := open(t, newToken(t, "bridge"))
	signer, err := token.GenerateECDSA("k", elliptic.P256())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	errs := make(chan error, 64)
	for n := range 64 {
		wg.Go(func() {
			digest := sha256.Sum256([]byte(fmt.Sprint(n)))
			signature, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256)
			if err != nil || !ecdsa.VerifyASN1(signer.Public().(*ecdsa.PublicKey), digest[:], signature) {
				errs <- fmt.Errorf("signature %d: %w", n, err)
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
}
