// Package storetest proves that a database is a good home for the store: the
// same suite runs on SQLite and on PostgreSQL. It also gives the tests of other
// packages a real store in one line. It is for tests only.
package storetest

import (
	"crypto/sha256"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"ssobridge/store"
)

// Open opens a fresh SQLite store that ends with the test.
func Open(tb testing.TB) *store.DB {
	tb.Helper()
	return open(tb, Migrated(tb))
}

// SQLite returns options for a SQLite file that is not there yet, and goes with the test.
func SQLite(tb testing.TB) store.Options {
	tb.Helper()
	return store.Options{DSN: "sqlite:" + filepath.Join(tb.TempDir(), "store.db"), Voucher: Voucher("key of the tests")}
}

// Suite says on which databases the suite runs. It opens some of them more than once, as replicas do.
type Suite struct {
	Fresh    func(testing.TB) store.Options // a new database of the newest schema at each call
	Empty    func(testing.TB) store.Options // one without a schema
	Parallel bool                           // parts run side by side
}

// Run runs the suite.
func Run(t *testing.T, o Suite) {
	t.Run("Open", func(t *testing.T) { testOpen(t, o.Empty) })
	for _, part := range []struct {
		name string
		run  func(*testing.T, func(testing.TB) store.Options)
	}{
		{"Changes", testChanges},
		{"SignIns", testSignIns},
		{"Caps", testCaps},
		{"Finish", testFinish},
		{"Started", testStarted},
		{"VouchedSignIns", testVouchedSignIns},
		{"SignInsOfTheVersionBefore", testSignInsOfTheVersionBefore},
		{"Sessions", testSessions},
		{"Sources", testSources},
		{"SourcePeople", testSourcePeople},
		{"SourcePeopleRace", testSourcePeopleRace},
		{"SourceLogouts", testSourceLogouts},
		{"MoveToSource", testMoveToSource},
		{"MoveRaces", testMoveRaces},
		{"MoveLost", testMoveLost},
		{"MoveKnown", testMoveKnown},
		{"MoveLostAdopted", testMoveLostAdopted},
		{"MoveLostResumed", testMoveLostResumed},
		{"SourceKeys", testSourceKeys},
		{"Logouts", testLogouts},
		{"Throttle", testThrottle},
		{"Providers", testProviders},
		{"ProviderChanges", testProviderChanges},
		{"SecretKeys", testSecretKeys},
		{"Revouch", testRevouch},
		{"Replicas", testReplicas},
		{"Keys", testKeys},
		{"KeyChoices", testKeyChoices},
		{"KeyChangesDoNotCross", testKeyChangesDoNotCross},
		{"Mappings", testMappings},
		{"MappingSets", testMappingSets},
		{"MappingHistory", testMappingHistory},
		{"Accounts", testAccounts},
		{"AccountReadings", testAccountReadings},
		{"AccountRequests", testAccountRequests},
		{"SelfOrders", testSelfOrders},
		{"SelfOrderApproval", testSelfOrderApproval},
		{"SelfOrderEnds", testSelfOrderEnds},
		{"Hints", testHints},
		{"Ledger", testLedger},
		{"LedgerWorkers", testLedgerWorkers},
		{"LedgerModel", testLedgerModel},
		{"Queue", testQueue},
		{"Doubt", testDoubt},
		{"CreateAgain", testCreateAgain},
		{"Claims", testClaims},
		{"ExternalIDs", testExternalIDs},
		{"Users", testUsers},
		{"FirstSignIn", testFirstSignIn},
		{"Use", testUse},
		{"Forget", testForget},
		{"Adopt", testAdopt},
		{"Confirm", testConfirm},
		{"Hold", testHold},
		{"Breaker", testBreaker},
		{"Notices", testNotices},
		{"Subscriptions", testSubscriptions},
		{"ClaimNotices", testClaimNotices},
		{"MendedReceiver", testMendedReceiver},
		{"Resend", testResend},
		{"Health", testHealth},
		{"Uncovered", testUncovered},
		{"Leases", testLeases},
		{"Budget", testBudget},
		{"Departures", testDepartures},
		{"Plans", testPlans},
		{"PlanItems", testPlanItems},
		{"PlanWorkers", testPlanWorkers},
		{"PlanMaking", testPlanMaking},
		{"Work", testWork},
		{"Audit", testAudit},
		{"AuditChain", testAuditChain},
		{"AuditChainLate", testAuditChainLate},
		{"AuditTampering", testAuditTampering},
		{"AuditContention", testAuditContention},
		{"AuditPurge", testAuditPurge},
		{"AuditOutcomes", testAuditOutcomes},
		{"AuditCut", testAuditCut},
		{"AuditResign", testAuditResign},
		{"AuditAcknowledge", testAuditAcknowledge},
		{"AuditSeals", testAuditSeals},
		{"AuditOwn", testAuditOwn},
		{"AuditChainShort", testAuditChainShort},
		{"AuditForeign", testAuditForeign},
		{"AuditOrigin", testAuditOrigin},
		{"Captures", testCaptures},
		{"APITokens", testAPITokens},
		{"AccessTokens", testAccessTokens},
		{"APIAnswers", testAPIAnswers},
		{"OrderedByKey", testOrderedByKey},
		{"Follow", testFollow},
		{"NamedGroups", testNamedGroups},
		{"Forms", testForms},
		{"Undo", testUndo},
		{"People", testPeople},
		{"NameIDs", testNameIDs},
		{"AccountForms", testAccountForms},
		{"SecondFactors", testSecondFactors},
		{"Acts", testActs},
		{"Clock", testClock},
		{"Revocations", testRevocations},
		{"Settle", testSettle},
		{"Baseless", testBaseless},
		{"Guesses", testGuesses},
		{"Figures", testFigures},
		{"RequestCounts", testRequestCounts},
		{"Traces", testTraces},
		{"Begun", testBegun},
		{"Reseal", testReseal},
		{"Void", testVoid},
		{"Lockouts", testLockouts},
		{"Standing", testStanding},
		{"Isolation", testIsolation},
	} {
		t.Run(part.name, func(t *testing.T) {
			if o.Parallel {
				t.Parallel()
			}
			part.run(t, o.Fresh)
		})
	}
}

func open(tb testing.TB, o store.Options) *store.DB {
	tb.Helper()
	db, err := store.Open(tb.Context(), o)
	if err != nil {
		tb.Fatalf("open store: %v", err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Errorf("close store: %v", err)
		}
	})
	return db
}

// must ends the test at an error.
func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// all runs f n times at once and returns the errors.
func all(n int, f func(i int) error) []error {
	errs := make([]error, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { errs[i] = f(i) })
	}
	group.Wait()
	return errs
}

// hash is any 32 bytes that name stands for.
func hash(name string) []byte {
	h := sha256.Sum256([]byte(name))
	return h[:]
}

// event is one with this reference; events tells how many there are.
func event(ref string) store.Event {
	return store.Event{Ref: ref, Actor: "tester", Action: "test", Outcome: "ok"}
}

func events(tb testing.TB, db *store.DB, ref string) int {
	tb.Helper()
	found, err := db.Audit().List(tb.Context(), store.Filter{Ref: ref, Limit: 1000})
	must(tb, err)
	return len(found)
}

// session stores a session of this name and returns it.
func session(tb testing.TB, db *store.DB, name string) store.Session {
	tb.Helper()
	n := store.Session{
		TokenHash: hash(name), Person: "person-" + store.PersonID(name), Login: name,
		AuthenticatedAt: time.Now(), Methods: []string{"password"},
		ReadAt: time.Now(), EndsAt: time.Now().Add(time.Hour),
	}
	must(tb, db.Sessions().Create(tb.Context(), n, nil))
	return n
}

// signIn is a pending sign-in that expires in an hour.
func signIn(id string) store.SignIn {
	return store.SignIn{ID: id, Address: "192.0.2.1", EntityID: "https://sp.example", ExpiresAt: time.Now().Add(time.Hour)}
}
