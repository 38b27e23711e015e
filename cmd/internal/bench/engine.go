package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"os"

	"ssobridge/certs"
)

// What can make RSA signatures.
const (
	engineGo        = "Go"
	engineLibcrypto = "libcrypto"
)

// engine is the program with a setting of who signs, and the floor by the same.
type engine struct {
	name   string
	binary string // the bridge
	floor  string // this program
	more   set
}

// engineOf is one of them by its name.
func (b *bench) engineOf(name string) (engine, error) {
	self, err := os.Executable()
	if err != nil {
		return engine{}, fmt.Errorf("find this program: %w", err)
	}
	e := engine{name: name, binary: b.binary, floor: self}
	if name == engineGo {
		e.more = set{"signing.libcrypto": "off"}
	}
	return e, nil
}

// goEngine signs by Go.
func (b *bench) goEngine() (engine, error) { return b.engineOf(engineGo) }

// usualEngine is what the program takes by itself.
func (b *bench) usualEngine(ctx context.Context) (engine, error) {
	if e, err := b.libcryptoEngine(ctx); err == nil {
		return e, nil
	}
	return b.goEngine()
}

// libcryptoEngine signs by OpenSSL's library.
func (b *bench) libcryptoEngine(context.Context) (engine, error) {
	if s := certs.NewEngine(certs.EngineOptions{}).Status(); !s.Libcrypto {
		return engine{}, fmt.Errorf("OpenSSL's library can't be used (Debian: libssl3): %s", s.Reason)
	}
	return b.engineOf(engineLibcrypto)
}

// signerOf is what signs with a key by an engine, in this process.
func signerOf(name string, key *certs.Key) (crypto.Signer, error) {
	if name == engineGo {
		return key.Signer, nil
	}
	e := certs.NewEngine(certs.EngineOptions{})
	if name != engineLibcrypto || !e.Status().Libcrypto {
		return nil, errors.New("this program can't sign by " + name)
	}
	return e.Key(key).Signer, nil
}

// engineBridge is the bridge with everybody introduced that signs by an engine; it is set up once.
func (b *bench) engineBridge(ctx context.Context, e engine) (*bridge, error) {
	if br := b.bridges[e.name]; br != nil {
		return br, nil
	}
	br, err := b.runningBy(ctx, e.binary, "main-"+e.name, "rsa-2048", e.more, b.o.people)
	if err != nil {
		return nil, err
	}
	b.bridges[e.name] = br
	return br, nil
}
