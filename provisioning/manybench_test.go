package provisioning_test

import (
	"fmt"
	"testing"

	"ssobridge/idp/directory"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// BenchmarkThousandsOfAccounts is what the gate, the console and explain work out for a person whom a pattern gives
// 3,000 client accounts. The figure to stay under, with reading the person and writing the page, is 50 ms.
func BenchmarkThousandsOfAccounts(b *testing.B) {
	const many = 3000
	w := newPlanWorld(b, nil)
	var accounts []store.Account
	var groups []directory.Group
	for i := range many {
		id := store.AccountID(fmt.Sprintf("a07emany%04d", i))
		accounts = append(accounts, store.Account{ID: id, Name: fmt.Sprintf("Client %04d", i), BillingStatus: "Open"})
		groups = append(groups, group("ctct-"+string(id)))
	}
	w.accounts(accounts...)
	w.add(mapping.Spec{Pattern: "ctct-{account}", GroupBase: "dc=example,dc=test", Role: string(store.AccountManager)})
	p := person("jane", groups...)
	for name, do := range map[string]func() (int, error){
		"assignments": func() (int, error) { all, err := w.Assignments(b.Context(), p); return len(all), err },
		"explain":     func() (int, error) { all, err := w.Explain(b.Context(), p); return len(all), err },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if n, err := do(); err != nil || n != many {
					b.Fatalf("got %d, %v, want %d", n, err, many)
				}
			}
		})
	}
}
