package provisioning

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"ssobridge/internal/plaintext"
	"ssobridge/store"
)

// exportColumns are those of an export, in their order. ImportUsers reads them all but the times of changes, class and
// plan, which mean nothing in another ledger.
var exportColumns = []string{
	"person_id", "account", "external_id", "external_provider", "login_name", "contact_email", "first_name", "last_name",
	"role", "mapping",
	"state", "before_suspension", "maybe_sent", "attempts", "next_attempt", "class", "plan", "error_key", "error",
	"created_at", "updated_at",
}

// ExportUsers writes the ledger as CSV that ReadKnownUsers reads (with further columns), or as JSON lines. format is
// csv or jsonl. It streams; what changes while it runs may stand in it as before or after.
//
// In CSV, a cell that a spreadsheet would take for a formula stands behind an apostrophe; ReadKnownUsers and
// ImportUsers take it off again.
func (s *Service) ExportUsers(ctx context.Context, w io.Writer, f store.UserFilter, format string) error {
	var write func(store.SSOUser) error
	flush := func() error { return nil }
	switch format {
	case "csv":
		rows := csv.NewWriter(w)
		write = func(u store.SSOUser) error { return rows.Write(exportRow(u)) }
		flush = func() error { rows.Flush(); return rows.Error() }
		if err := rows.Write(exportColumns); err != nil {
			return fmt.Errorf("write the export: %w", err)
		}
	case "jsonl":
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		write = func(u store.SSOUser) error { return enc.Encode(toExported(u)) }
	default:
		return &InputError{Field: "format", Fault: fmt.Sprintf("%.40q is not known", format), Fix: "give csv or jsonl"}
	}
	f.Limit = 1000
	for {
		rows, err := s.ledger.List(ctx, f)
		if err != nil {
			return fmt.Errorf("read the ledger: %w", err)
		}
		for _, u := range rows {
			if err := write(u); err != nil {
				return fmt.Errorf("write the export: %w", err)
			}
		}
		if err := flush(); err != nil {
			return fmt.Errorf("write the export: %w", err)
		}
		if len(rows) < f.Limit {
			return nil
		}
		last := rows[len(rows)-1]
		f.After = store.UserKey{Person: last.Person, Account: last.Account}
	}
}

func exportRow(u store.SSOUser) []string {
	row := []string{
		string(u.Person), string(u.Account), u.ExternalID, u.ExternalProvider, u.LoginName, u.ContactEmail,
		u.FirstName, u.LastName,
		string(u.Role), strconv.FormatInt(u.Mapping, 10), string(u.State), string(u.Before), strconv.FormatBool(u.MaybeSent),
		strconv.Itoa(u.Attempts),
		stamp(u.NextAttempt), u.Priority.String(), strconv.FormatInt(u.Plan, 10), u.ErrorKey,
		plaintext.Short(u.ErrorText, maxCell-len("…")), stamp(u.CreatedAt), stamp(u.UpdatedAt),
	}
	for i := range row {
		row[i] = GuardedCell(row[i])
	}
	return row
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// exported is a row as JSON, by the names of the columns.
type exported struct {
	Person           store.PersonID  `json:"person_id"`
	Account          store.AccountID `json:"account"`
	ExternalID       string          `json:"external_id"`
	ExternalProvider string          `json:"external_provider"`
	LoginName        string          `json:"login_name"`
	ContactEmail     string          `json:"contact_email"`
	FirstName        string          `json:"first_name"`
	LastName         string          `json:"last_name"`
	Role             store.Role      `json:"role"`
	Mapping          int64           `json:"mapping"`
	State            store.State     `json:"state"`
	Before           store.State     `json:"before_suspension"`
	MaybeSent        bool            `json:"maybe_sent"`
	Attempts         int             `json:"attempts"`
	NextAttempt      string          `json:"next_attempt"`
	Priority         string          `json:"class"`
	Plan             int64           `json:"plan"`
	ErrorKey         string          `json:"error_key"`
	Error            string          `json:"error"`
	CreatedAt        string          `json:"created_at"`
	UpdatedAt        string          `json:"updated_at"`
}

func toExported(u store.SSOUser) exported {
	return exported{
		u.Person, u.Account, u.ExternalID, u.ExternalProvider, u.LoginName, u.ContactEmail, u.FirstName, u.LastName,
		u.Role, u.Mapping,
		u.State, u.Before, u.MaybeSent, u.Attempts, stamp(u.NextAttempt), u.Priority.String(), u.Plan,
		u.ErrorKey, u.ErrorText,
		stamp(u.CreatedAt), stamp(u.UpdatedAt),
	}
}
