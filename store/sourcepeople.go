package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// SourcePerson is what is known of somebody whom no directory has: what the last token of their source said.
type SourcePerson struct {
	Person PersonID
	Source string
	Login  string // with the source's name before it
	// FirstName, LastName and Mail are what the person is found by, beside the login. They are stored in lower case.
	FirstName, LastName, Mail string
	Claims                    []byte    // what the token said, in idp's own encoding; nil: none came yet
	SeenAt                    time.Time // when the last token came, to an hour
}

// SourcePeople keeps who has come from sources.
type SourcePeople struct{ db *DB }

// SourcePeople returns those of this database.
func (db *DB) SourcePeople() *SourcePeople { return &SourcePeople{db} }

const (
	// sourceGrain is how old seen_at may be before a token that says the same moves it. The first one after the tokens of
	// its source were revoked always does: what those said counts no more.
	sourceGrain = time.Hour
	// searchedPeople bounds how many people a search looks at in each column, before the other words count.
	searchedPeople = 200
	// inSearch is the same in a statement, as a text (see inSweep).
	inSearch = "200"
)

const sourcePersonColumns = `person_id, source, login, claims, seen_at, find_first, find_last, find_mail`

func scanSourcePerson(row scanner) (p SourcePerson, err error) {
	var claims string
	var seen int64
	err = row.Scan(&p.Person, &p.Source, &p.Login, &claims, &seen, &p.FirstName, &p.LastName, &p.Mail)
	if claims != "" {
		p.Claims = []byte(claims)
	}
	p.SeenAt = fromMicros(seen)
	return p, err
}

// bareLogin is a login without the name of the source before it.
func (p SourcePerson) bareLogin() string { return strings.TrimPrefix(p.Login, p.Source+":") }

// came is the step of a session that keeps what its token said of the person. Mostly it changes nothing.
func (p SourcePerson) came(now time.Time) step {
	return step{
		text: `
			INSERT INTO source_people (person_id, source, login, claims, seen_at, find_login, find_first, find_last, find_mail)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			ON CONFLICT (person_id) DO UPDATE SET login = excluded.login, claims = excluded.claims, seen_at = excluded.seen_at,
			       find_login = excluded.find_login, find_first = excluded.find_first, find_last = excluded.find_last,
			       find_mail = excluded.find_mail
			 WHERE source_people.login <> excluded.login OR source_people.claims <> excluded.claims
			    OR source_people.seen_at < $10
			    OR source_people.seen_at <= (SELECT revoked_at FROM sources WHERE name = excluded.source)`,
		args: []any{
			// JSON has no NUL and is valid UTF-8, and cut off it would be nothing.
			string(p.Person), p.Source, sanitize(p.Login), string(p.Claims), micros(now),
			findForm(p.bareLogin()), findForm(p.FirstName), findForm(p.LastName), findForm(p.Mail),
			micros(now.Add(-sourceGrain)),
		},
	}
}

// expected is the step that makes somebody known who is moved to the source and may not have come yet: they are found
// by their login there, and what a token has said stays.
func (p SourcePerson) expected(now time.Time) step {
	return step{
		text: `
			INSERT INTO source_people (person_id, source, login, claims, seen_at, find_login, find_first, find_last, find_mail)
			VALUES ($1, $2, $3, '', $4, $5, '', '', '')
			ON CONFLICT (person_id) DO UPDATE SET seen_at = excluded.seen_at`,
		args: []any{string(p.Person), p.Source, sanitize(p.Login), micros(now), findForm(p.bareLogin())},
	}
}

// findForm is the form of a text by which people are found.
func findForm(text string) string { return strings.ToLower(sanitize(text)) }

// Get returns one person. ErrNotFound: nobody of this id has come, or not for a long time.
func (s *SourcePeople) Get(ctx context.Context, p PersonID) (SourcePerson, error) {
	one, err := scanSourcePerson(s.db.engine.reader().QueryRowContext(ctx, `
		SELECT `+sourcePersonColumns+` FROM source_people WHERE person_id = $1`, string(p)))
	return one, s.db.explain("look up a person of a source", err)
}

// ByLogin returns the people of a source who have a login, at most ten: a source need not keep its logins apart.
// login has the source's name before it. Letter case does not count.
func (s *SourcePeople) ByLogin(ctx context.Context, source, login string) ([]SourcePerson, error) {
	all, err := collect(ctx, s.db.engine.reader(), scanSourcePerson, `
		SELECT `+sourcePersonColumns+`
		  FROM source_people WHERE find_login = $1 AND source = $2 ORDER BY person_id LIMIT 10`,
		findForm(SourcePerson{Source: source, Login: login}.bareLogin()), source)
	return all, s.db.explain("look up a person of a source by login", err)
}

// After returns people in the order of their ids, for a walk in pages: those behind this one, at most limit.
func (s *SourcePeople) After(ctx context.Context, after PersonID, limit int) ([]SourcePerson, error) {
	all, err := collect(ctx, s.db.engine.lister(), scanSourcePerson, `
		SELECT `+sourcePersonColumns+`
		  FROM source_people WHERE person_id > $1 ORDER BY person_id LIMIT $2`, string(after), limit)
	return all, s.db.explain("list people of sources", err)
}

// Search finds people of whom each word begins the login, a name or the mail address, at most limit, by login. more
// tells that there may be others. A login may be written with the source's name before it.
func (s *SourcePeople) Search(ctx context.Context, words []string,
	limit int) (all []SourcePerson, more bool, err error) {
	const what = "search people of sources"
	if len(words) == 0 || limit < 1 {
		return nil, false, s.db.explain(what, errors.New("no words, or no limit"))
	}
	// The longest word leaves the fewest people; of them, the others are looked for.
	longest := slices.MaxFunc(words, func(a, b string) int { return len(a) - len(b) })
	from := findForm(longest)
	// A login is stored without the source's name, which stands before it.
	login := from
	if source, rest, named := strings.Cut(from, ":"); named && source != "" && rest != "" {
		login = rest
	}
	to := func(prefix string) string { return prefix + "\U0010FFFF" }
	looked, err := collect(ctx, s.db.engine.lister(), scanSourcePerson, `
		SELECT `+sourcePersonColumns+`
		  FROM source_people WHERE person_id IN (
		    SELECT person_id FROM (SELECT person_id FROM source_people
		     WHERE find_login >= $1 AND find_login < $2 ORDER BY find_login LIMIT `+inSearch+`) AS by_login
		    UNION ALL
		    SELECT person_id FROM (SELECT person_id FROM source_people
		     WHERE find_first >= $3 AND find_first < $4 ORDER BY find_first LIMIT `+inSearch+`) AS by_first
		    UNION ALL
		    SELECT person_id FROM (SELECT person_id FROM source_people
		     WHERE find_last >= $3 AND find_last < $4 ORDER BY find_last LIMIT `+inSearch+`) AS by_last
		    UNION ALL
		    SELECT person_id FROM (SELECT person_id FROM source_people
		     WHERE find_mail >= $3 AND find_mail < $4 ORDER BY find_mail LIMIT `+inSearch+`) AS by_mail)`,
		login, to(login), from, to(from))
	if err != nil {
		return nil, false, s.db.explain(what, err)
	}
	more = len(looked) >= searchedPeople
	for _, p := range looked {
		if !slices.ContainsFunc(words, func(w string) bool { return !p.begins(findForm(w)) }) {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b SourcePerson) int {
		return strings.Compare(a.Login+"\x00"+string(a.Person), b.Login+"\x00"+string(b.Person))
	})
	if len(all) > limit {
		all, more = all[:limit], true
	}
	return all, more, nil
}

// begins tells whether a word in lower case begins the login, a name or the mail address.
func (p SourcePerson) begins(word string) bool {
	return slices.ContainsFunc([]string{findForm(p.bareLogin()), findForm(p.Login), p.FirstName, p.LastName, p.Mail},
		func(text string) bool { return strings.HasPrefix(text, word) })
}

// Purge forgets people who have not come for as long as is said of their source, and for others of all other sources,
// in small batches, with the names by which lists call them. It returns how many.
func (s *SourcePeople) Purge(ctx context.Context, keep map[string]time.Duration, others time.Duration) (int, error) {
	const what = "purge people of sources"
	total := 0
	for source := ""; ; {
		// Each source that there are people of is the first behind the one before.
		next, err := collect(ctx, s.db.engine.reader(), scanText, `
			SELECT source FROM source_people WHERE source > $1 ORDER BY source LIMIT 1`, source)
		if err != nil {
			return total, s.db.explain(what, err)
		}
		if len(next) == 0 {
			return total, nil
		}
		source = next[0]
		life, known := keep[source]
		if !known {
			life = others
		}
		n, err := s.purge(ctx, source, life)
		if total += n; err != nil {
			return total, err
		}
	}
}

func (s *SourcePeople) purge(ctx context.Context, source string, life time.Duration) (int, error) {
	before := micros(s.db.now().Add(-life))
	return s.db.inBatches(ctx, fmt.Sprintf("purge people of source %s", source), sweep,
		func(ctx context.Context, tx querier) (int, error) {
			// On PostgreSQL somebody may come meanwhile. The rows are locked in the order in which a session locks them, the
			// names first; whoever has come by then is not among the gone, and keeps the name.
			if _, err := tx.ExecContext(ctx, `
				UPDATE people SET seen_at = seen_at WHERE person_id IN
				    (SELECT person_id FROM source_people WHERE source = $1 AND seen_at < $2
				      ORDER BY seen_at, person_id LIMIT `+inSweep+`)`, source, before); err != nil {
				return 0, err
			}
			gone, err := collect(ctx, tx, scanText, `
				DELETE FROM source_people WHERE source = $1 AND seen_at < $2 AND person_id IN
				    (SELECT person_id FROM source_people WHERE source = $1 AND seen_at < $2
				      ORDER BY seen_at, person_id LIMIT `+inSweep+`)
				RETURNING person_id`, source, before)
			if err != nil || len(gone) == 0 {
				return 0, err
			}
			var c conditions
			c.text.WriteString("DELETE FROM people WHERE person_id IN (")
			c.among(len(gone), func(i int) any { return gone[i] })
			c.text.WriteString(")")
			_, err = tx.ExecContext(ctx, c.text.String(), c.args...)
			return len(gone), err
		})
}
