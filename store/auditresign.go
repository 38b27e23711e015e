package store

import (
	"bytes"
	"context"
)

// checkpointLabel begins what a checkpoint signs.
const checkpointLabel = "ssobridge audit seal 1\x00"

// OfCheckpoint tells whether a message of the audit is a checkpoint's. A checkpoint says nothing that the chain does
// not say itself; a cut and a retention let entries and events go, and who has their key can let any go.
func OfCheckpoint(message []byte) bool { return bytes.HasPrefix(message, []byte(checkpointLabel)) }

// Resign signs anew what lets events and entries go, and what was acknowledged, as far as by.Holds says that it is
// ours and inUse that another key than the one in use has signed it. It returns how many there were. After it, no
// older key has to hold for more than checkpoints.
func (a *Audit) Resign(ctx context.Context, by Signing, inUse func(message, signature []byte) bool) (changed int,
	err error) {
	again := func(message, signature []byte) bool {
		return by.Holds(message, signature) && !inUse(message, signature)
	}
	err = a.db.write(ctx, "sign the audit's purges and cuts anew", func(ctx context.Context, tx querier) error {
		changed = 0
		purges, err := collect(ctx, tx, scanRetention, `
			SELECT keep, at, signature FROM audit_retention ORDER BY at`)
		if err != nil {
			return err
		}
		for _, r := range purges {
			if m := r.Message(); again(m, r.Signature) {
				n, err := rowsAffected(ctx, tx, `
					UPDATE audit_retention SET signature = $1 WHERE keep = $2 AND at = $3`, by.Sign(m), r.text(), micros(r.At))
				if err != nil {
					return err
				}
				changed += int(n)
			}
		}
		cuts, err := collect(ctx, tx, scanCut, `
			SELECT seq, hash, at, counts, signature FROM audit_cuts ORDER BY seq`)
		if err != nil {
			return err
		}
		for _, c := range cuts {
			if m := c.Message(); again(m, c.Signature) {
				n, err := rowsAffected(ctx, tx, `
					UPDATE audit_cuts SET signature = $1 WHERE seq = $2`, by.Sign(m), c.Seq)
				if err != nil {
					return err
				}
				changed += int(n)
			}
		}
		n, err := resignAcknowledgements(ctx, tx, by, again)
		changed += n
		return err
	})
	return changed, err
}
