package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// What the gate decides over.
const (
	gateAccounts  = 3000
	gateMappings  = 2 * gateAccounts // a group for each role of each account
	gatePeople    = 100
	gateGroups    = 40 // of each person; half of them are mapped
	gateDecisions = 5000
)

// measureGate asks the gate in this process, wired as the bridge wires it, without
// the sign-in around it.
func (b *bench) measureGate(ctx context.Context) (err error) {
	br, err := b.newBridge(ctx, "gate", "p-256", nil)
	if err != nil {
		return fmt.Errorf("set up a bridge: %w", err)
	}
	parts, err := br.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, parts.Close()) }()
	b.progress("  storing %d mappings", gateMappings)
	if err := fillMappings(ctx, parts.Store); err != nil {
		return fmt.Errorf("store accounts and mappings: %w", err)
	}
	questions, err := gateQuestions(ctx, parts.Store)
	if err != nil {
		return fmt.Errorf("store SSO users: %w", err)
	}
	ask := func(q provisioning.Question) (time.Duration, error) {
		began := time.Now()
		d, err := parts.Provisioning.Decide(ctx, q)
		if err == nil && d.Outcome != provisioning.Granted {
			err = fmt.Errorf("the gate answers %s (%s %s), want granted", d.Outcome, d.Reason, d.Detail)
		}
		return time.Since(began), err
	}
	first, err := ask(questions[0])
	if err != nil {
		return err
	}
	var took times
	for i := range gateDecisions {
		t, err := ask(questions[i%len(questions)])
		if err != nil {
			return err
		}
		took = append(took, t)
	}
	slices.Sort(took)
	b.report.figure(gateDecision, float64(took.at(0.99)))
	b.report.note("gate's decision: p50; the first one after a change", "%s; %s", ms(took.at(0.5)), ms(first))
	return nil
}

func gateAccount(i int) store.AccountID { return store.AccountID(fmt.Sprintf("a07e1l%06d", i)) }

// gateGroup is the group of the n-th mapping; those behind gateMappings are mapped by nothing.
func gateGroup(n int) directory.Group {
	return directory.Group{
		ID: fmt.Sprintf("10000000-0000-4000-8000-%012d", n), DN: fmt.Sprintf("cn=group%05d,ou=groups,dc=example,dc=test", n),
		Name: fmt.Sprintf("group%05d", n),
	}
}

func fillMappings(ctx context.Context, db *store.DB) error {
	accounts := make([]store.Account, gateAccounts)
	for i := range accounts {
		accounts[i] = store.Account{ID: gateAccount(i), Name: fmt.Sprintf("Client %d", i)}
	}
	event := store.Event{Actor: "bench", Action: "mapping-add", Outcome: "ok"}
	if err := db.Accounts().ReplaceAll(ctx, accounts, event); err != nil {
		return err
	}
	const writers = 32
	var (
		next   counter
		wait   sync.WaitGroup
		failed = make(chan error, writers)
	)
	for range writers {
		wait.Go(func() {
			for n := next.next(); n < gateMappings; n = next.next() {
				g, role := gateGroup(n), store.AccountManager
				if n%2 == 1 {
					role = store.CampaignCreator
				}
				_, err := db.Mappings().Add(ctx, store.Mapping{
					Kind: store.GroupMapping, GroupID: g.ID, GroupDN: g.DN, Account: gateAccount(n / 2), Role: role,
					Priority: 1000 + n,
				}, nil, event)
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	wait.Wait()
	close(failed)
	return <-failed
}

// gateQuestions are launches of people who have their SSO user. Which groups they are
// in is drawn, yet the same in each run.
func gateQuestions(ctx context.Context, db *store.DB) ([]provisioning.Question, error) {
	draw := rand.New(rand.NewPCG(1, 2))
	questions := make([]provisioning.Question, gatePeople)
	for i := range questions {
		person := directory.Entry{
			ID: fmt.Sprintf("20000000-0000-4000-8000-%012d", i), Login: fmt.Sprintf("person%d", i),
			FirstName: "Jo", LastName: "Doe", Mail: fmt.Sprintf("person%d@example.test", i), ReadAt: time.Now(),
		}
		var account store.AccountID
		for g := range gateGroups {
			n := draw.IntN(gateMappings)
			if g%2 == 1 {
				n += gateMappings
			} else {
				account = gateAccount(n / 2)
			}
			person.Groups = append(person.Groups, gateGroup(n))
		}
		if err := addUser(ctx, db, person, account); err != nil {
			return nil, err
		}
		questions[i] = provisioning.Question{Person: person, Account: account, MayCreate: true}
	}
	return questions, nil
}

// addUser puts an SSO user into the ledger on the way that the worker takes.
func addUser(ctx context.Context, db *store.DB, p directory.Entry, account store.AccountID) error {
	event := store.Event{Actor: "bench", Action: "create-user", Outcome: "ok"}
	name := p.ID + "." + string(account)
	_, _, err := db.Ledger().Enqueue(ctx, store.SSOUser{
		Person: store.PersonID(p.ID), Account: account, ExternalID: name, ExternalProvider: "bench", LoginName: name,
		ContactEmail: p.Mail, FirstName: p.FirstName, LastName: p.LastName, Role: store.AccountManager,
	}, event)
	if err != nil {
		return err
	}
	u, err := db.Ledger().Claim(ctx, time.Minute, store.PlanPriority)
	if err != nil {
		return err
	}
	u.State = store.Active
	return db.Ledger().Settle(ctx, u, event)
}
