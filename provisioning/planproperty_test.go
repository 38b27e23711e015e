package provisioning_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// Whatever people, mappings and ledger are, a plan says of each person in each client account what the gate says when
// it is asked for that person alone: who would be created there is created by the plan, who would be refused though
// mapped is blocked, who would be let in is there. And who has a user without an assignment is a leaver.
func TestPlanAgreesWithTheGate(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newPlanWorld(t, nil)
		defer w.db.Close()
		accounts := []store.AccountID{harbour, juniper, cycling}
		drawMappings(r, w, accounts)
		people := drawPeople(r, accounts)
		w.people.set(people...)
		drawLedger(r, w, people, accounts)
		if rapid.Bool().Draw(r, "juniper is closed") {
			w.accounts(store.Account{ID: juniper, Name: "Juniper", BillingStatus: "Canceled"})
		}
		got := w.lines(w.plan().ID)
		want := expectedLines(r, w, people)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			r.Fatalf("plan:\ngot  %q\nwant %q", got, want)
		}
	})
}

var groupNames = []string{"sales", "riders", "ctct-a07e1lxqqqo0-account_manager", "ctct-a07e1lxqqqp1-campaign-creator",
	"ctct-nosuch-account_manager"}

func drawMappings(r *rapid.T, w *planWorld, accounts []store.AccountID) {
	roles := []string{"account_manager", "campaign_creator"}
	for range rapid.IntRange(0, 5).Draw(r, "mappings") {
		spec := mapping.Spec{Account: string(rapid.SampledFrom(accounts).Draw(r, "account")),
			Role: rapid.SampledFrom(roles).Draw(r, "role")}
		switch rapid.SampledFrom([]string{"group", "DN", "pattern", "attribute", "person", "owner"}).Draw(r, "kind") {
		case "group":
			spec.Group = group(rapid.SampledFrom(groupNames[:2]).Draw(r, "group"))
		case "DN":
			spec.GroupDN = group(rapid.SampledFrom(groupNames[:2]).Draw(r, "group")).DN
		case "pattern":
			spec.Pattern, spec.Account, spec.Role = "ctct-{account}-{role}", "", ""
		case "attribute":
			spec.Pattern, spec.Attribute, spec.Account = "{account}", "departmentNumber", ""
		case "person":
			spec.Person = store.PersonID(fmt.Sprint("p", rapid.IntRange(0, 5).Draw(r, "person")))
		case "owner":
			spec.Person, spec.Role = store.PersonID(fmt.Sprint("p", rapid.IntRange(0, 5).Draw(r, "person"))), "owner"
			spec.ExternalID = "owner-" + spec.Account + string(spec.Person)
		}
		_, _ = w.AddMapping(w.tb.Context(), spec) // one that is there already is refused
	}
}

func drawPeople(r *rapid.T, accounts []store.AccountID) (people []directory.Entry) {
	problems := []directory.Problem{"", "", "", "", directory.Disabled, directory.Expired, directory.MustChange}
	for i := range rapid.IntRange(0, 6).Draw(r, "people") {
		p := person(fmt.Sprint("p", i))
		for _, name := range groupNames {
			if rapid.Bool().Draw(r, name) {
				p.Groups = append(p.Groups, group(name))
			}
		}
		if rapid.Bool().Draw(r, "attribute") {
			p.Attributes = map[string][]string{"departmentnumber": {string(rapid.SampledFrom(accounts).Draw(r, "number"))}}
		}
		if p.Problem = rapid.SampledFrom(problems).Draw(r, "problem"); p.Problem != "" {
			p.Groups = nil
		}
		if rapid.IntRange(0, 5).Draw(r, "nameless") == 0 {
			p.LastName = ""
		}
		people = append(people, p)
	}
	return people
}

func drawLedger(r *rapid.T, w *planWorld, people []directory.Entry, accounts []store.AccountID) {
	states := []store.State{"", "", store.Active, store.Assumed, store.Unknown, store.Conflict, store.Refused,
		store.Suspended, store.Sending}
	roles := []store.Role{store.AccountManager, store.CampaignCreator, store.Owner}
	for i := range len(people) + 2 { // two are gone
		for _, account := range accounts {
			state, role := rapid.SampledFrom(states).Draw(r, "state"), rapid.SampledFrom(roles).Draw(r, "told role")
			who := fmt.Sprint("p", i)
			if _, err := w.db.Ledger().Get(w.tb.Context(), store.PersonID(who), account); state == "" || err == nil {
				continue // an owner was told by a mapping
			}
			w.row(who, account, state, toldRole(role))
		}
	}
}

// expectedLines asks the gate for each person, and the ledger for those whom it gives nothing.
func expectedLines(r *rapid.T, w *planWorld, people []directory.Entry) (lines []string) {
	given, away := map[store.UserKey]bool{}, map[store.PersonID]bool{}
	for _, p := range people {
		if p.Problem != "" {
			away[store.PersonID(p.ID)] = p.Problem == directory.MustChange
			continue
		}
		all, err := w.Assignments(w.tb.Context(), p)
		if err != nil {
			r.Fatal(err)
		}
		for _, a := range all {
			given[store.UserKey{Person: store.PersonID(p.ID), Account: a.Account}] = true
			d, err := w.Preview(w.tb.Context(), provisioning.Question{Person: p, Account: a.Account, MayCreate: true})
			if err != nil {
				r.Fatal(err)
			}
			if kind := expectedKind(r, w, p, d, a); kind != "" {
				lines = append(lines, fmt.Sprintf("%s %s %s %s", kind, p.ID, a.Account, a.Role))
			}
		}
	}
	rows, err := w.db.Ledger().List(w.tb.Context(), store.UserFilter{States: []store.State{store.Active, store.Assumed,
		store.Unknown, store.Suspended}, Limit: 1000})
	if err != nil {
		r.Fatal(err)
	}
	for _, row := range rows {
		if !given[store.UserKey{Person: row.Person, Account: row.Account}] && !away[row.Person] {
			lines = append(lines, fmt.Sprintf("leaver %s %s ", row.Person, row.Account))
		}
	}
	return lines
}

func expectedKind(r *rapid.T, w *planWorld, p directory.Entry, d provisioning.Decision,
	a provisioning.Assignment) string {
	switch d.Outcome {
	case provisioning.Wait:
		if d.Progress.State == "" {
			return store.ItemCreate
		}
		return "" // on its way
	case provisioning.Granted:
		if d.User.Role != a.Role && d.User.Role != store.Owner {
			return store.ItemDrift
		}
		return ""
	case provisioning.Denied:
		_, err := w.db.Ledger().Get(w.tb.Context(), store.PersonID(p.ID), a.Account)
		if d.Reason == provisioning.UserSuspended || d.Reason == provisioning.AccountClosed && err == nil {
			return "" // by an admin, or nothing could be changed there
		}
		return store.ItemBlocked
	}
	r.Fatalf("the gate answers %+v", d)
	return ""
}
