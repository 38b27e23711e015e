package certs

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
)

// sealVersion1 is AES-256-GCM with a random 96-bit nonce in front of the ciphertext. The byte stands first in everything
// sealed, so that another cipher can follow later beside it.
const sealVersion1 = 1

// Labels keep the derived keys apart: no purpose that a caller names can give the key that seals.
const (
	sealLabel   = "ssobridge/seal/v1"
	deriveLabel = "ssobridge/derive/v1/"
)

// MinSecret is the least length of the secret_key in bytes. Keys are derived from it by HKDF, which stretches nothing: a
// password would be guessed offline, so it must be random (see NewSecret).
const MinSecret = 32

// ErrSealed is returned by Open for anything that was not sealed by this secret_key for this context, or was changed since.
// Which of these it was can't be told.
var ErrSealed = errors.New("does not open: it was sealed with another secret_key, for another purpose, or has been changed")

// Sealer encrypts what must be kept, and derives keys for other purposes, all from the one secret_key.
// It is safe for concurrent use and prints nothing of the secret.
type Sealer struct {
	aead   cipher.AEAD
	secret []byte
}

// NewSealer takes the secret_key: at least MinSecret bytes, random. It keeps a copy.
func NewSealer(secret []byte) (*Sealer, error) {
	if len(secret) < MinSecret {
		return nil, fmt.Errorf("secret_key has %d bytes: want at least %d, random", len(secret), MinSecret)
	}
	key, err := hkdf.Key(sha256.New, secret, nil, sealLabel, 32)
	if err != nil {
		return nil, fmt.Errorf("derive sealing key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("set up sealing cipher: %w", err)
	}
	// The nonce is random, drawn by the library and from no source that a caller could fix: a nonce used twice under one key
	// gives GCM's authentication key away. What is sealed are keys and second factors, far below the 2^32
	// messages up to which random nonces are safe (NIST SP 800-38D, 8.3).
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("set up sealing cipher: %w", err)
	}
	return &Sealer{aead: aead, secret: append([]byte(nil), secret...)}, nil
}

// Seal encrypts plain. context says what it is and whose ("signing-key:ID"); it is authenticated, not stored, and must be the same
// at Open, so that a sealed value copied into another row does not open there. context must not be empty.
func (s *Sealer) Seal(plain []byte, context string) ([]byte, error) {
	if context == "" {
		return nil, errors.New("seal: the context is empty")
	}
	out := make([]byte, 1, 1+len(plain)+s.aead.Overhead())
	out[0] = sealVersion1
	return s.aead.Seal(out, nil, plain, authenticated(context)), nil
}

// Open decrypts what Seal made for the same context. Its error wraps ErrSealed, save for a version that this program does not know.
func (s *Sealer) Open(sealed []byte, context string) ([]byte, error) {
	if len(sealed) == 0 {
		return nil, fmt.Errorf("open sealed %s: it is empty: %w", context, ErrSealed)
	}
	if sealed[0] != sealVersion1 {
		return nil, fmt.Errorf("open sealed %s: form %d is not known to this program, it may be from a newer one", context, sealed[0])
	}
	plain, err := s.aead.Open(nil, nil, sealed[1:], authenticated(context))
	if err != nil {
		return nil, fmt.Errorf("open sealed %s: %w", context, ErrSealed)
	}
	return plain, nil
}

// Derive gives a 32-byte key for another purpose ("csrf"). The same secret_key and purpose give the same key on every replica;
// keys of different purposes tell nothing of each other.
func (s *Sealer) Derive(purpose string) []byte {
	key, err := hkdf.Key(sha256.New, s.secret, nil, deriveLabel+purpose, 32)
	if err != nil {
		// HKDF fails on too long an output alone (RFC 5869, 2.3), and 32 bytes are not.
		panic(fmt.Sprintf("certs: derive key for %s: %v", purpose, err))
	}
	return key
}

// authenticated is the additional data: the version is part of it, so that it can't be changed either.
func authenticated(context string) []byte {
	return append([]byte{sealVersion1}, context...)
}

// String prints nothing of the secret.
func (s Sealer) String() string { return "***" }

// GoString is String, for %#v.
func (s Sealer) GoString() string { return "***" }

// LogValue prints nothing of the secret.
func (s Sealer) LogValue() slog.Value { return slog.StringValue("***") }
