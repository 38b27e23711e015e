package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// MappedPeople are how many people each mapping gave a client account when a plan was made. A mapping that is not in it
// is younger than the plan.
type MappedPeople struct {
	At     time.Time // when the plan was begun; zero: none was made yet
	People map[int64]int
}

// SetMapped stores what a plan that is being made has counted. ErrConflict: it is not being made any more. ErrNotFound.
func (s *Plans) SetMapped(ctx context.Context, id int64, people map[int64]int) error {
	raw, err := json.Marshal(people)
	if err != nil {
		return fmt.Errorf("encode how many people mappings are for: %w", err)
	}
	return s.db.write(ctx, "store how many people mappings are for", func(ctx context.Context, tx querier) error {
		n, err := rowsAffected(ctx, tx, `
			UPDATE plans SET mapping_people = $1 WHERE id = $2 AND state = 'making'`, string(raw), id)
		if err == nil && n == 0 {
			err = elsewhere(ctx, tx, id)
		}
		return err
	})
}

// Mapped are the counts of the newest plan that has some. It reads one row, whatever the number of people.
func (s *Plans) Mapped(ctx context.Context) (m MappedPeople, err error) {
	var at int64
	var raw string
	err = s.db.engine.reader().QueryRowContext(ctx, `
		SELECT created_at, mapping_people FROM plans
		 WHERE mapping_people <> '' AND state <> 'making'
		 ORDER BY id DESC LIMIT 1`).Scan(&at, &raw)
	if errors.Is(err, sql.ErrNoRows) {
		return m, nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(raw), &m.People)
	}
	if err != nil {
		return MappedPeople{}, s.db.explain("read how many people mappings are for", err)
	}
	m.At = fromMicros(at)
	return m, nil
}
