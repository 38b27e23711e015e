package admin

import (
	"context"
	"fmt"
	"time"

	"ssobridge/internal/plaintext"
	"ssobridge/store"
)

// BackupMade is the action of the event that a backup leaves.
const BackupMade = "backup"

// LastBackup is when the last backup was made of which the store knows; ok is false where it knows of none.
func LastBackup(ctx context.Context, db *store.DB) (at time.Time, ok bool, err error) {
	last, err := db.Audit().List(ctx, store.Filter{Action: BackupMade, Outcome: "ok", Limit: 1})
	if err != nil {
		return at, false, fmt.Errorf("look for the last backup: %w", err)
	}
	if len(last) == 0 {
		return at, false, nil
	}
	return last[0].At, true, nil
}

// RecordBackup notes that another tool has made a backup.
func RecordBackup(ctx context.Context, s Scope, db *store.DB, e store.Event) error {
	if err := s.whole(); err != nil {
		return err
	}
	e.Action = BackupMade
	if err := db.Audit().Add(ctx, e); err != nil {
		return fmt.Errorf("record the backup: %w", err)
	}
	return nil
}

// backup says whether the last backup is too old, where the configuration says how old it may be.
func (s Status) backup(ctx context.Context) []Finding {
	const name = "backup"
	if s.BackupMaxAge == 0 {
		return nil
	}
	at, ok, err := LastBackup(ctx, s.Store)
	switch age := s.Now().Sub(at); {
	case err != nil:
		return []Finding{found(name, err)}
	case !ok:
		return []Finding{{Name: name, Level: Failure, Detail: "none was made yet", Act: MakeBackup}}
	case age > s.BackupMaxAge:
		return []Finding{{Name: name, Level: Failure, Act: MakeBackup, Detail: fmt.Sprintf(
			"the last one is of %s, %s ago; backup.max_age is %s", plaintext.Minute(at), hours(age),
			hours(s.BackupMaxAge))}}
	}
	return []Finding{{Name: name, Detail: "the last one is of " + plaintext.Minute(at)}}
}

// hours is a long time as people read it.
func hours(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 2*day {
		return fmt.Sprintf("%d days", d/day)
	}
	return d.Round(time.Minute).String()
}
