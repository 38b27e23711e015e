package mfa

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"io"
	"slices"
	"strings"

	"ssobridge/certs"
	"ssobridge/store"
)

// The hashes are keyed: a stolen database does not let the codes be guessed. There is one by each secret key, the one
// in use first: a code that was made before the secret key was replaced is still taken.

// inviteHashes are what an invitation may be stored as; the first is what it is stored as now. Where several secret
// keys are known it begins with the id of its own, so that it is known what still needs that. The version before, which
// knows one alone, takes it without.
func (s *Factors) inviteHashes(person store.PersonID, code string) [][]byte {
	ids := s.sealer.KeyIDs()
	var all [][]byte
	for i, plain := range s.hashes("second-factor-invites", person, code) {
		all = append(all, append(bytes.Clone(ids[i][:]), plain...), plain)
	}
	if len(ids) == 1 {
		slices.Reverse(all)
	}
	return all
}

// InviteHashes are what the typed code of an invitation may be stored as; the first is what it is stored as now.
func (s *Factors) InviteHashes(person store.PersonID, typed string) [][]byte {
	if len(typed) > MaxCode {
		typed = ""
	}
	return s.inviteHashes(person, bareCode(typed))
}

// invitedBy is the id of the secret key of an invitation's hash; "" where it names none.
func invitedBy(hash []byte) string {
	var id certs.KeyID
	if len(hash) != len(id)+sha256.Size {
		return ""
	}
	copy(id[:], hash)
	return id.String()
}

func (s *Factors) recoveryHashes(person store.PersonID, code string) [][]byte {
	return s.hashes("recovery-codes", person, code)
}

func (s *Factors) hashes(purpose string, person store.PersonID, code string) [][]byte {
	var all [][]byte
	for _, id := range s.sealer.KeyIDs() {
		key, _ := s.sealer.DeriveBy(id, purpose) // it is known
		all = append(all, keyed(key, person, code))
	}
	return all
}

func keyed(key []byte, person store.PersonID, code string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(string(person) + "\x00" + code))
	return mac.Sum(nil)
}

// letters are Crockford's base32: none that is taken for another when read or said.
var letters = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// code draws so many random letters.
func (s *Factors) code(length int) (string, error) {
	raw := make([]byte, (length*5+7)/8)
	if _, err := io.ReadFull(s.random, raw); err != nil {
		return "", fmt.Errorf("read randomness for a code: %w", err)
	}
	return letters.EncodeToString(raw)[:length], nil
}

// grouped writes a code as people copy it.
func grouped(code string) string {
	var parts []string
	for len(code) > 5 {
		parts, code = append(parts, code[:5]), code[5:]
	}
	return strings.Join(append(parts, code), "-")
}

// bareCode undoes what people do to a code when they type it: blanks, hyphens, small
// letters, and letters that stand for digits.
func bareCode(typed string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '-' || r == '\u00a0' || r == '\t':
			return -1
		case r >= 'a' && r <= 'z':
			r -= 'a' - 'A'
		}
		switch r {
		case 'O':
			return '0'
		case 'I', 'L':
			return '1'
		}
		return r
	}, typed)
}
