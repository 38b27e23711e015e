package idp

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"ssobridge/certs"
	"ssobridge/store"
)

// FactorPolicy says what is asked of people beside the password. "" is FactorOff.
type FactorPolicy string

// The policies.
const (
	FactorOff      FactorPolicy = "off"      // nothing
	FactorOffered  FactorPolicy = "offered"  // a second factor of those who have enrolled one; others are offered to
	FactorRequired FactorPolicy = "required" // a second factor of everybody; who has none enrols one first
)

// ParseFactorPolicy accepts off, offered and required.
func ParseFactorPolicy(text string) (FactorPolicy, error) {
	switch p := FactorPolicy(text); p {
	case FactorOff, FactorOffered, FactorRequired:
		return p, nil
	}
	return "", fmt.Errorf("%.40q is no policy for second factors: want off, offered or required", text)
}

// Kinds of second factor.
const (
	FactorCode     = "totp"          // an authenticator app's one-time code (RFC 6238)
	FactorPasskey  = "passkey"       // WebAuthn
	FactorRecovery = "recovery_code" // a code from a list, each good for once, for when the others are lost
)

// FactorOptions are the second factors' part of Options.
type FactorOptions struct {
	Console FactorPolicy // of the admin console
	People  FactorPolicy // of client accounts without a policy of their own, and of other service providers
	Class   string       // authentication context class of a sign-in with a second factor; "" is DefaultSecondFactorClass
	Issuer  string       // name of this sign-in in authenticator apps and passkeys, "ssobridge"
	// ConfirmAfter is the age from which a factor counts for service providers that demand one, if nobody else has confirmed it: at a
	// login after that, where the person was shown before that it was added. 24 h; it never counts for the console.
	ConfirmAfter time.Duration
	// KeepOthers lets a person's other sessions go on when they add or remove a factor.
	KeepOthers bool
}

// Bounds of second factors.
const (
	inviteLife     = 24 * time.Hour
	factorWindow   = 30 * time.Minute    // how long a page to enrol or prove one may stay open
	offerAgain     = 30 * 24 * time.Hour // after who put it off is offered it again
	recoveryCodes  = 10
	recoveryLength = 10 // letters of a recovery code: 50 bits
	inviteLength   = 20 // letters of an invitation: 100 bits
	maxCode        = 64
	maxCredential  = 16 << 10
)

// Factor is a second factor as it is told to people and admins.
type Factor struct {
	ID      string
	Kind    string
	Added   time.Time
	Used    time.Time // zero: never
	Left    int       // recovery codes that are not used
	Damaged bool      // it can't be read: sealed with another secret_key, or changed in the database
	// By is how it was enrolled, one of the store's words; Confirmed tells whether an invitation or a confirmed factor stands for
	// it, which the console asks for.
	By        string
	Confirmed bool
}

// Factors are the second factors of people: what proves them is sealed with secret_key
// for its person, so that nobody gains one by writing into the database.
type Factors struct {
	records *store.SecondFactors
	sealer  *certs.Sealer
	random  io.Reader
}

// NewFactors returns the second factors in records. random is of cryptographic quality.
func NewFactors(records *store.SecondFactors, sealer *certs.Sealer, random io.Reader) *Factors {
	return &Factors{records: records, sealer: sealer, random: random}
}

// codeProof, recoveryProof and a passkey's credential are what is sealed.
type codeProof struct {
	Secret string `json:"secret"` // base32
	Last   int64  `json:"last"`   // time step of the last code that was taken: none is taken twice (RFC 6238 5.2)
}

type recoveryProof struct {
	Codes [][]byte `json:"codes"`         // keyed hashes of those not yet used
	Key   string   `json:"key,omitempty"` // id of the secret key that they were hashed with; "": from before this was noted
}

// List tells which factors a person has, the oldest first and recovery codes last.
func (s *Factors) List(ctx context.Context, person store.PersonID) ([]Factor, error) {
	records, err := s.records.OfPerson(ctx, person)
	if err != nil {
		return nil, fmt.Errorf("second factors of %s: %w", person, err)
	}
	var all []Factor
	for _, r := range records {
		f := Factor{ID: r.ID, Kind: r.Kind, Added: r.CreatedAt, Used: r.UsedAt, By: r.By, Confirmed: r.OpensConsole()}
		var spare recoveryProof
		if r.Kind == FactorRecovery {
			f.Damaged = s.open(r, &spare) != nil
			f.Left = len(spare.Codes)
		} else {
			f.Damaged = s.open(r, new(json.RawMessage)) != nil
		}
		all = append(all, f)
	}
	slices.SortStableFunc(all, func(a, b Factor) int { return cmp.Compare(rank(a), rank(b)) })
	return all, nil
}

// rank puts recovery codes last: they are made together with the first other factor.
func rank(f Factor) int {
	if f.Kind == FactorRecovery {
		return 1
	}
	return 0
}

// invite makes an invitation to enrol a person's first factor, or to confirm one of those that are not confirmed, good for
// once within a day, and returns its code. With again, all factors that the person has are removed
// and their sessions ended. store.ErrConflict: without it, and the person has a confirmed one.
func (s *Factors) invite(ctx context.Context, person store.PersonID, again bool, e store.Event) (code string, ends time.Time, err error) {
	code, err = s.code(inviteLength)
	if err != nil {
		return "", time.Time{}, err
	}
	e.Action, e.Subject, e.Outcome = "second-factor-invite", string(person), "ok"
	if again {
		e.Reason = "again"
	}
	if err := s.records.Invite(ctx, person, s.inviteHashes(person, code)[0], inviteLife, again, e); err != nil {
		return "", time.Time{}, fmt.Errorf("invite %s to enrol a second factor: %w", person, err)
	}
	return grouped(code), e.At.Add(inviteLife), nil
}

// Reset removes all factors of a person and ends their sessions. It returns how many
// factors there were.
func (s *Factors) Reset(ctx context.Context, person store.PersonID, e store.Event) (int, error) {
	e.Action, e.Subject, e.Outcome = "second-factor-reset", string(person), "ok"
	n, err := s.records.RemoveAll(ctx, person, e)
	if err != nil {
		return 0, fmt.Errorf("remove the second factors of %s: %w", person, err)
	}
	return n, nil
}

// SetPolicy sets what a client account asks for; "" takes its own policy away, so that the
// common one holds.
func (s *Factors) SetPolicy(ctx context.Context, account store.AccountID, policy FactorPolicy, e store.Event) error {
	e.Action, e.Subject, e.Account, e.Outcome = "second-factor-policy", string(account), account, "ok"
	e.Reason = string(policy)
	if policy == "" {
		e.Reason = "default"
	}
	if err := s.records.SetPolicy(ctx, account, string(policy), e); err != nil {
		return fmt.Errorf("second factor for account %s: %w", account, err)
	}
	return nil
}

// Policies are those of the client accounts that have one of their own. A word that is
// no policy, as of a later version, is FactorRequired: nothing is let through for not
// being understood.
func (s *Factors) Policies(ctx context.Context) (map[store.AccountID]FactorPolicy, error) {
	words, err := s.records.Policies(ctx)
	if err != nil {
		return nil, fmt.Errorf("second factors of accounts: %w", err)
	}
	policies := make(map[store.AccountID]FactorPolicy, len(words))
	for account, word := range words {
		policy, err := ParseFactorPolicy(word)
		if err != nil {
			policy = FactorRequired
		}
		policies[account] = policy
	}
	return policies, nil
}

func sealedFor(r store.SecondFactor) string {
	return "second-factor:" + r.Kind + ":" + r.ID + ":" + string(r.Person)
}

func (s *Factors) open(r store.SecondFactor, into any) error {
	if r.Foreign {
		return fmt.Errorf("second factor %s: its row was changed in the database", r.ID)
	}
	plain, err := s.sealer.Open(r.Sealed, sealedFor(r))
	if err != nil {
		return fmt.Errorf("second factor %s: %w", r.ID, err)
	}
	if err := json.Unmarshal(plain, into); err != nil {
		return fmt.Errorf("second factor %s: %w", r.ID, errors.New("what was sealed can't be read")) // the cause may quote it
	}
	return nil
}

func (s *Factors) seal(r *store.SecondFactor, proof any) error {
	plain, err := json.Marshal(proof)
	if err != nil {
		return fmt.Errorf("encode a second factor: %w", err)
	}
	if r.Sealed, err = s.sealer.Seal(plain, sealedFor(*r)); err != nil {
		return fmt.Errorf("seal a second factor: %w", err)
	}
	return nil
}

// spare makes new recovery codes.
func (s *Factors) spare(person store.PersonID, id string) (store.SecondFactor, []string, error) {
	r := store.SecondFactor{ID: id, Person: person, Kind: FactorRecovery}
	var (
		proof = recoveryProof{Key: s.sealer.KeyIDs()[0].String()}
		codes []string
	)
	for range recoveryCodes {
		code, err := s.code(recoveryLength)
		if err != nil {
			return r, nil, err
		}
		proof.Codes = append(proof.Codes, s.recoveryHashes(person, code)[0])
		codes = append(codes, grouped(code))
	}
	return r, codes, s.seal(&r, proof)
}

// Spend takes those recovery codes out of a factor that were spent, by the ids that the store has for them. ok is false for a factor that can't be read,
// which proves nothing, and for one of which no code is left.
func (s *Factors) Spend(r store.SecondFactor, spent func(object string) bool) (left store.SecondFactor, changed, ok bool) {
	var proof recoveryProof
	if err := s.open(r, &proof); err != nil {
		return r, false, false
	}
	codes := slices.DeleteFunc(slices.Clone(proof.Codes), func(code []byte) bool { return spent(store.CodeObject(r.ID, code)) })
	switch {
	case len(codes) == len(proof.Codes):
		return r, false, true
	case len(codes) == 0 || s.seal(&r, recoveryProof{codes, proof.Key}) != nil:
		return r, false, false
	}
	return r, true, true
}

// The hashes are keyed: a stolen database does not let the codes be guessed. There is one by each secret key, the one in use
// first: a code that was made before the secret key was replaced is still taken.

// inviteHashes are what an invitation may be stored as; the first is what it is stored as now. Where several secret keys are known it begins
// with the id of its own, so that it is known what still needs that. The version before, which knows one alone, takes it without.
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
