package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"ssobridge/cmd/internal/config"
	"ssobridge/cmd/internal/journal"
	"ssobridge/idp/mfa"
	"ssobridge/store"
)

const followEvery = 10 * time.Second

// Restoration is what is known of a database beside the journal of revocations.
type Restoration struct {
	Noticed string          // how it is known that the database was restored; "": it was not
	Lacking []string        // why the journal can't say everything that was revoked since; empty: it can
	Content journal.Content // of the journal
	// the journal has words that the database lacks, and the database was not restored: a program ended before a commit
	Cut bool

	Unconfirm func(store.PersonID) bool // whose factors open the console no more, where the journal is not whole
}

// Whole tells whether the journal knows everything that was revoked since the copy was made.
func (r Restoration) Whole() bool { return len(r.Lacking) == 0 }

// LookForRestore compares a database with the journal. certain is how it is known that it was restored; "" where
// that is to be found out.
func LookForRestore(ctx context.Context, j *journal.Journal, db *store.DB, certain string) (r Restoration, err error) {
	if r.Content, err = j.Read(ctx); err != nil {
		return r, fmt.Errorf("read the revocation journal: %w", err)
	}
	st, err := db.Revocations().Standing(ctx)
	if err != nil {
		return r, err
	}
	c := r.Content
	switch {
	case certain != "":
		r.Noticed = certain
	case st.Moved():
		r.Noticed = "it stands in another place than the database that was there: it was dumped and read in"
	case c.Seen.Another(st):
		r.Noticed = "it is another database than the one whose revocations state_dir has"
	case c.Seen.Behind(st):
		r.Noticed = fmt.Sprintf("it is behind the revocation journal: it has %d revocations and %d audit events, and had "+
			"%d and %d on %s",
			st.Seq, st.Audit, c.Seen.Seq, c.Seen.Audit, c.Seen.At.Format("2006-01-02 15:04:05 MST"))
	}
	if r.Noticed == "" {
		if len(c.Words) == 0 {
			return r, nil
		}
		known, err := db.Revocations().Entries(ctx)
		if err != nil {
			return r, err
		}
		// What the journal and the database have purged stands in audit.sink for good. It was not cut off, and said again it
		// would undo what was allowed since.
		r.Content.Words = slices.DeleteFunc(c.Words, func(w store.Revocation) bool {
			return c.Begun && w.At.Before(c.Since) && !known[w.Entry]
		})
		r.Cut = slices.ContainsFunc(r.Content.Words, func(w store.Revocation) bool { return !known[w.Entry] })
		return r, nil
	}
	r.Lacking = slices.Clone(c.Faults)
	switch {
	case c.Seen.Another(st):
		r.Lacking = append(r.Lacking, fmt.Sprintf("the revocation journal in %s belongs to the database that was seen on "+
			"%s: compare store.dsn with that of the other replicas, and give each installation a state_dir of its own", j.Path(),
			c.Seen.At.Format("2006-01-02 15:04:05 MST")))
	case !c.Begun:
		r.Lacking = append(r.Lacking, "there is no revocation journal in "+j.Path())
	case !st.Newest.IsZero() && c.Since.After(st.Newest):
		r.Lacking = append(r.Lacking, fmt.Sprintf("the journal was begun on %s, after the copy was made (%s)",
			c.Since.UTC().Format(time.DateTime), st.Newest.UTC().Format(time.DateTime)))
	case len(c.Words) > 0 && c.Words[len(c.Words)-1].Seq < st.Seq, len(c.Words) == 0 && st.Seq > 0:
		r.Lacking = append(r.Lacking, "the journal was not written any more when the copy was made: it lacks what the copy "+
			"knows")
	}
	return r, nil
}

// Settlement is what is to be done about it.
func (r Restoration) Settlement(factors *mfa.Factors, e store.Event) store.Settlement {
	return store.Settlement{
		Words: r.Content.Words, Restored: r.Noticed != "", Void: r.Noticed != "" && !r.Whole(),
		Codes: mfa.RecoveryCode, Spend: factors.Spend, Unconfirm: r.Unconfirm, Event: e,
	}
}

// highest is the number of the journal's last word: what is said again gets higher ones.
func (r Restoration) highest() int64 {
	if n := len(r.Content.Words); n > 0 {
		return r.Content.Words[n-1].Seq
	}
	return 0
}

// BeginJournal begins the journal where there is none, writes down what the database knows and it does not, and
// notes how far the database has come. A database that was settled just now is the present one, whatever was seen
// before.
func (p *App) BeginJournal(ctx context.Context, settled *Restoration) error {
	st, err := p.Store.Revocations().Standing(ctx)
	if err != nil {
		return err
	}
	if settled != nil {
		if err := p.Journal.SetMark(ctx, journal.Mark{Seq: min(settled.highest(), st.Seq), Audit: st.Audit,
			Place: st.Place}); err != nil {
			return fmt.Errorf("set the mark of the revocation journal: %w", err)
		}
	}
	if err := p.Journal.Begin(ctx, st.Began); err != nil {
		return fmt.Errorf("begin the revocation journal: %w", err)
	}
	return p.FollowJournal(ctx)
}

// beginBeforeServing begins the journal of an installation that never served: everything that was ever revoked in its
// database is there, and the journal is whole from the first command on. Who has served has a journal, or has lost it;
// that is for settle to say.
func (p *App) beginBeforeServing(ctx context.Context) {
	if _, err := os.Stat(p.Journal.Path()); !errors.Is(err, os.ErrNotExist) {
		return
	}
	used, err := p.Store.SecretKeys().List(ctx)
	if err == nil && len(used) > 0 {
		return
	}
	var r Restoration
	if err == nil {
		r, err = LookForRestore(ctx, p.Journal, p.Store, "")
	}
	if err == nil && r.Noticed == "" {
		err = p.BeginJournal(ctx, nil)
	}
	if err != nil && ctx.Err() == nil {
		p.log.Info("the revocation journal was not begun; the first start of the bridge does it", "state_dir",
			p.Config.JournalDir(), "error", err)
	}
}

func (p *App) FollowJournal(ctx context.Context) error {
	if err := p.Journal.Follow(ctx, p.Store.Revocations()); err != nil {
		return fmt.Errorf("follow the revocations: %w", err)
	}
	return nil
}

// MakeStateDir makes the folder of the journal: with PostgreSQL nothing else needs data_dir, so it may not be there.
func MakeStateDir(cfg config.Config, log *slog.Logger) {
	if err := os.MkdirAll(cfg.JournalDir(), 0o700); err != nil {
		log.Error("the folder for the revocation journal can't be made: a restore would undo what is revoked now",
			"state_dir", cfg.JournalDir(), "error", err)
	}
}

// ErrUnsettled says that the database was restored, and that what was revoked since is not known.
var ErrUnsettled = errors.New("the database was restored, and what was revoked since then is not known")

// settle is done before anything is served: where the database was restored, what was revoked since is revoked
// again. Where the journal can't say what that is, nothing is served until an admin has looked (ErrUnsettled).
func (p *App) settle(ctx context.Context) error {
	// First, so that what the database has purged is not taken for what it lacks.
	if err := p.pruneJournal(ctx); err != nil {
		p.log.Warn("old entries of the revocation journal were not removed", "error", err)
	}
	r, err := LookForRestore(ctx, p.Journal, p.Store, "")
	if err != nil {
		// Serving goes on: a journal that can't be read, on a disk that is full or gone, must not shut everybody
		// out. It is shown until it can.
		p.log.Error("the revocation journal can't be used: a restore would undo what is revoked now, and is not noticed",
			"state_dir", p.Config.JournalDir(), "error", err)
		return nil
	}
	if r.Noticed == "" && !r.Cut {
		if err := p.BeginJournal(ctx, nil); err != nil {
			p.log.Error("the revocation journal can't be written: a restore would undo what is revoked now", "state_dir",
				p.Config.JournalDir(), "error", err)
		}
		return nil
	}
	if r.Noticed != "" && !r.Whole() {
		try, err := p.TrySettle(ctx, r)
		if err != nil {
			return err
		}
		p.log.Error("the database was restored: nothing is served until an admin confirms by ssobridge restore --yes",
			"noticed", r.Noticed, "lacking", r.Lacking, "would_revoke", try)
		return fmt.Errorf("%w: %s; %s", ErrUnsettled, r.Noticed, strings.Join(r.Lacking, "; "))
	}
	_, err = p.settleNow(ctx, r, store.Event{Actor: "worker"})
	return err
}

// TrySettle says what settling would do.
func (p *App) TrySettle(ctx context.Context, r Restoration) (store.Settled, error) {
	s := r.Settlement(p.IdP.Factors(), store.Event{})
	s.Try = true
	done, err := p.Store.Revocations().Settle(ctx, s)
	if err != nil {
		return done, fmt.Errorf("see what was revoked: %w", err)
	}
	return done, nil
}

// settleNow revokes again what the journal says, with an event.
func (p *App) settleNow(ctx context.Context, r Restoration, e store.Event) (store.Settled, error) {
	e.Action, e.Subject, e.Outcome, e.Reason = "revoke-again", "database", "ok", "restore"
	if r.Noticed == "" {
		e.Reason = "cut-off"
	}
	done, err := p.Store.Revocations().Settle(ctx, r.Settlement(p.IdP.Factors(), e))
	if err != nil {
		return done, fmt.Errorf("revoke again what was revoked before the restore: %w", err)
	}
	if len(done.Outdated) > 0 {
		p.Journal.After(ctx, done.Outdated, false)
	}
	if r.Noticed != "" {
		p.log.Warn("the database was restored; what was revoked since is revoked again, all sessions have ended, and "+
			"creations by plans are on hold",
			"noticed", r.Noticed, "revoked", done)
		if done.Signing == 0 {
			p.log.Error("no signing key is left: nothing is signed", "missing_keys", done.Missing)
		}
		err = p.BeginJournal(ctx, &r)
	} else {
		p.log.Warn("revocations were cut off before their commit; they are made now", "revoked", done)
		err = p.BeginJournal(ctx, nil)
	}
	if err != nil {
		p.log.Error("the revocation journal can't be written: a restore would undo what is revoked now", "state_dir",
			p.Config.JournalDir(), "error", err)
	}
	return done, nil
}

// keepJournal follows what other replicas revoke until ctx ends. A database that is restored while this program
// runs ends it: the next start looks before it serves.
func (p *App) keepJournal(ctx context.Context) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		switch err := p.FollowJournal(ctx); {
		case errors.Is(err, journal.ErrRestored):
			return fmt.Errorf("%w; start it again", err)
		case err != nil && ctx.Err() == nil:
			p.log.Error("the revocation journal is not written: a restore would undo what is revoked now", "state_dir",
				p.Config.JournalDir(), "error", err)
		}
	}
}

// pruneJournal removes from the journal, and then from the database, what is older than the audit.
func (p *App) pruneJournal(ctx context.Context) error {
	// of nothing, so that only MACs of a replaced secret key are made anew; also where the clock may be wrong
	before := time.Time{}
	if keep := p.Config.Audit.Longest(); keep > 0 && p.BelieveClock(ctx) == nil {
		before = p.Now().Add(-keep)
	}
	if _, err := p.Journal.Prune(ctx, before); err != nil {
		return fmt.Errorf("remove old entries of the revocation journal: %w", err)
	}
	return nil
}

func (p *App) purgeRevocations(ctx context.Context) (int, error) {
	if err := p.pruneJournal(ctx); err != nil {
		return 0, err
	}
	keep := p.Config.Audit.Longest()
	if keep == 0 {
		return 0, nil
	}
	return p.Store.Revocations().Purge(ctx, p.Now().Add(-keep))
}
