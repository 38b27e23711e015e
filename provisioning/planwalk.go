package provisioning

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// walkPage is how many people with an assignment are compared with the ledger at a time, and after how many people or
// groups the progress is reported.
const walkPage = 500

// visited is a person of a walk, with the hits that count for them in each index, sorted by client account.
type visited struct {
	person directory.Entry
	hits   [][]mapping.Hit
}

// walkPeople visits everybody in the directory: each tells everybody as they come, page those to whom one of the
// indexes gives something, with their rows of the ledger. What page gets is good until it returns. It streams: one page
// of people is in memory.
func (s *Service) walkPeople(
	ctx context.Context, indexes []*mapping.Index, progress func(people, groups int), each func(directory.Entry),
	page func([]visited, map[userID]store.SSOUser) error,
) (directory.Walked, error) {
	people, groups, waiting := 0, 0, make([]visited, 0, walkPage)
	rows := map[userID]store.SSOUser{}
	compare := func() error {
		if len(waiting) == 0 {
			return nil
		}
		if err := s.rowsOf(ctx, waiting, rows); err != nil {
			return err
		}
		here, err := s.unmoved(ctx, waiting, rows)
		if err != nil {
			return err
		}
		err = page(here, rows)
		clear(waiting) // or the entries of the last page would live on
		waiting = waiting[:0]
		return err
	}
	wanted := func(g directory.Group) bool {
		if groups++; progress != nil && people == 0 && groups%walkPage == 0 { // groups are read before people
			progress(people, groups)
		}
		return slices.ContainsFunc(indexes, func(x *mapping.Index) bool { return x.Wants(g) })
	}
	walked, err := s.people.Walk(ctx, directory.WalkOptions{Wanted: wanted}, func(p directory.Entry) error {
		if people++; progress != nil && people%walkPage == 0 {
			progress(people, groups)
		}
		if each != nil {
			each(p)
		}
		if p.Problem != "" {
			return nil // see fate: nothing is given to them, whether for good or for now
		}
		v, any := visited{person: p, hits: make([][]mapping.Hit, len(indexes))}, false
		for i, x := range indexes {
			v.hits[i] = s.winners(x, p)
			slices.SortFunc(v.hits[i], func(a, b mapping.Hit) int {
				return strings.Compare(string(a.Account),
					string(b.Account))
			})
			any = any || len(v.hits[i]) > 0
		}
		if !any {
			return nil
		}
		if waiting = append(waiting, v); len(waiting) < walkPage {
			return nil
		}
		return compare()
	})
	if err != nil {
		return walked, fmt.Errorf("walk the directory: %w", err)
	}
	if err := compare(); err != nil {
		return walked, fmt.Errorf("walk the directory: %w", err)
	}
	if progress != nil {
		progress(people, walked.Groups)
	}
	return walked, nil
}

// unmoved are those of a page who were not moved to a source: the directory gives the others nothing any more. Whose
// move a restored backup has lost keeps the users that they have, so that nobody is asked to delete these, and gets no
// other ones.
func (s *Service) unmoved(ctx context.Context, people []visited, rows map[userID]store.SSOUser) ([]visited, error) {
	ids := make([]store.PersonID, len(people))
	for i, v := range people {
		ids[i] = store.PersonID(v.person.ID)
	}
	moved, err := s.ledger.MovedTo(ctx, ids...)
	if err != nil {
		return nil, fmt.Errorf("look who was moved to a source: %w", err)
	}
	here := make([]visited, 0, len(people))
	for _, v := range people {
		id := store.PersonID(v.person.ID)
		switch to := moved[id]; {
		case to.Lost():
			v.hits = slices.Clone(v.hits)
			for i, hits := range v.hits {
				v.hits[i] = slices.DeleteFunc(slices.Clone(hits), func(h mapping.Hit) bool {
					_, there := rows[userID{id, h.Account}]
					return !there
				})
			}
		case to != "":
			continue
		}
		here = append(here, v)
	}
	return here, nil
}

// rowsOf reads what the ledger has of these people into rows.
func (s *Service) rowsOf(ctx context.Context, people []visited, rows map[userID]store.SSOUser) error {
	clear(rows)
	ids := make([]store.PersonID, len(people))
	for i, v := range people {
		ids[i] = store.PersonID(v.person.ID)
	}
	found, err := s.ledger.People(ctx, ids)
	if err != nil {
		return fmt.Errorf("read the SSO users of %d people: %w", len(ids), err)
	}
	for _, row := range found {
		rows[userID{row.Person, row.Account}] = row
	}
	return nil
}

// fate is what has become of a person, as a walk saw it.
type fate uint8

const (
	gone     fate = iota // not seen
	here                 // can sign in
	away                 // can't at present, but will: a password that must be changed, a passing lock, logon hours
	disabled             // for good, as far as the directory tells
	expired
	absent    // of a source, and has not come for as long as makes a leaver
	otherData // of an assignment: given, and Constant Contact was given other data of the person
)

// fateAt is fateOf for a person of any source at a time: somebody of a source that says after how long its people are
// leavers is absent behind that.
func (s *Service) fateAt(p directory.Entry, now time.Time) fate {
	if p.Source == "" {
		return fateOf(p)
	}
	if after := s.leaverAfterOf(p.Source); after > 0 && !p.ReadAt.IsZero() && p.ReadAt.Before(now.Add(-after)) {
		return absent
	}
	return here
}

// fateOf reads the account's state. Somebody who is away is given nothing, since a look before the call would find no
// groups of theirs, and loses nothing, since they will be back.
func fateOf(p directory.Entry) fate {
	switch p.Problem {
	case "":
		return here
	case directory.Disabled:
		return disabled
	case directory.Expired:
		return expired
	}
	return away
}

// seen is whom and what a walk has seen: people, and the client accounts that they are given. It is all that grows with
// the directory, so keys are hashed to 16 bytes: ids may have hundreds. Two keys with one hash would keep a leaver off
// the list. Among ten million keys chance does that once in 10^24 plans, and nobody profits by doing it: access ends by
// the mappings, not by the list.
type seen map[[16]byte]fate

// key of a person, or of a (person, client account). No id has a NUL in it: neither database could store it.
func (seen) key(p store.PersonID, a store.AccountID) [16]byte {
	sum := sha256.Sum256([]byte(string(p) + "\x00" + string(a)))
	return [16]byte(sum[:16])
}

// person notes somebody's fate. Of two entries with one id (a walk leaves such out) the better one counts.
func (k seen) person(p store.PersonID, now fate) {
	key := k.key(p, "")
	if k[key] == gone || now < k[key] {
		k[key] = now
	}
}

// fate is what a person's was noted as.
func (k seen) fate(p store.PersonID) fate { return k[k.key(p, "")] }

// given notes an assignment and tells whether it is new.
func (k seen) given(p store.PersonID, a store.AccountID) bool {
	key := k.key(p, a)
	_, before := k[key]
	k[key] = here
	return !before
}

// leftSource says why somebody of a source counts as a leaver; "" if they don't. after is how long they may stay away.
func (k seen) leftSource(row store.SSOUser, source string, after time.Duration) string {
	switch k.fate(row.Person) {
	case absent, gone: // who has not come for longer than keep is not known any more
		return fmt.Sprintf("has not come from source %s for %s (leaver_after)", source, days(after))
	}
	return ""
}

// days writes a time in days, where it is some.
func days(d time.Duration) string {
	if d%(24*time.Hour) != 0 {
		return d.String()
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}

const notSeen = "is not in the directory any more, or not where people are searched"

// left says why a row's person has no access any more; "" if they have, or will have again.
func (k seen) left(row store.SSOUser) string {
	if _, given := k[k.key(row.Person, row.Account)]; given {
		return ""
	}
	switch k[k.key(row.Person, "")] {
	case gone:
		return notSeen
	case here:
		return "no mapping gives this person the client account any more"
	case disabled:
		return "is disabled in the directory"
	case expired:
		return "the account in the directory has expired"
	}
	return ""
}

// eachRow pages through the ledger.
func (s *Service) eachRow(ctx context.Context, states []store.State, visit func(store.SSOUser) error) error {
	f := store.UserFilter{States: states, Limit: 1000}
	for {
		rows, err := s.ledger.List(ctx, f)
		if err != nil {
			return fmt.Errorf("read the ledger: %w", err)
		}
		for _, row := range rows {
			if err := visit(row); err != nil {
				return err
			}
		}
		if len(rows) < f.Limit {
			return nil
		}
		last := rows[len(rows)-1]
		f.After = store.UserKey{Person: last.Person, Account: last.Account}
	}
}

// shut tells whether a client account is closed at Constant Contact, and by which status.
func (s *Service) shut(x *mapping.Index, id store.AccountID) (status string, is bool) {
	status = x.Account(id).BillingStatus
	return status, s.closed[strings.ToLower(status)]
}

// ClosedStatus tells whether nobody signs in to a client account of this billing status.
func (s *Service) ClosedStatus(status string) bool { return s.closed[strings.ToLower(status)] }
