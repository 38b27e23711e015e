package certs_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ssobridge/certs"
)

// engines are the two signers of RSA keys in memory. Debian's libcrypto is there wherever the tests run (.ci/install).
func engines(t testing.TB) map[string]*certs.Engine {
	t.Helper()
	fast := certs.NewEngine(certs.EngineOptions{Report: noReport(t)})
	if s := fast.Status(); !s.Libcrypto || !strings.HasPrefix(s.Version, "OpenSSL ") || s.Library == "" || s.Reason != "" {
		t.Fatalf("libcrypto is not in use: %+v", s)
	}
	return map[string]*certs.Engine{"libcrypto": fast, "Go": certs.NewEngine(certs.EngineOptions{Off: true,
		Report: noReport(t)})}
}

func noReport(t testing.TB) func(context.Context, string) error {
	return func(_ context.Context, reason string) error {
		t.Errorf("libcrypto was given up: %s", reason)
		return nil
	}
}

func signs(t testing.TB, k *certs.Key, signer crypto.Signer, n int) {
	t.Helper()
	for i := range n {
		digest := sha256.Sum256(fmt.Append(nil, "message", i))
		got, err := certs.Sign(t.Context(), signer, digest[:], crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		if rsa.VerifyPKCS1v15(k.Signer.Public().(*rsa.PublicKey), crypto.SHA256, digest[:], got) != nil {
			t.Fatalf("signature %d is wrong", i)
		}
	}
}

// COST-20: who signs changes nothing but the time it takes: the signatures are the same octets, for each size of a key.
func TestEngineSignsTheSame(t *testing.T) {
	keys := map[string]*certs.Key{"rsa-2048": generate(t, certs.RSA2048), "rsa-3072": generate(t, certs.RSA3072)}
	for name, bits := range map[string]int{"rsa-4096": 4096, "rsa-2056": 2056} {
		private, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		if keys[name], err = certs.SelfSign(private, "engine", 365*24*60*60*1e9, noon, rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	for engine, e := range engines(t) {
		for name, k := range keys {
			t.Run(engine+"/"+name, func(t *testing.T) {
				through := e.Key(k)
				if through.ID != k.ID || !through.Owns(k.Certificate) {
					t.Errorf("another key came back: %v", through)
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
					for range 2 * runtime.GOMAXPROCS(0) { // each slot has a copy of the key
						got, err := through.Signer.Sign(rand.Reader, c.digest, c.hash)
						if err != nil {
							t.Fatal(err)
						}
						if !bytes.Equal(got, want) {
							t.Errorf("%v: the signatures differ", c.hash)
						}
					}
				}
				if _, err := through.Signer.Sign(rand.Reader, short[:31], crypto.SHA256); err == nil {
					t.Error("a digest that is too short was signed")
				}
				// What is asked for as PSS is PSS, whoever signs.
				pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
				if got, err := through.Signer.Sign(rand.Reader, short[:], pss); err != nil ||
					rsa.VerifyPSS(k.Signer.Public().(*rsa.PublicKey), crypto.SHA256, short[:], got, pss) != nil {
					t.Errorf("PSS: %v", err)
				}
				if _, err := certs.FromSigner(k.Certificate.Raw, through.Signer); err != nil {
					t.Error(err)
				}
				if _, err := through.PKCS8(); err == nil {
					t.Error("a key that signs through an engine gave its private key away")
				}
			})
		}
	}
}

// ECDSA is faster in Go. A key in a token is left alone.
func TestEngineLeavesOthers(t *testing.T) {
	for engine, e := range engines(t) {
		k := generate(t, certs.P256)
		through := e.Key(k)
		digest := sha256.Sum256([]byte("message"))
		signature, err := through.Signer.Sign(rand.Reader, digest[:], crypto.SHA256)
		if err != nil || !ecdsa.VerifyASN1(k.Signer.Public().(*ecdsa.PublicKey), digest[:], signature) {
			t.Errorf("%s: ECDSA key: %v", engine, err)
		}
		held := &certs.Key{ID: k.ID, Algorithm: k.Algorithm, Certificate: k.Certificate, Signer: otherSigner{k.Signer}}
		if e.Key(held) != held {
			t.Errorf("%s: a key in a token did not stay as it was", engine)
		}
	}
}

type otherSigner struct{ crypto.Signer }

// Many threads sign with one key, while others are made and forgotten.
func TestEngineIsSafeForMany(t *testing.T) {
	k := generate(t, certs.RSA2048)
	for name, e := range engines(t) {
		t.Run(name, func(t *testing.T) {
			through := e.Key(k)
			var wg sync.WaitGroup
			errs := make(chan error, 8)
			for n := range 8 {
				wg.Go(func() {
					for i := range 10 {
						digest := sha256.Sum256(fmt.Append(nil, n, i))
						signer := through.Signer
						if i%5 == 0 {
							signer = e.Key(k).Signer
						}
						signature, err := certs.Sign(t.Context(), signer, digest[:], crypto.SHA256)
						if err == nil {
							err = rsa.VerifyPKCS1v15(k.Signer.Public().(*rsa.PublicKey), crypto.SHA256, digest[:], signature)
						}
						if err != nil {
							errs <- err
							return
						}
						if i%5 == 0 {
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
		})
	}
}

// heraldedSigner does something before it signs, in its slot.
type heraldedSigner struct {
	crypto.Signer
	before func()
}

func (s heraldedSigner) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	s.before()
	return s.Signer.Sign(random, digest, opts)
}

// COST-22: signatures are made in as many slots as there are, first come first served; who waits is heard when the
// request ends, and a signature that fails or panics gives its slot back.
func TestEngineSlots(t *testing.T) {
	k := generate(t, certs.P256)
	synctest.Test(t, func(t *testing.T) {
		e := certs.NewEngine(certs.EngineOptions{Off: true, Slots: 2})
		digest := sha256.Sum256([]byte("message"))
		// Both slots are taken.
		begun, free := make(chan struct{}), make(chan struct{})
		busy := certs.Through(e, heraldedSigner{k.Signer, func() {
			begun <- struct{}{}
			<-free
		}})
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if _, err := certs.Sign(t.Context(), busy, digest[:], crypto.SHA256); err != nil {
					t.Error(err)
				}
			})
		}
		<-begun
		<-begun

		fast := e.Key(k).Signer
		var mu sync.Mutex
		var order []int
		for i := range 20 {
			// It is noted in the slot: who gave it back may be overtaken.
			noted := certs.Through(e, heraldedSigner{k.Signer, func() {
				mu.Lock()
				defer mu.Unlock()
				order = append(order, i)
			}})
			wg.Go(func() {
				if _, err := certs.Sign(t.Context(), noted, digest[:], crypto.SHA256); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait() // it stands in the queue
		}
		if len(order) > 0 {
			t.Errorf("%v did not wait for a slot", order)
		}
		gone, cancel := context.WithCancel(t.Context())
		left := make(chan error)
		go func() {
			_, err := certs.Sign(gone, fast, digest[:], crypto.SHA256)
			left <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("a request that ended while it waited: %v", err)
		}
		// One slot is given back and serves all twenty, by turns.
		free <- struct{}{}
		synctest.Wait()
		for i, got := range order {
			if got != i {
				t.Fatalf("not in the order of coming: %v", order)
			}
		}
		if len(order) != 20 {
			t.Errorf("%d of 20 were served", len(order))
		}
		free <- struct{}{}
		wg.Wait()

		// More failures than slots.
		for range 5 {
			if _, err := certs.Sign(t.Context(), certs.Through(e, brokenSigner{k.Signer, false}), digest[:],
				crypto.SHA256); err == nil {
				t.Error("a signer that fails gave a signature")
			}
			func() {
				defer func() { _ = recover() }()
				_, _ = certs.Sign(t.Context(), certs.Through(e, brokenSigner{k.Signer, true}), digest[:], crypto.SHA256)
				t.Error("a signer that panics gave a signature")
			}()
		}
		if _, err := certs.Sign(t.Context(), fast, digest[:], crypto.SHA256); err != nil {
			t.Error(err)
		}
	})
}

// COST-21: a library that is missing, too old, incomplete or broken is not used, and the status says why.
func TestEngineWithoutLibrary(t *testing.T) {
	k := generate(t, certs.RSA2048)
	noLibrary := filepath.Join(t.TempDir(), "text.so")
	if err := os.WriteFile(noLibrary, []byte("this is no library"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		options certs.EngineOptions
		why     string
	}{
		{"switched off", certs.EngineOptions{Off: true}, "switched off"},
		{"missing", certs.EngineOptions{Libraries: []string{"libnone.so.3", "libnone.so.4"}}, "libnone.so.3"},
		{"no library", certs.EngineOptions{Libraries: []string{noLibrary}}, "text.so"},
		{"1.1", certs.EngineOptions{Libraries: []string{standIn(t, "OLD")}}, "is older than OpenSSL 3"},
		{"2.0", certs.EngineOptions{Libraries: []string{standIn(t, "MAJOR")}}, "is OpenSSL 2"},
		{"without a function", certs.EngineOptions{Libraries: []string{standIn(t, "MISSING")}},
			"has no function EVP_PKEY_sign"},
		{"that does not start", certs.EngineOptions{Libraries: []string{standIn(t, "INIT")}}, "openssl.cnf"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.options.Report = noReport(t) // it was never in use
			e := certs.NewEngine(c.options)
			s := e.Status()
			if s.Libcrypto || s.Failed || !strings.Contains(s.Reason, c.why) || !strings.HasPrefix(s.String(), "Go ") ||
				!strings.Contains(s.String(), c.why) {
				t.Errorf("%+v %s, want a reason with %q", s, s, c.why)
			}
			signs(t, k, e.Key(k).Signer, 3)
		})
	}
	t.Run("the next name", func(t *testing.T) {
		e := certs.NewEngine(certs.EngineOptions{Libraries: []string{standIn(t, "OLD"), "libcrypto.so.3"},
			Report: noReport(t)})
		if s := e.Status(); !s.Libcrypto || s.Library != "libcrypto.so.3" {
			t.Errorf("%+v", s)
		}
		signs(t, k, e.Key(k).Signer, 3)
	})
}

// COST-21: a library that makes errors or wrong signatures is given up for good, and reported once. No signature of its
// leaves: Go makes the same one again.
func TestEngineGivesUp(t *testing.T) {
	k := generate(t, certs.RSA2048)
	for _, fault := range []string{"KEY", "CONTEXT", "DIGEST", "SIGN", "WRONG", "SHORT"} {
		t.Run(fault, func(t *testing.T) {
			var reports []string
			now := time.Now()
			e := certs.NewEngine(certs.EngineOptions{Slots: 2, Libraries: []string{standIn(t, fault)},
				Report: func(_ context.Context, reason string) error {
					if reports = append(reports, reason); len(reports) == 1 {
						return errors.New("the database is away") // then it is tried again
					}
					return nil
				}, Now: func() time.Time { return now }})
			if s := e.Status(); !s.Libcrypto || s.Version != "Stand-in ? 3.9" {
				t.Fatalf("it is not in use: %+v", s)
			}
			signs(t, k, e.Key(k).Signer, 5)
			if len(reports) != 1 {
				t.Errorf("reports %q, want one: who signs must not wait for the database each time", reports)
			}
			now = now.Add(time.Minute)
			signs(t, k, e.Key(k).Signer, 5)
			s := e.Status()
			if s.Libcrypto || !s.Failed || s.Reason == "" {
				t.Errorf("it was not given up: %+v", s)
			}
			if len(reports) != 2 || reports[0] != s.Reason || reports[1] != s.Reason {
				t.Errorf("reports %q, want one that failed and one that did not", reports)
			}
		})
	}
}

// COST-21: a library that goes wrong later is found within the next ten thousand signatures, and the wrong one does not
// leave.
func TestEngineLooksAgain(t *testing.T) {
	k := generate(t, certs.RSA2048)
	reports := 0
	e := certs.NewEngine(certs.EngineOptions{Slots: 1, Libraries: []string{standIn(t, "40")}, Report: func(context.Context,
		string) error {
		reports++
		return nil
	}})
	signer := e.Key(k).Signer
	signs(t, k, signer, 1) // the first one of this copy of the key
	certs.SignedBefore(e, 9_930)
	signs(t, k, signer, 39)
	wrong, digest := 0, sha256.Sum256([]byte("message"))
	for range 50 {
		signature, err := certs.Sign(t.Context(), signer, digest[:], crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		if rsa.VerifyPKCS1v15(k.Signer.Public().(*rsa.PublicKey), crypto.SHA256, digest[:], signature) != nil {
			wrong++
		}
	}
	if s := e.Status(); wrong != 31 || !s.Failed || reports != 1 {
		t.Errorf("%d wrong signatures left, want the 31 before the one that is looked at; %+v, %d reports", wrong, s, reports)
	}
}

// COST-21: the first signature of each copy of a key is verified, however many others the slot has made: the copy
// itself may be wrong.
func TestEngineLooksAtEachCopy(t *testing.T) {
	first, second := generate(t, certs.RSA2048), generate(t, certs.RSA2048)
	const right = 12
	reports := 0
	e := certs.NewEngine(certs.EngineOptions{Slots: 1, Libraries: []string{standIn(t, strconv.Itoa(right))},
		Report: func(context.Context, string) error {
			reports++
			return nil
		}})
	signs(t, first, e.Key(first).Signer, right)
	if s := e.Status(); s.Failed || reports != 0 {
		t.Fatalf("given up too early: %+v", s)
	}
	signs(t, second, e.Key(second).Signer, 1)
	if s := e.Status(); !s.Failed || reports != 1 {
		t.Errorf("the first signature of another key was not looked at: %+v, %d reports", s, reports)
	}
}

// The copies of a key that nobody uses any more are given back: each change of the configuration reads the keys again.
func TestEngineGivesCopiesBack(t *testing.T) {
	k := generate(t, certs.RSA2048)
	e := certs.NewEngine(certs.EngineOptions{Slots: 1, Libraries: []string{standIn(t, "FEW")}, Report: noReport(t)})
	for range 120 {
		signs(t, k, e.Key(k).Signer, 1)
		collected := make(chan struct{})
		runtime.AddCleanup(new([64]byte), func(c chan struct{}) { close(c) }, collected)
		runtime.GC()
		<-collected // and with it most of what was let go before
	}
	if s := e.Status(); !s.Libcrypto {
		t.Errorf("%+v", s)
	}
}

// COST-21: the same through the dynamic linker and the machine's configuration: in processes of their own, with a
// library put in the way by LD_LIBRARY_PATH, and with a configuration that wants a FIPS provider that is not there.
func TestEngineOfEnvironment(t *testing.T) {
	const helper = "SSOBRIDGE_TEST_ENGINE"
	if os.Getenv(helper) != "" {
		e := certs.NewEngine(certs.EngineOptions{})
		k := generate(t, certs.RSA2048)
		signs(t, k, e.Key(k).Signer, 3)
		fmt.Printf("engine: %s\n", e.Status())
		return
	}
	folder := t.TempDir()
	library, err := os.ReadFile(standIn(t, "WRONG"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "libcrypto.so.3"), library, 0o600); err != nil {
		t.Fatal(err)
	}
	configure := func(name, text string) string {
		file := filepath.Join(folder, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return "OPENSSL_CONF=" + file
	}
	const section = "openssl_conf = main\n[main]\n"
	for _, c := range []struct{ name, variable, want string }{
		{"as it is", "", "engine: OpenSSL 3"},
		{"LD_LIBRARY_PATH", "LD_LIBRARY_PATH=" + folder, "engine: Go "},
		{"providers by name",
			configure("providers", section+"providers = p\n[p]\ndefault = d\nbase = d\n[d]\nactivate = 1\n"),
			"engine: OpenSSL 3"},
		{"FIPS without its provider", configure("fips", section+"alg_section = a\n[a]\ndefault_properties = fips=yes\n"),
			"engine: Go "},
	} {
		t.Run(c.name, func(t *testing.T) {
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), self, "-test.run", "^TestEngineOfEnvironment$")
			cmd.Env = append(os.Environ(), helper+"=1", c.variable)
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), c.want) {
				t.Errorf("%v, want %q in\n%s", err, c.want, out)
			}
		})
	}
}

// brokenSigner makes no signatures.
type brokenSigner struct {
	crypto.Signer
	panics bool
}

func (s brokenSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	if s.panics {
		panic("broken")
	}
	return nil, errors.New("broken")
}

// BenchmarkSignRSA compares the two signers.
func BenchmarkSignRSA(b *testing.B) {
	for _, a := range []certs.Algorithm{certs.RSA2048, certs.RSA3072} {
		k := generate(b, a)
		digest := sha256.Sum256([]byte("message"))
		for name, e := range engines(b) {
			signer := e.Key(k).Signer
			b.Run(string(a)+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := certs.Sign(b.Context(), signer, digest[:], crypto.SHA256); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// standIn compiles the library of testdata with a fault.
func standIn(t testing.TB, fault string) string {
	t.Helper()
	real, err := filepath.EvalSymlinks("/usr/lib/" + map[string]string{"amd64": "x86_64",
		"arm64": "aarch64"}[runtime.GOARCH] + "-linux-gnu/libcrypto.so.3")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "standin.so")
	out, err := exec.CommandContext(t.Context(), "cc", "-shared", "-fPIC", "-w", "-DFAULT="+fault, `-DREAL="`+real+`"`,
		"-o", file, "testdata/libcrypto.c", "-ldl").CombinedOutput()
	if err != nil {
		t.Fatalf("compile the stand-in: %v\n%s", err, out)
	}
	return file
}
