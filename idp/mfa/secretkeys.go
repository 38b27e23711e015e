package mfa

import (
	"context"
	"fmt"

	"ssobridge/certs"
	"ssobridge/store"
)

// factorPage is how many factors are read at a time where all are.
const factorPage = 500

// each calls do with every factor of everybody.
func (s *Factors) each(ctx context.Context, do func(store.SecondFactor) error) error {
	for after := ""; ; {
		page, err := s.records.After(ctx, after, factorPage)
		if err != nil {
			return fmt.Errorf("second factors: %w", err)
		}
		for _, r := range page {
			if err := do(r); err != nil {
				return fmt.Errorf("second factor %s: %w", r.ID, err)
			}
		}
		if len(page) < factorPage {
			return nil
		}
		after = page[len(page)-1].ID
	}
}

// SealedBy counts the factors, and the sets of recovery codes, by the id of the secret key that each needs: a factor
// can be sealed again, the codes of a set are hashed and stay with theirs. The id is "" for what no known secret key
// opens.
func (s *Factors) SealedBy(ctx context.Context) (factors, codes map[string]int, err error) {
	factors, codes = map[string]int{}, map[string]int{}
	err = s.each(ctx, func(r store.SecondFactor) error {
		id, ok := s.sealer.SealedBy(r.Sealed, sealedFor(r))
		if !ok {
			factors[""]++
			return nil
		}
		factors[id.String()]++
		if by, ok := s.codesBy(r); ok {
			codes[by]++
		}
		return nil
	})
	return factors, codes, err
}

// Reseal seals those factors again that the secret key in use has not sealed, and returns how many it was. One that is
// used at the same time is left for the next time.
func (s *Factors) Reseal(ctx context.Context) (changed int, err error) {
	inUse := s.sealer.KeyIDs()[0]
	err = s.each(ctx, func(r store.SecondFactor) error {
		by, ok := s.sealer.SealedBy(r.Sealed, sealedFor(r))
		if !ok || by == inUse {
			return nil
		}
		plain, err := s.sealer.Open(r.Sealed, sealedFor(r))
		if err != nil {
			return err
		}
		var proof recoveryProof
		if r.Kind == RecoveryCode && s.open(r, &proof) == nil && proof.Key == "" {
			proof.Key = by.String()
			err = s.seal(&r, proof)
		} else {
			r.Sealed, err = s.sealer.Seal(plain, sealedFor(r))
		}
		clear(plain)
		if err != nil {
			return err
		}
		done, err := s.records.Reseal(ctx, r)
		if done {
			changed++
		}
		return err
	})
	return changed, err
}

// InvitedBy counts the invitations that can still be used by the id of the secret key that each needs; "" for those
// that name none, which were made when only one was known.
func (s *Factors) InvitedBy(ctx context.Context) (map[string]int, error) {
	open, err := s.records.Invitations(ctx)
	if err != nil {
		return nil, fmt.Errorf("second factors: %w", err)
	}
	count := map[string]int{}
	for _, i := range open {
		count[invitedBy(i.Code)]++
	}
	return count, nil
}

// Void removes what can't be made anew with another secret key and needs this one: sets of recovery codes, and
// invitations, also those that name none. It returns how many. Each leaves the event.
func (s *Factors) Void(ctx context.Context, id certs.KeyID, e store.Event) (sets, invitations int, err error) {
	e.Outcome, e.Reason = "ok", "secret_key"
	err = s.each(ctx, func(r store.SecondFactor) error {
		by, ok := s.codesBy(r)
		if !ok || by != id.String() {
			return nil
		}
		e := e
		e.Action, e.Subject = "second-factor-remove", string(r.Person)
		done, err := s.records.VoidCodes(ctx, r, e)
		if done {
			sets++
		}
		return err
	})
	if err != nil {
		return sets, 0, err
	}
	open, err := s.records.Invitations(ctx)
	if err != nil {
		return sets, 0, fmt.Errorf("second factors: %w", err)
	}
	for _, i := range open {
		if by := invitedBy(i.Code); by != "" && by != id.String() {
			continue
		}
		e := e
		e.Action, e.Subject = "second-factor-invite-void", string(i.Person)
		done, err := s.records.VoidInvitation(ctx, i, e)
		if err != nil {
			return sets, invitations, fmt.Errorf("second factors: %w", err)
		}
		if done {
			invitations++
		}
	}
	return sets, invitations, nil
}

// codesBy is the id of the secret key without which the codes of a set are worth nothing. ok is false for what is no
// such set, or can't be read.
func (s *Factors) codesBy(r store.SecondFactor) (id string, ok bool) {
	var proof recoveryProof
	if r.Kind != RecoveryCode || s.open(r, &proof) != nil {
		return "", false
	}
	if proof.Key == "" { // there was one key when it was not noted
		by, _ := s.sealer.SealedBy(r.Sealed, sealedFor(r)) // it does open
		proof.Key = by.String()
	}
	return proof.Key, true
}
