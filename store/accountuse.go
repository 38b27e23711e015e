package store

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"
)

// RoleUse is how many people of one role use a client account, as far as the ledger knows them. People of whom a manual
// task says that they have left are not counted.
type RoleUse struct {
	Role     Role
	Entitled int // who have a row: the mappings gave them the client account
	Created  int // of these, whose user is there at Constant Contact
	SignedIn int // of these, who signed in within UseWindow, to a day
}

// UseWindow is within which time somebody has to have signed in to be counted as such.
const UseWindow = 30 * day

// Use counts the people of a client account by role. The numbers of a client account of 10,000 people and more may be
// two minutes old.
func (s *Ledger) Use(ctx context.Context, a AccountID) ([]RoleUse, error) {
	since := s.db.now().Add(-UseWindow)
	sums, err := tallyOf(ctx, s.db, "use of "+string(a), func(from any, sums *map[Role]RoleUse) (
		n int, to any, err error) {
		if *sums == nil {
			*sums = map[Role]RoleUse{}
		}
		after, _ := from.(PersonID)
		if n, err = s.useBatch(ctx, a, since, after, *sums); err != nil || n < countBatch {
			return n, nil, err
		}
		err = s.db.engine.reader().QueryRowContext(ctx, `
			SELECT person_id FROM sso_users WHERE account = $1 AND person_id > $2
			 ORDER BY person_id LIMIT 1 OFFSET $3`, string(a), string(after), countBatch-1).Scan(&after)
		return n, after, err
	})
	if err != nil {
		return nil, s.db.explain("count the people of a client account", err)
	}
	all := slices.AppendSeq(make([]RoleUse, 0, len(sums)), maps.Values(sums))
	slices.SortFunc(all, func(a, b RoleUse) int { return cmp.Compare(a.Role, b.Role) })
	return all, nil
}

// useBatch adds up to countBatch people behind one, and returns how many rows it looked at.
func (s *Ledger) useBatch(ctx context.Context, a AccountID, since time.Time, after PersonID,
	sums map[Role]RoleUse) (looked int, err error) {
	_, err = collect(ctx, s.db.engine.reader(), func(row scanner) (u RoleUse, err error) {
		var rows int
		if err = row.Scan(&u.Role, &rows, &u.Entitled, &u.Created, &u.SignedIn); err != nil {
			return u, err
		}
		looked += rows
		if rows > 0 && u.Entitled > 0 {
			sum := sums[u.Role]
			sums[u.Role] = RoleUse{u.Role, sum.Entitled + u.Entitled, sum.Created + u.Created, sum.SignedIn + u.SignedIn}
		}
		return u, nil
	}, `
		SELECT role, COUNT(*), SUM(entitled), SUM(entitled * created), SUM(entitled * created * recent)
		  FROM (SELECT u.role AS role,
		               CASE WHEN EXISTS (SELECT 1 FROM manual_work w
		                                  WHERE w.person_id = u.person_id AND w.account = u.account AND w.kind = 'leaver'
		                                    AND w.done_at = 0) THEN 0 ELSE 1 END AS entitled,
		               CASE WHEN u.state IN ('active', 'assumed')
		                      OR u.state = 'suspended' AND u.before_state IN ('active', 'assumed')
		                    THEN 1 ELSE 0 END AS created,
		               CASE WHEN u.signed_in_at > $1 THEN 1 ELSE 0 END AS recent
		          FROM sso_users u
		         WHERE u.account = $2 AND u.person_id > $3
		         ORDER BY u.person_id LIMIT $4) AS few
		 GROUP BY role`, micros(since), string(a), string(after), countBatch)
	return looked, err
}
