package mfa

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"ssobridge/certs"
	"ssobridge/store"
)

// Kinds of second factor. They stand in the database, in events and among the methods of a session.
const (
	TOTP         = "totp"          // an authenticator app's one-time code (RFC 6238)
	Passkey      = "passkey"       // WebAuthn
	RecoveryCode = "recovery_code" // a code from a list, each good for once, for when the others are lost
)

// Bounds of second factors.
const (
	inviteLife     = 24 * time.Hour
	recoveryCodes  = 10
	recoveryLength = 10 // letters of a recovery code: 50 bits
	inviteLength   = 20 // letters of an invitation: 100 bits

	MaxCode       = 64       // of a code as it is typed
	MaxCredential = 16 << 10 // of a browser's answer about a passkey
)

// IsKind reports whether a method of a session is a second factor.
func IsKind(method string) bool {
	return method == TOTP || method == Passkey || method == RecoveryCode
}

// Factor is a second factor as people and admins see it.
type Factor struct {
	ID      string
	Kind    string
	Added   time.Time
	Used    time.Time // zero: never
	Left    int       // recovery codes that are not used
	Damaged bool      // it can't be read: sealed with another secret_key, or changed in the database
	// By is how it was enrolled, one of the store's words; Confirmed tells whether an invitation or a confirmed factor
	// stands for it, which the console asks for.
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

// New returns the second factors in records. random is of cryptographic quality.
func New(records *store.SecondFactors, sealer *certs.Sealer, random io.Reader) *Factors {
	return &Factors{records: records, sealer: sealer, random: random}
}

// Proof is what proves a factor that was shown to work, to be sealed.
type Proof struct{ content any }

// codeProof, recoveryProof and a passkey's credential are what is sealed.
type codeProof struct {
	Secret string `json:"secret"` // base32
	Last   int64  `json:"last"`   // time step of the last code that was taken: none is taken twice (RFC 6238 5.2)
}

type recoveryProof struct {
	Codes [][]byte `json:"codes"` // keyed hashes of those not yet used
	// id of the secret key that they were hashed with; "": from before this was noted
	Key string `json:"key,omitempty"`
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
		var recovery recoveryProof
		if r.Kind == RecoveryCode {
			f.Damaged = s.open(r, &recovery) != nil
			f.Left = len(recovery.Codes)
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
	if f.Kind == RecoveryCode {
		return 1
	}
	return 0
}

// Invite makes an invitation to enrol a person's first factor, or to confirm one of those that are not confirmed, good
// for once within a day, and returns its code. With again, all factors that the person has are removed and their
// sessions ended. store.ErrConflict: without it, and the person has a confirmed one.
func (s *Factors) Invite(ctx context.Context, person store.PersonID, again bool, e store.Event) (code string,
	ends time.Time, err error) {
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
func (s *Factors) SetPolicy(ctx context.Context, account store.AccountID, policy Policy, e store.Event) error {
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
// no policy, as of a later version, is Required: nothing is let through for not
// being understood.
func (s *Factors) Policies(ctx context.Context) (map[store.AccountID]Policy, error) {
	words, err := s.records.Policies(ctx)
	if err != nil {
		return nil, fmt.Errorf("second factors of accounts: %w", err)
	}
	policies := make(map[store.AccountID]Policy, len(words))
	for account, word := range words {
		policy, err := ParsePolicy(word)
		if err != nil {
			policy = Required
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

// Seal puts the proof of a new factor into its record.
func (s *Factors) Seal(r *store.SecondFactor, proof Proof) error { return s.seal(r, proof.content) }

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

// NewRecoveryCodes makes new recovery codes for a person, under this id.
func (s *Factors) NewRecoveryCodes(person store.PersonID, id string) (store.SecondFactor, []string, error) {
	r := store.SecondFactor{ID: id, Person: person, Kind: RecoveryCode}
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

// Spend takes those recovery codes out of a factor that were spent, by the ids that the store has for them. ok is false
// for a factor that can't be read, which proves nothing, and for one of which no code is left.
func (s *Factors) Spend(r store.SecondFactor, spent func(object string) bool) (left store.SecondFactor,
	changed, ok bool) {
	var proof recoveryProof
	if err := s.open(r, &proof); err != nil {
		return r, false, false
	}
	codes := slices.DeleteFunc(slices.Clone(proof.Codes),
		func(code []byte) bool { return spent(store.CodeObject(r.ID, code)) })
	switch {
	case len(codes) == len(proof.Codes):
		return r, false, true
	case len(codes) == 0 || s.seal(&r, recoveryProof{codes, proof.Key}) != nil:
		return r, false, false
	}
	return r, true, true
}
