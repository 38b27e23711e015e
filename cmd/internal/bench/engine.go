package main

import (
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"ssobridge/certs"
)

// What can make RSA signatures.
const (
	engineGo        = "Go"
	engineLibcrypto = "libcrypto"
)

// engine is a program that signs by one of them, and the floor that does.
type engine struct {
	name   string
	binary string // the bridge
	floor  string // this program
}

// goEngine signs by Go.
func (b *bench) goEngine() (engine, error) {
	self, err := os.Executable()
	if err != nil {
		return engine{}, fmt.Errorf("find this program: %w", err)
	}
	return engine{engineGo, b.binary, self}, nil
}

// usualEngine is what the program takes by itself.
func (b *bench) usualEngine(context.Context) (engine, error) { return b.goEngine() }

// libcryptoEngine signs by OpenSSL's library.
func (b *bench) libcryptoEngine(ctx context.Context) (engine, error) {
	e := engine{engineLibcrypto, filepath.Join(b.dir, "ssobridge-libcrypto"), filepath.Join(b.dir, "bench-libcrypto")}
	b.progress("  building with OpenSSL")
	for out, from := range map[string]string{e.binary: "ssobridge/cmd/ssobridge", e.floor: "ssobridge/cmd/internal/bench"} {
		build := exec.CommandContext(ctx, "go", "build", "-tags", "openssl", "-o", out, from)
		build.Env = append(os.Environ(), "CGO_ENABLED=1")
		if said, err := build.CombinedOutput(); err != nil {
			return engine{}, fmt.Errorf("build %s with -tags openssl: %s%w: %s", from, missing(string(said)), err, said)
		}
	}
	return e, nil
}

// missing names what a failed build would need, as far as its messages tell.
func missing(out string) string {
	switch {
	case strings.Contains(out, "C compiler") && strings.Contains(out, "not found"):
		return "a C compiler is missing (Debian: gcc): "
	case strings.Contains(out, "openssl/") && strings.Contains(out, "No such file"), strings.Contains(out, "find -lcrypto"):
		return "OpenSSL's headers or library are missing (Debian: libssl-dev): "
	case strings.Contains(out, "stdlib.h") && strings.Contains(out, "No such file"):
		return "the C library's headers are missing (Debian: libc6-dev): "
	}
	return ""
}

// signerOf is what signs with a key by an engine, in this process.
func signerOf(name string, key *certs.Key) (crypto.Signer, error) {
	fast, err := certs.Accelerate(key)
	if err != nil {
		return nil, err
	}
	_, byGo := fast.Signer.(*rsa.PrivateKey)
	switch {
	case name == engineGo:
		return key.Signer, nil
	case name == engineLibcrypto && !byGo:
		return fast.Signer, nil
	}
	return nil, errors.New("this program can't sign by " + name)
}

// engineBridge is the bridge with everybody introduced that signs by an engine; it is set up once.
func (b *bench) engineBridge(ctx context.Context, e engine) (*bridge, error) {
	if br := b.bridges[e.name]; br != nil {
		return br, nil
	}
	br, err := b.runningBy(ctx, e.binary, "main-"+e.name, "rsa-2048", nil, b.o.people)
	if err != nil {
		return nil, err
	}
	b.bridges[e.name] = br
	return br, nil
}
