package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/store"
)

// findPerson finds who is meant: a person id that the ledger knows, else a login name of the directory. The ledger
// comes first, so that people who left the directory can be named. The id that comes back is the one on record, however
// it was typed. Of several of one name those are named that a caller of this scope may see.
func findPerson(ctx context.Context, db *store.DB, d PersonReader, s Scope, who string) (store.PersonID, error) {
	id := store.PersonID(directory.CanonicalID(who))
	rows, err := db.Ledger().Person(ctx, id)
	if err != nil {
		return "", fmt.Errorf("look for person %.200q: %w", who, err)
	}
	if len(rows) > 0 {
		return ownID(ctx, db, d, s, id, who)
	}
	e, err := d.Find(ctx, who)
	if several, ok := errors.AsType[*idp.SeveralError](err); ok {
		return oneOf(ctx, db, s, who, idsOf(several.People), err)
	}
	if errors.Is(err, directory.ErrNotFound) {
		if read, rerr := d.Read(ctx, string(id)); rerr == nil && read.Known() {
			return store.PersonID(read.ID), nil // somebody without a user yet, by the id that the console and the audit show
		}
		return former(ctx, db, s, who, err)
	}
	if err != nil {
		return "", fmt.Errorf("find the person %.200q: %w", who, err)
	}
	return store.PersonID(e.ID), nil
}

// ownID is the id of somebody who is known by it. An id that is written like a login of a source is theirs alone if
// nobody else has that login.
func ownID(ctx context.Context, db *store.DB, d PersonReader, s Scope, id store.PersonID,
	who string) (store.PersonID, error) {
	if !idp.SourceLogin(who) {
		return id, nil
	}
	e, err := d.Find(ctx, who)
	several, ok := errors.AsType[*idp.SeveralError](err)
	switch {
	case ok:
		return oneOf(ctx, db, s, who, append(idsOf(several.People), id), err)
	case errors.Is(err, directory.ErrNotFound):
		return id, nil
	case err != nil:
		return "", fmt.Errorf("find the person %.200q: %w", who, err)
	case store.PersonID(e.ID) != id:
		return oneOf(ctx, db, s, who, []store.PersonID{id, store.PersonID(e.ID)}, nil)
	}
	return id, nil
}

func idsOf(people []directory.Entry) (ids []store.PersonID) {
	for _, one := range people {
		ids = append(ids, store.PersonID(one.ID))
	}
	return ids
}

// oneOf refuses a name that several people have, unless the caller may see one of them alone: they have a user in a
// client account of the scope.
func oneOf(ctx context.Context, db *store.DB, s Scope, who string, people []store.PersonID,
	cause error) (store.PersonID, error) {
	slices.Sort(people)
	people = slices.Compact(people)
	if !s.everything {
		cause = nil // it names them all
		var seen []store.PersonID
		for _, id := range people {
			rows, err := db.Ledger().Person(ctx, id)
			if err != nil {
				return "", fmt.Errorf("look for person %.200q: %w", who, err)
			}
			if slices.ContainsFunc(rows, func(row store.SSOUser) bool { return s.Includes(row.Account) }) {
				seen = append(seen, id)
			}
		}
		people = seen
	}
	switch len(people) {
	case 0:
		return "", nobody(who, cause)
	case 1:
		return people[0], nil
	}
	return "", &Error{Field: "who", Fault: fmt.Sprintf("several people have, or had, the login %.200q: %s", who,
		joined(people)), Hint: "write the person id of the one who is meant", Err: cause}
}

// nobody says that a name is nobody's.
func nobody(who string, cause error) error {
	return &Error{
		Kind: Missing, Field: "who", Fault: fmt.Sprintf("there is no person %.200q, and there was none", who),
		Hint: "write a login name of the directory or of a source (SOURCE:LOGIN), the login of somebody who has left, or " +
			"a person id", Err: cause,
	}
}

// former finds somebody who is not in the directory any more, by the login that they had. err is what the directory
// answered.
func former(ctx context.Context, db *store.DB, s Scope, login string, err error) (store.PersonID, error) {
	people, lookErr := db.People().ByLogin(ctx, login)
	switch {
	case lookErr != nil:
		return "", fmt.Errorf("find the person %.200q: %w", login, lookErr)
	case len(people) == 1:
		return people[0], nil
	case len(people) > 1:
		return oneOf(ctx, db, s, login, people, err)
	}
	return "", nobody(login, err)
}
