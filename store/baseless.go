package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// PatternNotice says when a pattern over group names without a base was first named to an administrator; zero: not yet.
// Both have to have happened before the pattern may stop.
type PatternNotice struct {
	ByCheck, InConsole time.Time
}

// Places where a pattern without a base is named.
const (
	NoticeByCheck   = "check"
	NoticeInConsole = "console"
)

// Notices lists, by mapping, when patterns without a base were named. A mapping that has got a base since, or is gone,
// can be among them: one without a base comes back by its history.
func (s *Mappings) Notices(ctx context.Context) (map[int64]PatternNotice, error) {
	type row struct {
		id int64
		n  PatternNotice
	}
	rows, err := collect(ctx, s.db.engine.reader(), func(sc scanner) (r row, err error) {
		var check, console int64
		err = sc.Scan(&r.id, &check, &console)
		if check != 0 {
			r.n.ByCheck = fromMicros(check)
		}
		if console != 0 {
			r.n.InConsole = fromMicros(console)
		}
		return r, err
	}, `SELECT mapping, check_at, console_at FROM baseless_patterns`)
	if err != nil {
		return nil, s.db.explain("read when patterns were named", err)
	}
	all := make(map[int64]PatternNotice, len(rows))
	for _, r := range rows {
		all[r.id] = r.n
	}
	return all, nil
}

// Notice notes that a pattern without a base was named at a place, with its event. Only the first time counts: later
// ones store nothing, so that nobody moves the end by looking again. ErrNotFound: there is no such pattern.
func (s *Mappings) Notice(ctx context.Context, mapping int64, place string, e Event) error {
	var statement string
	switch place {
	case NoticeByCheck:
		statement = `
			INSERT INTO baseless_patterns (mapping, check_at) VALUES ($1, $2)
			ON CONFLICT (mapping) DO UPDATE SET check_at = excluded.check_at WHERE baseless_patterns.check_at = 0`
	case NoticeInConsole:
		statement = `
			INSERT INTO baseless_patterns (mapping, console_at) VALUES ($1, $2)
			ON CONFLICT (mapping) DO UPDATE SET console_at = excluded.console_at WHERE baseless_patterns.console_at = 0`
	default:
		return s.db.explain("note that a pattern was named", fmt.Errorf("place %q: %w", place, errors.ErrUnsupported))
	}
	return s.db.change(ctx, "note that a pattern was named", func(ctx context.Context, tx querier) error {
		var there bool
		if err := tx.QueryRowContext(ctx, `
			SELECT EXISTS (SELECT 1 FROM mappings WHERE id = $1 AND kind = 'group_pattern' AND group_dn = '')`, mapping).Scan(&there); err != nil {
			return err
		}
		if !there {
			return ErrNotFound
		}
		n, err := rowsAffected(ctx, tx, statement, mapping, micros(s.db.now()))
		if err != nil || n == 0 {
			return err
		}
		return addEvents(ctx, tx, s.db.now(), []Event{e})
	})
}
