package provisioning_test

import (
	"fmt"
	"testing"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/partnerapi/sandbox"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// BenchmarkDecide is the decision of the gate for a person who has an SSO user, with 3,000 client accounts and 6,000
// mappings (the figure to stay under: 1 ms).
func BenchmarkDecide(b *testing.B) {
	cases := []struct {
		name         string
		groups       int  // of the person
		byDN         bool // groups without ids
		patternsMany int  // mappings that are patterns
	}{
		{"20 groups by id", 20, false, 1},
		{"200 groups by id", 200, false, 1},
		{"20 groups by DN", 20, true, 1},
		{"20 groups, 6000 patterns", 20, false, 6000},
	}
	for _, c := range cases {
		b.Run(c.name, func(b *testing.B) {
			w := newWorld(b, settings{sandbox: sandbox.Options{Accounts: []sandbox.Account{}}})
			fillMappings(b, w, c.byDN, c.patternsMany)
			var groups []directory.Group
			for i := range c.groups {
				g := group(fmt.Sprintf("other-%d", i))
				if c.byDN {
					g.ID = ""
				}
				groups = append(groups, g)
			}
			mine := group("ctct-acct0000-account_manager")
			if c.byDN {
				mine.ID = ""
			}
			p := person("jane", append(groups, mine)...)
			stop := w.run()
			if d := w.decide(p, wanting("acct0000"),
				func(q *provisioning.Question) { q.Patience = time.Millisecond }); d.Outcome == provisioning.Denied {
				b.Fatalf("denied: %s %s", d.Reason, d.Detail)
			}
			stop()
			b.ResetTimer()
			for b.Loop() {
				if _, err := w.Decide(b.Context(), provisioning.Question{Person: p, Account: "acct0000",
					MayCreate: true}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func fillMappings(b *testing.B, w *world, byDN bool, patterns int) {
	b.Helper()
	var accounts []store.Account
	for i := range 3000 {
		accounts = append(accounts, store.Account{ID: store.AccountID(fmt.Sprintf("acct%04d", i)),
			Name: fmt.Sprintf("Account %d", i), SeenAt: w.now()})
	}
	if err := w.db.Accounts().ReplaceAll(b.Context(), accounts, store.Event{Action: "accounts-refresh"}); err != nil {
		b.Fatal(err)
	}
	for i := range 6000 {
		account := accounts[i%3000].ID
		role := []store.Role{store.AccountManager, store.CampaignCreator}[i/3000]
		m := store.Mapping{Kind: store.GroupMapping, Account: account, Role: role, Priority: i + 1}
		if i < patterns {
			m.Kind, m.Account, m.Pattern = store.GroupPattern, "", fmt.Sprintf("ctct%d-{account}-*", i)
			if i == 0 {
				m.Pattern = "ctct-{account}-*"
			}
		} else {
			g := group(fmt.Sprintf("ctct-%s-%s", account, role))
			m.GroupDN = g.DN
			if !byDN {
				m.GroupID = g.ID
			}
		}
		if _, err := w.db.Mappings().Add(b.Context(), m, nil, store.Event{Action: "mapping-add"}); err != nil {
			b.Fatal(err)
		}
	}
}
