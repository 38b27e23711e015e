package provisioning_test

import (
	"strings"
	"testing"

	"ssobridge/idp/directory"
	"ssobridge/idp/directory/directorytest"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// On a real directory: told by login, by id, disabled, gone, and with a login that is a filter.
func TestAdoptOnSlapd(t *testing.T) {
	server := directorytest.StartSlapd(t)
	d, err := directory.New(server.Options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	w := newPlanWorld(t, nil, func(o *provisioning.Options) { o.Directory = d })
	alice, err := d.Find(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	w.add(mapping.Spec{Person: store.PersonID(alice.ID), Account: string(juniper), Role: "campaign_creator"})
	const gone = "00000000-0000-0000-0000-000000000000"
	previewed := must(w.PreviewAdoption(t.Context(), toldFile(t, "login,person_id,account,external_id,role",
		"ALICE,,"+string(juniper)+",crm-1,",
		","+alice.ID+","+string(harbour)+",crm-2,account_manager",
		","+gone+","+string(harbour)+",crm-3,account_manager",
		"*,,"+string(harbour)+",crm-4,account_manager",
		","+gone+","+string(juniper)+",,account_manager",
	)))(t)
	for i, want := range []struct {
		person store.PersonID
		role   store.Role
		fault  string
		note   string
	}{
		{store.PersonID(alice.ID), store.CampaignCreator, "", ""},
		{store.PersonID(alice.ID), store.AccountManager, "", "no mapping gives"},
		{gone, store.AccountManager, "", "is not in the directory"},
		{"", "", "nobody in the directory", ""},
		{gone, store.AccountManager, "", "is not in the directory"}, // the template needs the id alone
	} {
		got := previewed[i]
		if got.User.Person != want.person || got.User.Role != want.role || (want.fault == "") != (got.Fault == "") ||
			!strings.Contains(got.Fault, want.fault) || !strings.Contains(got.Note, want.note) {
			t.Errorf("line %d: got %+v", got.Known.Line, got)
		}
	}
	for _, got := range must(w.AdoptUsers(t.Context(), previewed, "admin:test"))(t) {
		if (got.Fault == "") != (got.Outcome == store.Adopted) {
			t.Errorf("line %d: got %s, fault %q", got.Known.Line, got.Outcome, got.Fault)
		}
	}
}
