package provisioning_test

import (
	"context"
	"strings"
	"testing"

	"ssobridge/idp/directory"
	"ssobridge/provisioning"
	"ssobridge/provisioning/mapping"
)

// REAL-50: where groups in groups are not followed, a refusal and the explanation of a mapping say that following them
// would have given the access; nothing is given by it.
func TestREAL50NestingWouldHaveHit(t *testing.T) {
	inner := group("emea")
	outer := group("sales")
	outer.Via = []string{inner.DN}
	var failure error
	w := newPlanWorld(t, nil, func(o *provisioning.Options) {
		o.Beyond = func(_ context.Context, p directory.Entry) ([]directory.Group, error) {
			if len(p.Groups) == 0 {
				return nil, failure
			}
			return []directory.Group{outer}, failure
		}
	})
	w.add(specOf("sales", harbour, "account_manager", 10))
	w.add(specOf("riders", cycling, "campaign_creator", 20))
	w.add(mapping.Spec{Pattern: "ctct-{account}", GroupBase: "ou=groups,dc=example,dc=test", Role: "account_manager",
		Priority: 30})
	ask := func(q provisioning.Question) provisioning.Decision {
		t.Helper()
		d, err := w.Preview(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	nested := person("heidi", inner)
	d := ask(provisioning.Question{Person: nested})
	expect(t, d, provisioning.Denied, provisioning.NoAssignment)
	for _, want := range []string{"mapping ", outer.DN, "through " + inner.DN, "directory.nested"} {
		if !strings.Contains(d.Nested, want) {
			t.Errorf("got %q, want %q in it", d.Nested, want)
		}
	}
	if d := ask(provisioning.Question{Person: nested, Account: harbour}); d.Nested == "" {
		t.Error("asked about the account that nesting would give: nothing is said")
	}
	both := person("ben", inner, group("riders"))
	if d := ask(provisioning.Question{Person: both, Account: harbour}); d.Reason != provisioning.NotThisAccount ||
		d.Nested == "" {
		t.Errorf("somebody with another account: %+v", d)
	}
	for name, d := range map[string]provisioning.Decision{
		"another account":       ask(provisioning.Question{Person: nested, Account: juniper}),
		"nobody":                ask(provisioning.Question{Person: person("nobody")}),
		"somebody with access":  ask(provisioning.Question{Person: both, Account: cycling}),
		"a member of the group": ask(provisioning.Question{Person: person("amy", inner, group("sales"))}),
	} {
		if d.Nested != "" {
			t.Errorf("%s: got %q", name, d.Nested)
		}
	}
	hits, given, err := w.ExplainAccess(t.Context(), nested)
	if err != nil || len(given) != 0 {
		t.Fatalf("explained %+v, %v; nothing is given", given, err)
	}
	said := 0
	for _, h := range hits {
		if h.Hit {
			t.Errorf("mapping %d hits", h.Mapping.ID)
		}
		if strings.HasPrefix(h.Why, "would hit: is in "+outer.DN+" through "+inner.DN) {
			said++
		}
	}
	if said != 1 || len(hits) != 3 {
		t.Errorf("explained %+v, want one of three mappings that would hit", hits)
	}
	failure = errDown // it only adds to a refusal
	if d := ask(provisioning.Question{Person: nested}); d.Reason != provisioning.NoAssignment || d.Nested != "" {
		t.Errorf("with the directory down: %+v", d)
	}
}
