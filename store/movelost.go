package store

import (
	"context"
	"strings"
	"time"
)

// A move that a backup does not have is known to the revocation journal alone, by hashes of both ids. After a restore
// its row in moved_people has these in their place, and nobody is created by either id until the move is made again.

// lostMark begins such a hash. No id of a source begins like it, and no moved_to is anything else.
const lostMark = "?"

// MoveLost stands for whom a person was moved from, by a move that a restored backup has lost.
const MoveLost PersonID = lostMark

// LostMove stands for a person in a move that a restored backup has lost.
func LostMove(p PersonID) PersonID { return PersonID(lostMark + moveHash(p)) }

// Lost tells that a person stands for the other side of a move that a restored backup has lost, see MovedTo.
func (p PersonID) Lost() bool { return strings.HasPrefix(string(p), lostMark) }

func moveHash(p PersonID) string { return objectOf(MoveObject, string(p)) }

// moveObject names a move in the journal.
func moveObject(from, to PersonID) string { return moveHash(from) + moveHash(to) }

// moves brings back what a copy has lost of moves to sources. A move whose word alone it lacks, since that was purged
// and the audit's sink still has it, is there.
func (r *replay) moves(ctx context.Context, tx querier, done *Settled, now time.Time) error {
	if !r.has(MoveObject) {
		return nil
	}
	there := map[string]bool{}
	if _, err := collect(ctx, tx, func(row scanner) (struct{}, error) {
		var from, to PersonID
		err := row.Scan(&from, &to)
		there[moveObject(from, to)] = true
		return struct{}{}, err
	}, `
		SELECT person_id, moved_to FROM moved_people`); err != nil {
		return err
	}
	for _, w := range r.missing {
		if w.Kind != MoveObject || w.Word != Revoked || r.word(w.Kind, w.Object) != w.Word ||
			len(w.Object) != len(moveObject("", "")) || there[w.Object] {
			continue
		}
		half := len(w.Object) / 2
		n, err := rowsAffected(ctx, tx, `
			INSERT INTO moved_people (person_id, moved_to, moved_at) VALUES ($1, $2, $3)
			ON CONFLICT DO NOTHING`, lostMark+w.Object[:half], lostMark+w.Object[half:], micros(now))
		if err != nil {
			return err
		}
		done.Moves += n
	}
	return nil
}

// forgetMoves forgets the moves from and to a person's id, also lost ones.
func forgetMoves(ctx context.Context, tx querier, p PersonID) (int64, error) {
	gone, err := collect(ctx, tx, func(row scanner) (object string, err error) {
		var from, to PersonID
		if err := row.Scan(&from, &to); err != nil {
			return "", err
		}
		if from.Lost() && to.Lost() {
			return strings.ReplaceAll(string(from+to), lostMark, ""), nil
		}
		return moveObject(from, to), nil
	}, `
		DELETE FROM moved_people WHERE person_id IN ($1, $2) OR moved_to IN ($1, $2)
		RETURNING person_id, moved_to`, string(p), string(LostMove(p)))
	for _, object := range gone {
		note(ctx, MoveObject, object, Allowed)
	}
	return int64(len(gone)), err
}
