package storetest

import (
	"slices"
	"testing"

	"ssobridge/store"
)

// testSettleMappings: a mapping that got another group or another base is another one to the journal, so a copy gives
// the old group, and groups below the old base, nothing any more. ID-16.
func testSettleMappings(t *testing.T, fresh func(testing.TB) store.Options) {
	ctx := t.Context()
	const pattern = "ctct-{account}-{role}"
	was := []store.Mapping{
		{Kind: store.GroupMapping, GroupID: "old", GroupDN: "cn=g", Account: "a1", Role: store.CampaignCreator, Priority: 10},
		{Kind: store.GroupPattern, Pattern: pattern, Priority: 20}, // from before bases
		{Kind: store.GroupPattern, Pattern: pattern, GroupDN: "ou=wide", Priority: 30},
		{Kind: store.GroupPattern, Pattern: pattern, GroupDN: "ou=kept", Priority: 40},
	}
	keep := func(t *testing.T) (*store.DB, []store.Mapping) {
		db := open(t, fresh(t))
		for _, m := range was {
			_, err := db.Mappings().Add(ctx, m, nil, event("m"))
			must(t, err)
		}
		all, err := db.Mappings().List(ctx)
		must(t, err)
		return db, all
	}
	db, all := keep(t)
	edit := func(m store.Mapping, change func(*store.Mapping)) {
		t.Helper()
		changed := m
		change(&changed)
		must(t, db.Mappings().Set(ctx, m, changed, event("s")))
	}
	edit(all[0], func(m *store.Mapping) { m.GroupID = "new" }) // as accepting a group does: the DN stays
	edit(all[1], func(m *store.Mapping) { m.GroupDN = "ou=narrow" })
	// One that is off goes for good, although a rule with another base is on.
	must(t, db.Mappings().Switch(ctx, all[2], event("s")))
	off := all[2]
	off.Off = true
	must(t, db.Mappings().Remove(ctx, off, event("r")))
	words, err := db.Revocations().After(ctx, 0, 100)
	must(t, err)

	restored, _ := keep(t)
	done, err := restored.Revocations().Settle(ctx, store.Settlement{Words: words, Restored: true, Event: event("settle")})
	must(t, err)
	left, err := restored.Mappings().List(ctx)
	must(t, err)
	if done.Mappings != 3 || len(left) != 1 || left[0].GroupDN != "ou=kept" {
		t.Errorf("settled %+v, left %+v; want the one alone that was not changed", done, left)
	}
	if gone, err := restored.Mappings().ListOff(ctx); err != nil || len(gone) > 0 {
		t.Errorf("left switched off: %+v, %v", gone, err)
	}
	if !slices.ContainsFunc(words, func(r store.Revocation) bool {
		return r.Kind == store.MappingObject &&
			r.Word == store.Revoked
	}) {
		t.Errorf("the journal has %q", said(words))
	}
}
