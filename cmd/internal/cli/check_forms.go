package cli

import (
	"context"
	"encoding/json"
	"fmt"

	"ssobridge/cmd/internal/server"
	"ssobridge/store"
)

// alignedShown is how many of the latest changes check tells.
const alignedShown = 20

// checkForms names client accounts that are stored in another case than Constant Contact lists, and what was brought to
// the listed form.
func checkForms(ctx context.Context, p *server.App, r *findings) {
	const step = "client account ids"
	left, err := p.Store.Accounts().Misspelled(ctx)
	if err != nil {
		r.fail(step, err, "")
		return
	}
	for _, m := range left {
		if len(m.Listed) > 1 {
			r.warn(step, fmt.Sprintf("%s names %s, which differs from %v in letter case alone, so it counts for none of them",
				m.Table, m.Account, m.Listed),
				"remove it, and add it again with the id letter by letter")
			continue
		}
		r.warn(step, fmt.Sprintf("%s names %s, which is listed as %s: it counts for that account", m.Table,
			m.Account, m.Listed[0]),
			"ssobridge serve brings it to the listed form; where it stays, one of the listed account stands in its place "+
				"already: remove the other one")
	}
	events, err := p.Store.Audit().List(ctx, store.Filter{Action: "account-form", Limit: alignedShown})
	if err != nil {
		r.fail(step, err, "")
		return
	}
	for _, e := range events {
		var d struct {
			Table string `json:"table"`
			Was   string `json:"was"`
			Rows  int    `json:"rows"`
		}
		if json.Unmarshal(e.Detail, &d) == nil {
			r.ok(step, fmt.Sprintf("on %s, %d rows of %s that named %s were brought to %s", day(e.At), d.Rows, d.Table,
				d.Was, e.Account))
		}
	}
}
