package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"time"
)

// APIAnswer is the answer to a request with an Idempotency-Key.
type APIAnswer struct {
	Status int
	Sealed []byte // by the caller: header fields and body
}

// APIClaim is the right to work on such a request.
type APIClaim struct {
	key   []byte
	claim string
	act   string // the action of the audit event that says that it is done; "": there is none
	// Again says that another process began to work on it and did not come to an end.
	Again bool
	// Made is what that process made, where it got that far: the id of what it is about, or "done". "": it did nothing.
	Made string
}

type claiming struct{}

// Claiming is a context for the one change that a request with a key asks for. act is the action of its audit event: in
// the transaction of that event the claim notes that it is done, and a change whose claim is somebody else's by now is
// refused with ErrInProgress. So whoever takes over the request knows whether it was done. An event that says that the
// act failed, was refused, or has an outcome that nobody knows notes nothing: it is to be done again.
func Claiming(ctx context.Context, c APIClaim, act string) context.Context {
	c.act = act
	return context.WithValue(ctx, claiming{}, c)
}

// claimDone notes that a request with a key is done, in the transaction of the event that says so. made is the id of
// something new whose number the event could not know yet; "": the event's subject is what was made.
func claimDone(ctx context.Context, tx querier, events []Event, made string) error {
	c, ok := ctx.Value(claiming{}).(APIClaim)
	if !ok || c.act == "" {
		return nil
	}
	i := slices.IndexFunc(events, func(e Event) bool { return e.Action == c.act && e.Outcome == "ok" })
	if i < 0 {
		return nil
	}
	made = cmp.Or(made, sanitize(events[i].Subject), "done")
	n, err := rowsAffected(ctx, tx, `
		UPDATE api_answers SET made = $1 WHERE key = $2 AND claim = $3 AND status = 0`, made, blob(c.key), c.claim)
	if err == nil && n == 0 {
		err = ErrInProgress
	}
	return err
}

// APIAnswers keeps the answers to requests with an Idempotency-Key, for APIAnswerLife, for all replicas.
type APIAnswers struct{ db *DB }

// APIAnswers returns those of this database.
func (db *DB) APIAnswers() *APIAnswers { return &APIAnswers{db} }

// APIAnswerLife is how long an answer is kept.
const APIAnswerLife = 24 * time.Hour

// maxAPIAnswer bounds what is stored, with what sealing adds to 64 KiB.
const maxAPIAnswer = 72 << 10

// What Begin refuses.
var (
	// ErrOtherRequest says that the key was used for another request.
	ErrOtherRequest = errors.New("the key was used for another request")
	// ErrInProgress says that the same request is being worked on.
	ErrInProgress = errors.New("the same request is being worked on")
)

// Begin takes a request for work, or returns the answer that it has. key is a hash of who asks and of the key, request
// one of what is asked for. The claim is good for patience: then its process is taken for dead. ErrOtherRequest,
// ErrInProgress.
func (s *APIAnswers) Begin(ctx context.Context, key, request []byte, patience time.Duration) (c APIClaim,
	answer *APIAnswer, err error) {
	err = s.db.write(ctx, "begin a request with a key", func(ctx context.Context, tx querier) error {
		c, answer = APIClaim{key: key, claim: rand.Text()}, nil
		now := s.db.now()
		n, err := rowsAffected(ctx, tx, `
			INSERT INTO api_answers (key, request, began_at, taken_until, claim, status, answer, made)
			VALUES ($1, $2, $3, $4, $5, 0, $6, '') ON CONFLICT (key) DO NOTHING`,
			blob(key), blob(request), micros(now), micros(now.Add(patience)), c.claim, blob(nil))
		if err != nil || n > 0 {
			return err
		}
		// The row is locked before it is read: two that find it left behind must not both take it.
		var (
			was         []byte
			began, till int64
			found       APIAnswer
		)
		err = tx.QueryRowContext(ctx, `
			UPDATE api_answers SET status = status WHERE key = $1
			RETURNING request, began_at, taken_until, status, answer, made`, blob(key)).
			Scan(&was, &began, &till, &found.Status, &found.Sealed, &c.Made)
		if err != nil {
			return err
		}
		over := !now.Before(fromMicros(began).Add(APIAnswerLife))
		switch {
		case over:
			c.Made = ""
		case !bytes.Equal(was, request):
			return ErrOtherRequest
		case found.Status != 0:
			answer = &found
			return nil
		case now.Before(fromMicros(till)):
			return ErrInProgress
		default:
			c.Again = true
		}
		_, err = tx.ExecContext(ctx, `
			UPDATE api_answers SET request = $1, began_at = $2, taken_until = $3, claim = $4, status = 0, answer = $5, made = $6
			 WHERE key = $7`,
			blob(request), micros(now), micros(now.Add(patience)), c.claim, blob(nil), c.Made, blob(key))
		return err
	})
	return c, answer, err
}

// End stores the answer. ErrConflict: somebody else has taken the request meanwhile, and its answer counts.
func (s *APIAnswers) End(ctx context.Context, c APIClaim, a APIAnswer) error {
	if len(a.Sealed) > maxAPIAnswer || a.Status == 0 {
		return s.db.explain("store an answer", ErrLimit)
	}
	return s.db.write(ctx, "store an answer", func(ctx context.Context, tx querier) error {
		n, err := rowsAffected(ctx, tx, `
			UPDATE api_answers SET status = $1, answer = $2 WHERE key = $3 AND claim = $4 AND status = 0`,
			a.Status, blob(a.Sealed), blob(c.key), c.claim)
		if err == nil && n == 0 {
			err = ErrConflict
		}
		return err
	})
}

// Drop gives a request back that came to nothing: the same key can be used again.
func (s *APIAnswers) Drop(ctx context.Context, c APIClaim) error {
	return s.db.write(ctx, "drop a request with a key", func(ctx context.Context, tx querier) error {
		_, err := tx.ExecContext(ctx, `
			DELETE FROM api_answers WHERE key = $1 AND claim = $2 AND status = 0`, blob(c.key), c.claim)
		return err
	})
}

// Purge deletes answers that are over.
func (s *APIAnswers) Purge(ctx context.Context) (int, error) {
	return s.db.inBatches(ctx, "purge answers of the API", sweep, func(ctx context.Context, tx querier) (int, error) {
		n, err := rowsAffected(ctx, tx, `
			DELETE FROM api_answers WHERE key IN (SELECT key FROM api_answers WHERE began_at <= $1 ORDER BY began_at LIMIT `+inSweep+`)`,
			micros(s.db.now().Add(-APIAnswerLife)))
		return int(n), err
	})
}
