package certs

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// The first byte of everything sealed names its form.
const (
	// sealVersion1 is AES-256-GCM with a random 96-bit nonce before the ciphertext. It does not name the key: it is
	// written while only one is known, and opens by whichever of the known ones fits. The version before this one reads no
	// other form, and for one release runs beside this one, with one secret_key only.
	sealVersion1 = 1
	// sealVersion2 is version 1 with the id of the secret key between the version and the nonce.
	sealVersion2 = 2
	// sealVersionDay is version 2 by a key derived for one purpose and one day, with the day after the key's id.
	sealVersionDay = 3
)

// Labels keep the derived keys apart: no purpose that a caller names can give the key that seals.
const (
	sealLabel   = "ssobridge/seal/v1"
	idLabel     = "ssobridge/id/v1"
	deriveLabel = "ssobridge/derive/v1/"
	macLabel    = "ssobridge/mac/v1/"
	dayLabel    = "ssobridge/day/v1/"
)

// MinSecret is the least length of a secret key in bytes. Keys are derived from it by HKDF, which stretches nothing: a
// password would be guessed offline, so it must be random (see NewSecret).
const MinSecret = 32

// Lengths in what is sealed and in what a MAC consists of.
const (
	keyIDSize = 4
	macSize   = sha256.Size
	daySize   = 4
)

// maxDayKeys bounds the day keys that are kept. A day's key is made again when it is needed.
const maxDayKeys = 64

// ErrSealed is returned for anything that was not sealed, or given its MAC, by a known secret key for this context, or
// was changed since. Which of these it was can't be told.
var ErrSealed = errors.New("does not open: it was sealed with another secret_key, for another purpose, or has been " +
	"changed")

// KeyID names a secret key in what it has sealed or vouched for. It says nothing of the key. Its text form is eight
// hexadecimal digits.
type KeyID [keyIDSize]byte

// String is the id's text form.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// secretKey is one of the keys that a Sealer knows.
type secretKey struct {
	id     KeyID
	aead   cipher.AEAD
	secret []byte
	macs   macKeys
}

// Sealer encrypts what must be kept, vouches for what others may read, and derives keys for other purposes, all from
// the secret keys. The first of them seals and vouches; what any other one has made is still read. Everything that it
// makes names its key. It is safe for concurrent use and prints nothing of the secrets.
type Sealer struct {
	keys []*secretKey // the first is in use
	days *dayKeys
}

// dayKey names a key that is derived for one purpose and one day.
type dayKey struct {
	id      KeyID
	purpose string
	day     uint32
}

// dayKeys are those in use.
type dayKeys struct {
	mu   sync.Mutex
	made map[dayKey]cipher.AEAD
}

// NewSealer takes the secret keys, the one that seals first: each at least MinSecret random bytes, none twice. It keeps
// copies.
func NewSealer(secrets ...[]byte) (*Sealer, error) {
	if len(secrets) == 0 {
		return nil, errors.New("there is no secret_key")
	}
	s := &Sealer{days: &dayKeys{made: map[dayKey]cipher.AEAD{}}}
	for _, secret := range secrets {
		if len(secret) < MinSecret {
			return nil, fmt.Errorf("secret_key has %d bytes: want at least %d, random", len(secret), MinSecret)
		}
		k := &secretKey{secret: slices.Clone(secret)}
		copy(k.id[:], derive(secret, idLabel))
		if _, found := s.key(k.id); found {
			return nil, fmt.Errorf("secret key %s is named twice", k.id)
		}
		aead, err := newAEAD(derive(secret, sealLabel))
		if err != nil {
			return nil, fmt.Errorf("set up sealing cipher: %w", err)
		}
		k.aead = aead
		s.keys = append(s.keys, k)
	}
	return s, nil
}

// newAEAD is AES-256-GCM whose nonce is random, drawn by the library and from no source that a caller could fix: a
// nonce used twice under one key gives GCM's authentication key away. Random nonces are safe up to 2^32 messages under
// one key (NIST SP 800-38D, 8.3). What Seal is for (keys, second factors) is far below that; what strangers can cause
// goes by SealDay.
func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// derive makes a 32-byte key.
func derive(secret []byte, label string) []byte {
	key, err := hkdf.Key(sha256.New, secret, nil, label, 32)
	if err != nil {
		// HKDF fails on too long an output alone (RFC 5869, 2.3), and 32 bytes are not.
		panic(fmt.Sprintf("certs: derive key for %s: %v", label, err))
	}
	return key
}

func (s *Sealer) key(id KeyID) (*secretKey, bool) {
	i := slices.IndexFunc(s.keys, func(k *secretKey) bool { return k.id == id })
	if i < 0 {
		return nil, false
	}
	return s.keys[i], true
}

// KeyIDs are the ids of the known secret keys, the one in use first.
func (s *Sealer) KeyIDs() []KeyID {
	ids := make([]KeyID, len(s.keys))
	for i, k := range s.keys {
		ids[i] = k.id
	}
	return ids
}

// Seal encrypts plain. context says what it is and whose ("signing-key:ID"); it is authenticated, not stored, and must
// be the same at Open, so that a sealed value copied into another row does not open there. context must not be empty.
func (s *Sealer) Seal(plain []byte, context string) ([]byte, error) {
	if context == "" {
		return nil, errors.New("seal: the context is empty")
	}
	k, head := s.keys[0], []byte{sealVersion1}
	if len(s.keys) > 1 {
		head = append([]byte{sealVersion2}, k.id[:]...)
	}
	return k.aead.Seal(head, nil, plain, authenticated(head, context)), nil
}

// Open decrypts what Seal made for the same context by any of the known secret keys. Its error wraps ErrSealed, save
// for a form that this program does not know.
func (s *Sealer) Open(sealed []byte, context string) ([]byte, error) {
	if len(sealed) == 0 {
		return nil, fmt.Errorf("open sealed %s: it is empty: %w", context, ErrSealed)
	}
	switch sealed[0] {
	case sealVersion1:
		for _, k := range s.keys {
			if plain, err := k.aead.Open(nil, nil, sealed[1:], authenticated(sealed[:1], context)); err == nil {
				return plain, nil
			}
		}
	case sealVersion2:
		if len(sealed) < 1+keyIDSize {
			break
		}
		head := sealed[:1+keyIDSize]
		k, found := s.key(KeyID(head[1:]))
		if !found {
			return nil, fmt.Errorf("open sealed %s: secret key %x is not known here: %w", context, head[1:], ErrSealed)
		}
		if plain, err := k.aead.Open(nil, nil, sealed[len(head):], authenticated(head, context)); err == nil {
			return plain, nil
		}
	default:
		return nil, fmt.Errorf("open sealed %s: form %d is not known to this program, it may be from a newer one",
			context, sealed[0])
	}
	return nil, fmt.Errorf("open sealed %s: %w", context, ErrSealed)
}

// SealedBy tells which of the known secret keys sealed something for this context. ok is false where it does not open.
func (s *Sealer) SealedBy(sealed []byte, context string) (id KeyID, ok bool) {
	for _, k := range s.keys {
		if _, err := (&Sealer{keys: []*secretKey{k}, days: s.days}).Open(sealed, context); err == nil {
			return k.id, true
		}
	}
	return id, false
}

// SealDay is Seal by a key of its own for this purpose and the day of now (UTC). It is for what strangers can have
// sealed in any number: the key that seals signing keys never sees it. Open it with OpenDay. How long it is good for
// has to stand in plain.
func (s *Sealer) SealDay(plain []byte, purpose, context string, now time.Time) ([]byte, error) {
	if purpose == "" || context == "" {
		return nil, errors.New("seal: the purpose or the context is empty")
	}
	k, day := s.keys[0], dayOf(now)
	head := binary.BigEndian.AppendUint32(append([]byte{sealVersionDay}, k.id[:]...), day)
	aead, err := s.day(k, purpose, day)
	if err != nil {
		return nil, err
	}
	return aead.Seal(head, nil, plain, authenticated(head, context)), nil
}

// OpenDay decrypts what SealDay made for the same purpose and context on the day of now, or on the one before or after
// it. Its error wraps ErrSealed.
func (s *Sealer) OpenDay(sealed []byte, purpose, context string, now time.Time) ([]byte, error) {
	failed := fmt.Errorf("open sealed %s: %w", purpose, ErrSealed)
	if len(sealed) < 1+keyIDSize+daySize || sealed[0] != sealVersionDay {
		return nil, failed
	}
	head := sealed[:1+keyIDSize+daySize]
	k, found := s.key(KeyID(head[1 : 1+keyIDSize]))
	day := binary.BigEndian.Uint32(head[1+keyIDSize:])
	// Another day has no key made for it: strangers could have one made for each day there is.
	if today := dayOf(now); !found || day+1 < today || day > today+1 {
		return nil, failed
	}
	aead, err := s.day(k, purpose, day)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nil, sealed[len(head):], authenticated(head, context))
	if err != nil {
		return nil, failed
	}
	return plain, nil
}

func dayOf(t time.Time) uint32 { return uint32(t.Unix() / (24 * 60 * 60)) }

// day is the key for a purpose and a day.
func (s *Sealer) day(k *secretKey, purpose string, day uint32) (cipher.AEAD, error) {
	name := dayKey{k.id, purpose, day}
	s.days.mu.Lock()
	defer s.days.mu.Unlock()
	if aead, found := s.days.made[name]; found {
		return aead, nil
	}
	// The number stands before the purpose: no purpose can end in another day.
	aead, err := newAEAD(derive(k.secret, fmt.Sprintf("%s%d/%s", dayLabel, day, purpose)))
	if err != nil {
		return nil, fmt.Errorf("set up the day's sealing cipher: %w", err)
	}
	if len(s.days.made) >= maxDayKeys {
		clear(s.days.made)
	}
	s.days.made[name] = aead
	return aead, nil
}

// MAC vouches for fields under a purpose ("session"): it names the secret key in use and can't be made without one.
// Fields are kept apart by their lengths, so that no two lists of them have one MAC. It has MACSize bytes.
func (s *Sealer) MAC(purpose string, fields ...[]byte) []byte {
	k := s.keys[0]
	return append(slices.Clone(k.id[:]), k.mac(purpose, fields)...)
}

// MACSize is the length of a MAC in bytes.
const MACSize = keyIDSize + macSize

// CheckMAC tells whether mac was made by MAC for this purpose and these fields, with any of the known secret keys. Its
// error wraps ErrSealed.
func (s *Sealer) CheckMAC(mac []byte, purpose string, fields ...[]byte) error {
	if len(mac) != MACSize {
		return fmt.Errorf("check MAC of %s: it has %d bytes, want %d: %w", purpose, len(mac), MACSize, ErrSealed)
	}
	k, found := s.key(KeyID(mac[:keyIDSize]))
	if !found {
		return fmt.Errorf("check MAC of %s: secret key %x is not known here: %w", purpose, mac[:keyIDSize], ErrSealed)
	}
	if !hmac.Equal(mac[keyIDSize:], k.mac(purpose, fields)) { // in constant time
		return fmt.Errorf("check MAC of %s: %w", purpose, ErrSealed)
	}
	return nil
}

func (k *secretKey) mac(purpose string, fields [][]byte) []byte {
	pool := k.macs.of(purpose, k.secret)
	h := pool.Get().(hash.Hash)
	defer pool.Put(h)
	h.Reset()
	var size [8]byte
	for _, field := range fields {
		binary.BigEndian.PutUint64(size[:], uint64(len(field)))
		h.Write(size[:])
		h.Write(field)
	}
	return h.Sum(nil)
}

// maxMACKeys bounds the purposes whose keys are kept. Purposes are constants of ours, fewer than that.
const maxMACKeys = 64

// macKeys keeps what is worked out of a secret key for each purpose of MACs: several are checked at every launch, and
// deriving a key takes four times as long as using it. They are worth no more than the secret key beside them.
type macKeys struct {
	mu   sync.RWMutex
	made map[string]*sync.Pool // of HMACs, by purpose
}

// of returns HMACs by the key of a purpose.
func (m *macKeys) of(purpose string, secret []byte) *sync.Pool {
	m.mu.RLock()
	pool := m.made[purpose]
	m.mu.RUnlock()
	if pool != nil {
		return pool
	}
	key := derive(secret, macLabel+purpose)
	pool = &sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.made) >= maxMACKeys {
		return pool // it serves this once
	}
	if m.made == nil {
		m.made = map[string]*sync.Pool{}
	}
	m.made[purpose] = pool
	return pool
}

// Derive gives a 32-byte key for another purpose ("csrf"), from the secret key in use. The same secret key and purpose
// give the same key on every replica; keys of different purposes tell nothing of each other. What is made with it
// should name its key: see DeriveBy.
func (s *Sealer) Derive(purpose string) []byte {
	return derive(s.keys[0].secret, deriveLabel+purpose)
}

// DeriveBy is Derive from the known secret key of this id.
func (s *Sealer) DeriveBy(id KeyID, purpose string) (key []byte, known bool) {
	k, found := s.key(id)
	if !found {
		return nil, false
	}
	return derive(k.secret, deriveLabel+purpose), true
}

// authenticated is the additional data: form, key and day are part of it, so that they can't be changed either.
func authenticated(head []byte, context string) []byte {
	return append(slices.Clone(head), context...)
}

// String prints nothing of the secrets.
func (s Sealer) String() string { return "***" }

// GoString is String, for %#v.
func (s Sealer) GoString() string { return "***" }

// LogValue prints nothing of the secrets.
func (s Sealer) LogValue() slog.Value { return slog.StringValue("***") }
