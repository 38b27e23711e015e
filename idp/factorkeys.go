package idp

import (
	"context"
	"fmt"

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

// SealedBy counts the factors, and the sets of recovery codes, by the id of the secret key that each needs: a factor can be sealed
// again, the codes of a set are hashed and stay with theirs. The id is "" for what no known secret key opens.
func (s *Factors) SealedBy(ctx context.Context) (factors, codes map[string]int, err error) {
	factors, codes = map[string]int{}, map[string]int{}
	err = s.each(ctx, func(r store.SecondFactor) error {
		id, ok := s.sealer.SealedBy(r.Sealed, sealedFor(r))
		if !ok {
			factors[""]++
			return nil
		}
		factors[id.String()]++
		var proof recoveryProof
		if r.Kind == FactorRecovery && s.open(r, &proof) == nil {
			if proof.Key == "" {
				proof.Key = id.String() // there was one key when it was not noted
			}
			codes[proof.Key]++
		}
		return nil
	})
	return factors, codes, err
}

// Reseal seals those factors again that the secret key in use has not sealed, and returns how many it was. One that is used at the
// same time is left for the next time.
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
		if r.Kind == FactorRecovery && s.open(r, &proof) == nil && proof.Key == "" {
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
