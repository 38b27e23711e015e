package provisioning_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"ssobridge/idp/directory"
	"ssobridge/idp/directory/directorytest"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// loginLines are the items of a plan as "kind login account role".
func (w *planWorld) loginLines(plan int64) []string {
	w.tb.Helper()
	var all []string
	for _, i := range w.items(plan) {
		all = append(all, fmt.Sprintf("%s %s %s %s", i.Kind, i.Login, i.Account, i.Role))
	}
	slices.Sort(all)
	return all
}

// On a real directory: groups in groups, a circle of groups, patterns, and accounts that can't be used.
func TestPlanOnSlapd(t *testing.T) {
	for _, mode := range []string{"member_of", "search"} {
		t.Run(mode, func(t *testing.T) { planOnSlapd(t, mode) })
	}
}

func planOnSlapd(t *testing.T, mode string) {
	server := directorytest.StartSlapd(t)
	options := server.Options()
	options.GroupMode, options.Nested = mode, true
	if mode == "search" {
		options.GroupFilter = "(member={dn})"
	}
	d, err := directory.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	const second store.AccountID = "a07e1lxqqqo1"
	w := newPlanWorld(t, nil, func(o *provisioning.Options) { o.Directory = d })
	w.accounts(store.Account{ID: second, Name: "Second", BillingStatus: "Open"})
	mapped := func(name string, account store.AccountID, role string) {
		g, err := d.Group(t.Context(), server.GroupDN(name))
		if err != nil {
			t.Fatal(err)
		}
		w.add(mapping.Spec{Group: g, Account: string(account), Role: role})
	}
	id := func(login string) string {
		p, err := d.Find(t.Context(), login)
		if err != nil {
			t.Fatal(err)
		}
		return p.ID
	}
	mapped("staff", juniper, "account_manager")
	mapped("ring-c", cycling, "campaign_creator")
	mapped("<i>Marketing</i> & Söhne", second, "account_manager")
	w.add(mapping.Spec{Pattern: "ctct-{account}-{role}"})
	w.row(id("alice"), harbour, store.Active, toldRole(store.CampaignCreator))
	w.row(id("zoe"), second, store.Refused)
	w.row(id("dave"), second, store.Active)
	w.row(id("carol"), second, store.Assumed)
	w.row(id("frank"), second, store.Active)
	w.row("gone", harbour, store.Active)

	plan := w.plan()
	// as Constant Contact knows a leaver
	loginOf := func(login string, account store.AccountID) string { return id(login) + "-" + string(account) }
	h, j, c, s := string(harbour), string(juniper), string(cycling), string(second)
	same(t, "items", w.loginLines(plan.ID),
		"create alice "+s+" campaign_creator", "create heidi "+j+" account_manager", "create bob "+j+" account_manager",
		"create bob "+c+" campaign_creator",
		"create erin "+s+" account_manager", // OpenLDAP tells only at a bind that a password has expired
		"create eve "+h+" account_manager", "create eve "+s+" account_manager", "create mallory "+s+" account_manager",
		"drift alice "+h+" account_manager", "blocked zoe "+s+" campaign_creator",
		"leaver "+loginOf("dave", second)+" "+s+" ", "leaver "+loginOf("carol", second)+" "+s+" ", "leaver gone-"+h+" "+h+" ")
	for _, i := range w.items(plan.ID) {
		if i.Login == "heidi" && (!strings.Contains(i.Why, "cn=staff,") || !strings.Contains(i.Why, "through cn=emea,") ||
			!strings.Contains(i.Why, "then cn=sales,")) {
			t.Errorf("why of heidi: got %q, want the path through emea and sales", i.Why)
		}
	}

	// The directory is down: no plan, and the list of work stays.
	before := w.work()
	server.Stop(t)
	if p, _, err := w.MakePlan(t.Context(), provisioning.PlanOptions{Kind: "admin"}); err == nil {
		t.Errorf("with the directory down: got %+v, want an error", p)
	}
	same(t, "manual work", w.work(), before...)

	// A base DN that names an empty branch: nobody is told to delete everybody.
	for i := range 20 {
		w.row(fmt.Sprint("user", i), harbour, store.Active)
	}
	server.Start(t)
	options.BaseDN, options.GroupBaseDN = "ou=groups,"+server.BaseDN, server.BaseDN
	wrong, err := directory.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { wrong.Close() })
	w.options.Directory = wrong
	w.Service = w.replica()
	if p := w.plan(); p.State != store.PlanStopped || p.Reason != provisioning.StopLeavers || p.People != 0 {
		t.Errorf("with a wrong base DN: got %+v, want it stopped", p)
	}
	same(t, "manual work", w.work(), before...)
}

// Active Directory tells of a password that has expired or must be changed: such people are neither created nor
// leavers.
func TestPlanOnActiveDirectory(t *testing.T) {
	server := directorytest.StartSamba(t)
	d, err := directory.New(server.Options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	w := newPlanWorld(t, nil, func(o *provisioning.Options) { o.Directory = d })
	for name, account := range map[string]store.AccountID{"<i>Marketing</i> & Söhne": harbour, "staff": juniper} {
		g, err := d.Group(t.Context(), server.GroupDN(name))
		if err != nil {
			t.Fatal(err)
		}
		w.add(mapping.Spec{Group: g, Account: string(account), Role: "account_manager"})
	}
	people := map[store.PersonID]string{}
	if _, err := d.Walk(t.Context(), directory.WalkOptions{}, func(p directory.Entry) error {
		people[store.PersonID(p.ID)] = p.Login
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for id, login := range people {
		// disabled, password expired, must change, account expired
		if slices.Contains([]string{"dave", "erin", "frank", "grace"}, login) {
			w.row(string(id), harbour, store.Active)
		}
	}
	var got []string
	for _, i := range w.items(w.plan().ID) {
		got = append(got, fmt.Sprintf("%s %s %s", i.Kind, people[i.Person], i.Account))
	}
	slices.Sort(got)
	h, j := string(harbour), string(juniper)
	same(t, "items", got, "create eve "+h, "create mallory "+h, "create heidi "+j, "create bob "+j, "leaver dave "+h,
		"leaver grace "+h)
}
