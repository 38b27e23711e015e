package store

import (
	"context"
	"fmt"
	"time"
)

const (
	// peopleLife is how long it is remembered how somebody is called who does not log in any more: a year and a month, as
	// long as refused logins are kept at most.
	peopleLife = 400 * 24 * time.Hour
	// peopleGrain is how old seen_at may be before a login moves it.
	peopleGrain = 24 * time.Hour
)

// Called is how a person is called, as the directory said at the last login.
type Called struct {
	Person PersonID
	Login  string
	Name   string // first and last name; "" where the directory has none
}

// People keeps how people are called who have logged in, those among them who got in nowhere.
type People struct{ db *DB }

// People returns the names of this database.
func (db *DB) People() *People { return &People{db} }

// called is the step of a login that remembers how the person is called. Mostly it changes nothing.
func called(n Session, now time.Time) step {
	return step{
		text: `
			INSERT INTO people (person_id, login, name, seen_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (person_id) DO UPDATE SET login = excluded.login, name = excluded.name, seen_at = excluded.seen_at
			 WHERE people.login <> excluded.login OR people.name <> excluded.name OR people.seen_at < $5`,
		args: []any{string(n.Person), sanitize(n.Login), sanitize(n.Name), micros(now), micros(now.Add(-peopleGrain))},
	}
}

// Called returns how these people are called, at most 1000, by their ids. Who is not known is left out.
func (s *People) Called(ctx context.Context, people []PersonID) (map[PersonID]Called, error) {
	const what = "look up the names of people"
	if len(people) == 0 {
		return nil, nil
	}
	if len(people) > 1000 {
		return nil, s.db.explain(what, fmt.Errorf("%d people: want at most 1000", len(people)))
	}
	var c conditions
	c.text.WriteString("SELECT person_id, login, name FROM people WHERE person_id IN (")
	c.list(people)
	c.text.WriteString(")")
	all, err := collect(ctx, s.db.engine.reader(), func(row scanner) (n Called, err error) {
		return n, row.Scan(&n.Person, &n.Login, &n.Name)
	}, c.text.String(), c.args...)
	if err != nil {
		return nil, s.db.explain(what, err)
	}
	found := make(map[PersonID]Called, len(all))
	for _, n := range all {
		found[n.Person] = n
	}
	return found, nil
}

// ByLogin finds the people who had a login when they last logged in, or when a plan last named them for a manual task:
// for people who are not in the directory any more. Letters of ASCII count as the same in either case, as in
// directories. A login may have been given to somebody else since; at most ten are returned.
func (s *People) ByLogin(ctx context.Context, login string) ([]PersonID, error) {
	all, err := collect(ctx, s.db.engine.reader(), func(row scanner) (id PersonID, err error) { return id, row.Scan(&id) }, `
		SELECT person_id FROM people WHERE lower(login) = lower($1)
		UNION
		SELECT person_id FROM manual_work WHERE lower(login) = lower($2)
		 ORDER BY 1 LIMIT 10`, login, login)
	if err != nil {
		return nil, s.db.explain("look for people by their former login", err)
	}
	return all, nil
}

// Purge forgets the names of people who have not logged in for 400 days, in small batches; it returns how many.
func (s *People) Purge(ctx context.Context) (int, error) {
	before := micros(s.db.now().Add(-peopleLife))
	n, err := s.db.inBatches(ctx, "purge the names of people", sweep, func(ctx context.Context, tx querier) (int, error) {
		n, err := rowsAffected(ctx, tx, `
			DELETE FROM people
			 WHERE person_id IN (SELECT person_id FROM people WHERE seen_at < $1 ORDER BY seen_at LIMIT `+inSweep+`)`, before)
		return int(n), err
	})
	return n, err
}
