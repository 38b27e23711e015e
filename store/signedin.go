package store

import (
	"context"
	"time"
)

// signInGrain is how exactly SSOUser.SignedIn is kept: a launch writes nothing of it on most days.
const signInGrain = day

// LedgerSignIn is what the ledger notes of a sign-in to a client account.
type LedgerSignIn struct {
	UserKey

	First bool  // as far as the row says that was read
	Event Event // of the first one
}

// NoteSignIn is what a sign-in of the row's person notes in the ledger: nil where it has that already, to a day. e is
// the event of the person's first sign-in to the client account.
func (u SSOUser) NoteSignIn(now time.Time, e Event) *LedgerSignIn {
	if u.Person == "" {
		return nil
	}
	// One that lies further ahead was left by a clock that ran ahead and was put right.
	if since := now.Sub(u.SignedIn); since > -signInGrain && since < signInGrain {
		return nil
	}
	return &LedgerSignIn{UserKey: UserKey{u.Person, u.Account}, First: u.FirstSignIn.IsZero(), Event: e}
}

// ledgerSignInLook is what the transaction of a sign-in has found.
type ledgerSignInLook struct {
	first   bool // the row has noted no sign-in before
	earlier bool // but the audit log has: from before the row did
}

// steps note a sign-in. They come before the event of the sign-in, which they would find.
func (s *LedgerSignIn) steps(now time.Time, l *ledgerSignInLook) []step {
	*l = ledgerSignInLook{}
	all := []step{{
		text: `
			UPDATE sso_users SET signed_in_at = $1,
			       first_sign_in_at = CASE WHEN first_sign_in_at = 0 THEN $1 ELSE first_sign_in_at END
			 WHERE person_id = $2 AND account = $3 AND (signed_in_at <= $4 OR signed_in_at >= $5)
			RETURNING first_sign_in_at`,
		args: []any{micros(now), string(s.Person), string(s.Account), micros(now.Add(-signInGrain)),
			micros(now.Add(signInGrain))}, none: true,
		row: func(row scanner) error {
			var at int64
			err := row.Scan(&at)
			l.first = err == nil && at == micros(now)
			return err
		},
	}}
	if !s.First {
		return all
	}
	return append(all, hit(&l.earlier, `
		SELECT 1 FROM audit_events
		 WHERE subject = $1 AND action = 'sign-in' AND outcome = 'ok' AND account = $2 LIMIT 1`, string(s.Person),
		string(s.Account)))
}

// tell writes the event of the first sign-in, in the transaction that has noted it: of two at once, one has.
func (s *LedgerSignIn) tell(ctx context.Context, tx querier, l ledgerSignInLook, now time.Time) error {
	if !l.first || l.earlier || !s.First {
		return nil
	}
	return addEvents(ctx, tx, now, []Event{s.Event})
}
