package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"time"

	"ssobridge/idp/directory/directorytest"
	"ssobridge/partnerapi/sandbox"
)

// The store that the console's pages are measured over.
const (
	consoleEvents = 1_000_000
	consoleUsers  = 100_000
	consoleViews  = 60 // of each page
)

// measureConsole asks for the pages of the console over a large directory and a full store, one after the other, as an
// admin does. What counts is the slowest page, from the request to its last byte.
func (b *bench) measureConsole(ctx context.Context) error {
	slapd, err := b.bigSlapd()
	if err != nil {
		return err
	}
	group := slapd.GroupDN(directorytest.LoadGroup(0))
	br, err := b.newBridgeAt(ctx, place{slapd: slapd, sandbox: sandbox.Options{PerSecond: sandbox.Unlimited,
		PerDay: sandbox.Unlimited}}, "console", "p-256", set{
		"console.admin_group": group, "console.viewer_group": group, "second_factor.console": "off",
	})
	if err != nil {
		return err
	}
	if err := br.mapGroups(ctx, slapd); err != nil {
		return err
	}
	b.progress("  storing %d SSO users and %d audit events", consoleUsers, consoleEvents)
	if err := fillLedger(ctx, br.database(), consoleUsers); err != nil {
		return err
	}
	if err := fillAudit(ctx, br.database()); err != nil {
		return err
	}
	if _, err := br.start(ctx); err != nil {
		return err
	}
	defer func() { _ = br.stop() }()
	v := &visitor{br: br}
	if v.c, err = dial(ctx, br.address); err != nil {
		return err
	}
	defer v.c.close()
	if err := v.enterConsole(directorytest.LoadLogin(0)); err != nil {
		return err
	}
	person, err := v.personPage(directorytest.LoadLogin(0))
	if err != nil {
		return err
	}
	worst, largest := time.Duration(0), 0
	filler := url.PathEscape(fillerPerson(consoleUsers / 2))
	for _, page := range []string{
		"/admin/", "/admin/mappings", "/admin/mappings/groups?find=team0", "/admin/people?find=user001", "/admin/people/of/" +
			filler, person, person + "?tab=groups", person + "?tab=history", person + "?tab=more", "/admin/trace",
		"/admin/accounts", "/admin/accounts/of/filler", "/admin/provisioning", "/admin/provisioning/users?state=active",
		"/admin/provisioning/work",
		"/admin/providers", "/admin/keys", "/admin/audit", "/admin/audit?action=refusal&outcome=refused",
		"/admin/audit?person=" + filler, "/admin/audit?ref=R0000500000",
		"/admin/audit?since=2020-01-01&until=2020-01-02",
		// Filters that nothing fits: the dearest ones.
		"/admin/audit?outcome=failed", "/admin/audit?action=sign-in&outcome=failed",
		"/admin/audit?sp=https%3A%2F%2Fnobody.example", "/admin/audit?account=a0nobody", "/admin/settings",
	} {
		var took times
		for i := range consoleViews + consoleViews/10 {
			began := time.Now()
			a, err := v.send("GET", page, "")
			if err != nil {
				return err
			}
			if a.status != 200 {
				return fmt.Errorf("GET %s: got status %d", page, a.status)
			}
			if i >= consoleViews/10 { // the first few warm up
				took = append(took, time.Since(began))
			}
			largest = max(largest, len(a.body))
		}
		slices.Sort(took)
		b.progress("  %s: p50 %s, p95 %s", page, ms(took.at(0.5)), ms(took.at(0.95)))
		worst = max(worst, took.at(0.95))
	}
	b.report.figure(consolePage, float64(worst))
	b.report.figure(consoleSize, float64(largest))
	return nil
}

// enterConsole signs the visitor in to the console.
func (v *visitor) enterConsole(login string) error {
	a, err := v.send("GET", "/admin/", "")
	if err != nil {
		return err
	}
	page, err := v.logIn(a, login)
	if err != nil {
		return err
	}
	if a, err = v.send("GET", page, ""); err != nil {
		return err
	}
	if to := string(field(a.head, "Location: ")); a.status != 303 || to != "/admin/" {
		return fmt.Errorf("enter the console: got status %d, location %q", a.status, to)
	}
	return nil
}

// personHref is the link to a person's page.
var personHref = regexp.MustCompile(`href="(/admin/people/of/[^"]+)"`)

// personPage is the page of somebody in the directory.
func (v *visitor) personPage(login string) (string, error) {
	a, err := v.send("GET", "/admin/people?find="+url.QueryEscape(login), "")
	if err != nil {
		return "", err
	}
	m := personHref.FindSubmatch(a.body)
	if m == nil {
		return "", fmt.Errorf("find the page of %s: status %d, nobody was found", login, a.status)
	}
	return string(m[1]), nil
}

// fillerPerson is the id of one of fillLedger's people.
func fillerPerson(i int) string {
	return fmt.Sprintf("%08x-0000-4000-8000-%012x", uint32(i*2654435761), i)
}

// fillAudit adds audit events to the store of a bridge that is stopped: sign-ins of the ledger's people over a month,
// every tenth a refusal.
func fillAudit(ctx context.Context, path string) error {
	began := time.Now().Add(-30 * 24 * time.Hour).UnixMicro()
	err := bulkSQLite(ctx, path, []string{"audit_events"}, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `
			WITH RECURSIVE n (i, p) AS (SELECT 1, 1 UNION ALL SELECT i + 1, 1 + (i + 1) % $1 FROM n WHERE i < $2)
			INSERT INTO audit_events (at, ref, actor, action, subject, account, sp, address, outcome, reason, detail)
			SELECT $3 + i * 2592000, printf('R%010d', i), printf('%08x-0000-4000-8000-%012x', (p * 2654435761) & 4294967295, p),
			    CASE WHEN i % 10 = 0 THEN 'refusal' ELSE 'sign-in' END, printf('%08x-0000-4000-8000-%012x', (p * 2654435761) & 4294967295, p),
			    'filler', 'https://sp.example/', '192.0.2.1', CASE WHEN i % 10 = 0 THEN 'refused' ELSE 'ok' END,
			    CASE WHEN i % 10 = 0 THEN 'no_assignment' ELSE '' END, ''
			  FROM n`, consoleUsers, consoleEvents, began); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO accounts (id, name, billing_status, seen_at) VALUES ('filler', "+
			"'Filler', 'Open', 1) ON CONFLICT DO NOTHING")
		return err
	})
	if err != nil {
		return fmt.Errorf("fill the audit: %w", err)
	}
	return nil
}
