// Package pkcs11 makes, finds and uses signing keys in a PKCS #11 token: a hardware security module, or one in software
// such as SoftHSM. The private keys never leave the token.
//
// It is the only importer of the PKCS #11 libraries. Which key is for what, and the certificates, are its callers'
// affair. It must never show the PIN, nor try a refused one again: tokens lock themselves after a few.
package pkcs11

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/ThalesGroup/crypto11"
	api "github.com/miekg/pkcs11"
)

// Limits of what is asked of the module.
const (
	maxSessions = 32              // at the same time; sign-ins beyond it queue
	sessionWait = 5 * time.Second // for a free one
	reconnect   = 5 * time.Second // between two tries to get a lost token back
	maxLabel    = 64
)

// ErrPIN is returned once the token has refused the PIN. It is not tried again until SetPIN brings another one.
var ErrPIN = errors.New("the token has refused the PIN")

// ErrNoKey is returned for a label under which the token has no key pair.
var ErrNoKey = errors.New("the token has no key pair of that label")

// ErrTaken is returned when a key is to be made under a label that has one.
var ErrTaken = errors.New("the token has a key of that label already")

// Options for New.
type Options struct {
	Module     string           // path of the vendor's library
	TokenLabel string           // which of its tokens
	PIN        string           // of the user, not of the security officer
	Now        func() time.Time // default time.Now
}

// Token is the token of one module. It is safe for concurrent use.
type Token struct {
	o       Options
	mu      sync.Mutex
	conn    *crypto11.Context // nil: not connected
	pairs   map[string]crypto.Signer
	refused bool
	closed  bool
	triedAt time.Time // when a lost token was last asked again
}

// New takes the options. The token is connected to when it is first needed, so that
// one that is down keeps nothing from starting.
func New(o Options) (*Token, error) {
	if o.Module == "" || o.TokenLabel == "" {
		return nil, errors.New("PKCS #11 token: module and token label are needed")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Token{o: o}, nil
}

// SetPIN changes the PIN for the next connection. One that was refused is tried again if it is another one.
func (t *Token) SetPIN(pin string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if pin != t.o.PIN {
		t.o.PIN, t.refused = pin, false
	}
}

// Signer finds the key pair with a label. It signs through the token, and finds the way back to it when the
// connection was lost in between.
func (t *Token) Signer(label string) (crypto.Signer, error) {
	_, held, err := t.pair(label)
	if err != nil {
		return nil, err
	}
	return &key{token: t, label: label, public: held.Public()}, nil
}

// GenerateRSA makes an RSA key pair that can sign, and nothing else, and can't be taken out of the token.
func (t *Token) GenerateRSA(label string, bits int) (crypto.Signer, error) {
	return t.generate(label, func(c *crypto11.Context, public, private crypto11.AttributeSet) error {
		_, err := c.GenerateRSAKeyPairWithAttributes(public, private, bits)
		return err
	})
}

// GenerateECDSA is GenerateRSA for a key on a curve.
func (t *Token) GenerateECDSA(label string, curve elliptic.Curve) (crypto.Signer, error) {
	return t.generate(label, func(c *crypto11.Context, public, private crypto11.AttributeSet) error {
		_, err := c.GenerateECDSAKeyPairWithAttributes(public, private, curve)
		return err
	})
}

func (t *Token) generate(label string, do func(c *crypto11.Context, public,
	private crypto11.AttributeSet) error) (crypto.Signer, error) {
	if label == "" || len(label) > maxLabel {
		return nil, fmt.Errorf("make key in the token: label %.80q: want 1 to %d characters", label, maxLabel)
	}
	if err := t.free(label); err != nil {
		return nil, err
	}
	id := [16]byte{}
	if _, err := rand.Read(id[:]); err != nil {
		return nil, fmt.Errorf("make key %q in the token: %w", label, err)
	}
	public, err := crypto11.NewAttributeSetWithIDAndLabel(id[:], []byte(label))
	if err != nil {
		return nil, fmt.Errorf("make key %q in the token: %w", label, err)
	}
	private := public.Copy()
	for _, a := range []struct {
		set   crypto11.AttributeSet
		kind  crypto11.AttributeType
		value bool
	}{
		{private, crypto11.CkaPrivate, true}, // seen only by who has logged in
		{private, crypto11.CkaSensitive, true},
		{private, crypto11.CkaExtractable, false},
		{private, crypto11.CkaDecrypt, false}, // a key that signs does nothing else
		{public, crypto11.CkaEncrypt, false},
	} {
		if err := a.set.Set(a.kind, a.value); err != nil {
			return nil, fmt.Errorf("make key %q in the token: %w", label, err)
		}
	}
	t.mu.Lock()
	conn, err := t.connect()
	if err == nil {
		err = do(conn, public, private)
	}
	t.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("make key %q in the token %q: %w", label, t.o.TokenLabel, err)
	}
	return t.Signer(label)
}

// free refuses a label that is taken: later on nobody could tell which of the two is meant.
func (t *Token) free(label string) error {
	_, _, err := t.pair(label)
	switch {
	case err == nil:
		return fmt.Errorf("make key %q in the token: %w", label, ErrTaken)
	case errors.Is(err, ErrNoKey):
		return nil
	}
	return err
}

// Close ends the connection. The Token can't be used again.
func (t *Token) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	return t.drop()
}

// connect returns the connection, which it makes if there is none. t.mu is held.
func (t *Token) connect() (*crypto11.Context, error) {
	switch {
	case t.closed:
		return nil, errors.New("the token is closed")
	case t.refused:
		return nil, ErrPIN
	case t.conn != nil:
		return t.conn, nil
	}
	conn, err := crypto11.Configure(&crypto11.Config{
		Path: t.o.Module, TokenLabel: t.o.TokenLabel, Pin: t.o.PIN, MaxSessions: maxSessions, PoolWaitTimeout: sessionWait,
	})
	if err != nil {
		var code api.Error
		if errors.As(err, &code) {
			switch code {
			case api.CKR_PIN_INCORRECT, api.CKR_PIN_INVALID, api.CKR_PIN_LEN_RANGE, api.CKR_PIN_EXPIRED, api.CKR_PIN_LOCKED:
				t.refused = true
				return nil, fmt.Errorf("connect to the token %q of %s: %w: %w", t.o.TokenLabel, t.o.Module, ErrPIN, code)
			}
		}
		return nil, fmt.Errorf("connect to the token %q of %s: %w", t.o.TokenLabel, t.o.Module, err)
	}
	t.conn, t.pairs = conn, map[string]crypto.Signer{}
	return conn, nil
}

// drop ends the connection. It waits for running signatures. t.mu is held.
func (t *Token) drop() error {
	if t.conn == nil {
		return nil
	}
	conn := t.conn
	t.conn, t.pairs = nil, nil
	if err := conn.Close(); err != nil {
		return fmt.Errorf("close the token %q: %w", t.o.TokenLabel, err)
	}
	return nil
}

// pair finds a key pair on the present connection.
func (t *Token) pair(label string) (*crypto11.Context, crypto.Signer, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	conn, err := t.connect()
	if err != nil {
		return nil, nil, err
	}
	if held := t.pairs[label]; held != nil {
		return conn, held, nil
	}
	found, err := conn.FindKeyPairs(nil, []byte(label))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("find key %q in the token %q: %w", label, t.o.TokenLabel, err)
	case len(found) == 0:
		return nil, nil, fmt.Errorf("find key %q in the token %q: %w", label, t.o.TokenLabel, ErrNoKey)
	case len(found) > 1:
		return nil, nil, fmt.Errorf("find key %q in the token %q: there are %d of that label", label,
			t.o.TokenLabel, len(found))
	}
	t.pairs[label] = found[0]
	return conn, found[0], nil
}

// lost is told of a signature that failed on a connection. It says whether there is, or may be, a fresh one to try
// again on.
func (t *Token) lost(conn *crypto11.Context) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn != conn {
		return !t.closed // somebody else was faster
	}
	now := t.o.Now()
	if !t.triedAt.IsZero() && now.Sub(t.triedAt) < reconnect {
		return false
	}
	t.triedAt = now
	// A connection that is broken need not close well.
	_ = t.drop()
	return true
}

// key is a key pair of the token.
type key struct {
	token  *Token
	label  string
	public crypto.PublicKey
}

// Public is the public key.
func (k *key) Public() crypto.PublicKey { return k.public }

// Sign signs in the token. Modules lose their sessions when a token or the network to it was away, so a failure is
// tried once more on a new connection.
func (k *key) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	conn, held, err := k.token.pair(k.label)
	if err != nil {
		return nil, err
	}
	signature, err := held.Sign(random, digest, opts)
	if err == nil || !k.token.lost(conn) {
		return signature, k.failed(err)
	}
	_, held, again := k.token.pair(k.label)
	if again != nil {
		return nil, again
	}
	if same, ok := k.public.(interface{ Equal(crypto.PublicKey) bool }); !ok || !same.Equal(held.Public()) {
		return nil, fmt.Errorf("sign with key %q of the token: another key has its label now", k.label)
	}
	signature, err = held.Sign(random, digest, opts)
	return signature, k.failed(err)
}

func (k *key) failed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("sign with key %q of the token %q: %w", k.label, k.token.o.TokenLabel, err)
}
