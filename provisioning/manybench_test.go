package provisioning_test

import (
	"fmt"
	"testing"
	"unsafe"

	"ssobridge/idp/directory"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

const thousands = 3000

// thousandsOfAccounts is a person whom a pattern gives 3,000 client accounts.
func thousandsOfAccounts(tb testing.TB) (*planWorld, directory.Entry) {
	tb.Helper()
	w := newPlanWorld(tb, nil)
	var accounts []store.Account
	var groups []directory.Group
	for i := range thousands {
		id := store.AccountID(fmt.Sprintf("a07emany%04d", i))
		accounts = append(accounts, store.Account{ID: id, Name: fmt.Sprintf("Client %04d", i), BillingStatus: "Open"})
		groups = append(groups, group("ctct-"+string(id)))
	}
	w.accounts(accounts...)
	w.add(mapping.Spec{Pattern: "ctct-{account}", GroupBase: "dc=example,dc=test", Role: string(store.AccountManager)})
	return w, person("jane", groups...)
}

// COST-58: what a person's access is worked out from is a list of a megabyte for somebody with 3,000 client accounts.
// It is made a few times, and does not grow by copying: the page of such a person was slow by that alone.
func TestThousandsOfAccountsAreNotCopied(t *testing.T) {
	w, p := thousandsOfAccounts(t)
	if _, _, err := w.ExplainAccess(t.Context(), p); err != nil { // what is made ready once is no part of it
		t.Fatal(err)
	}
	made := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			if hits, given, err := w.ExplainAccess(b.Context(), p); err != nil || len(hits) != thousands ||
				len(given) != thousands {
				b.Fatalf("got %d hits, %d assignments, %v", len(hits), len(given), err)
			}
		}
	}).AllocedBytesPerOp()
	// Hits (twice, as their list doubles), those that count, assignments; a text for each, and maps of the accounts.
	lists := 6
	if raceDetector {
		lists = 8
	}
	if most := int64(lists * thousands * int(unsafe.Sizeof(mapping.Hit{}))); made > most {
		t.Errorf("%d bytes are allocated, want at most %d", made, most)
	}
}

// BenchmarkThousandsOfAccounts is what the gate, the console and explain work out for a person whom a pattern gives
// 3,000 client accounts. The figure to stay under, with reading the person and writing the page, is 50 ms.
func BenchmarkThousandsOfAccounts(b *testing.B) {
	w, p := thousandsOfAccounts(b)
	for name, do := range map[string]func() (int, error){
		"assignments": func() (int, error) { all, err := w.Assignments(b.Context(), p); return len(all), err },
		"explain":     func() (int, error) { all, err := w.Explain(b.Context(), p); return len(all), err },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if n, err := do(); err != nil || n != thousands {
					b.Fatalf("got %d, %v, want %d", n, err, thousands)
				}
			}
		})
	}
}
