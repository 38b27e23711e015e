package provisioning

import (
	"context"
	"fmt"
	"slices"

	"ssobridge/store"
)

// compareKnown compares known users with the ledger and against each other: a login and a person_id can name the same
// person. lines are those of the users before.
func (s *Service) compareKnown(ctx context.Context, batch []AdoptionItem, lines map[userID]int) error {
	var ids []store.PersonID
	for _, t := range batch {
		if t.Fault == "" {
			ids = append(ids, t.User.Person)
		}
	}
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) == 0 {
		return nil
	}
	found, err := s.ledger.People(ctx, ids)
	if err != nil {
		return fmt.Errorf("read the SSO users of %d people: %w", len(ids), err)
	}
	rows := make(map[userID]store.SSOUser, len(found))
	for _, row := range found {
		rows[userID{row.Person, row.Account}] = row
	}
	for i := range batch {
		t := &batch[i]
		if t.Fault != "" {
			continue
		}
		key := userID{t.User.Person, t.User.Account}
		if line, again := lines[key]; again {
			t.Fault = fmt.Sprintf("line %d tells of the same person in the same client account", line)
			continue
		}
		lines[key] = t.Known.Line
		if row, there := rows[key]; there {
			t.against(row)
		}
	}
	return nil
}

// against says what Ledger.Adopt would make of a row that is there.
func (t *AdoptionItem) against(row store.SSOUser) {
	switch row.State {
	case store.Wanted, store.Unknown, store.Conflict, store.Refused:
		t.note("the ledger has the person as %s, which becomes the told user", row.State)
		return
	case store.Sending:
		t.Fault = "is being created at this moment; try again"
		return
	}
	switch {
	case row.ExternalID != t.User.ExternalID:
		t.Fault = fmt.Sprintf("has an SSO user in this client account already, with external_id %s (%s)",
			row.ExternalID, row.State)
	case row.State == store.Suspended:
		t.note("is in the ledger, suspended, and stays so")
	case row.State == store.Assumed && t.User.State == store.Active:
		t.note("is in the ledger as assumed, becomes active")
	default:
		t.note("is in the ledger already")
	}
}
