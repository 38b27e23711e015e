package mapping_test

import (
	"strings"
	"testing"

	"ssobridge/idp/directory"
	"ssobridge/provisioning/mapping"
	"ssobridge/store"
)

// claimRule is a mapping as Draft makes it.
func claimRule(t *testing.T, id int64, spec mapping.Spec) store.Mapping {
	t.Helper()
	m, faults := mapping.Draft(spec)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	m.ID = id
	return m
}

// TestClaimGroups (ID-73): a mapping over a source's groups gives its people what the source may give, and nobody else
// anything: no group of the directory has its id or name, and no other source's group is it.
func TestClaimGroups(t *testing.T) {
	all := []store.Mapping{
		claimRule(t, 1, mapping.Spec{GroupDN: "claim:portal:editors", Account: "a07e1", Role: "campaign_creator",
			Priority: 10}),
		claimRule(t, 2, mapping.Spec{Pattern: "ctct-{account}-{role}", GroupBase: "claim:portal", Priority: 20}),
		claimRule(t, 3, mapping.Spec{GroupDN: "claim:portal:bosses", Account: "a07e1", Role: "account_manager", Priority: 5}),
		claimRule(t, 4, mapping.Spec{Group: directory.Group{ID: "g-1", DN: "cn=editors,dc=x"}, Account: "a07e9",
			Role: "campaign_creator", Priority: 30}),
		claimRule(t, 5, mapping.Spec{Pattern: "x-{account}-{role}", GroupBase: "dc=x", Priority: 40}),
	}
	for _, m := range all[:3] {
		if m.AtSignIn || mapping.OfSource(m) != "portal" || mapping.Risk(m) == "" || mapping.Baseless(m) ||
			!strings.Contains(mapping.Describe(m), "of source portal") {
			t.Errorf("mapping %d: %+v, %q", m.ID, m, mapping.Describe(m))
		}
		if in := mapping.InputOf(m, ""); in.Create != mapping.CreateInAdvance {
			t.Errorf("mapping %d in a file: %+v, want in-advance written out: without it is at the first sign-in", m.ID, in)
		}
		again, faults := mapping.Draft(mapping.SpecOf(m))
		if again.ID = m.ID; len(faults) > 0 || again != m {
			t.Errorf("mapping %d read again: %+v, %v", m.ID, again, faults)
		}
	}
	bounds := func(source, account, role string, _ func(string) string) bool {
		return source == "portal" && strings.HasPrefix(account, "a07") && role == "campaign_creator"
	}
	x := mapping.NewIndex(all, nil, &store.AccountForms{}, nil).Bounded(bounds)
	person := func(source string, names ...string) directory.Entry {
		e := directory.Entry{ID: "source-" + source + ".x", Source: source}
		for _, n := range names {
			e.Groups = append(e.Groups, directory.Group{Name: n})
		}
		return e
	}
	given := func(x *mapping.Index, e directory.Entry) string {
		var got []string
		for _, h := range x.Winners(x.Hits(e), func(_, _ mapping.Hit) {}) {
			got = append(got, string(h.Account)+" "+string(h.Role))
		}
		return strings.Join(got, ", ")
	}
	for name, c := range map[string]struct {
		e    directory.Entry
		want string
	}{
		"of the source":              {person("portal", "editors"), "a07e1 campaign_creator"},
		"by pattern":                 {person("portal", "ctct-a07f2-campaign_creator"), "a07f2 campaign_creator"},
		"role outside":               {person("portal", "bosses"), ""},
		"pattern, role outside":      {person("portal", "ctct-a07f2-account_manager"), ""},
		"pattern, account outside":   {person("portal", "ctct-b07f2-campaign_creator"), ""},
		"another source":             {person("other", "editors", "ctct-a07f2-campaign_creator"), ""},
		"another letter case":        {person("portal", "Editors"), ""},
		"the canonical form as name": {person("portal", "claim:portal:editors"), ""},
		"the directory's name":       {person("portal", "cn=editors,dc=x", "g-1", "x-a07f2-campaign_creator"), ""},
		"a name that has a colon":    {person("other", "portal:editors", ":editors"), ""},
		"a group of the directory": {directory.Entry{ID: "p", Groups: []directory.Group{{ID: "claim:portal:editors",
			DN: "claim:portal:editors", Name: "editors"}, {ID: "2", DN: "claim:portal", Name: "ctct-a07f2-campaign_creator"},
			{Name: "claim:portal:editors"}}}, ""},
	} {
		if got := given(x, c.e); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
		hits := 0
		for _, h := range x.Explain(c.e) {
			if h.Hit {
				hits++
			}
			if h.Why == "" {
				t.Errorf("%s: mapping %d is not explained", name, h.Mapping.ID)
			}
		}
		if (hits > 0) != (c.want != "") {
			t.Errorf("%s: the explanation has %d hits", name, hits)
		}
	}
	if got := given(mapping.NewIndex(all, nil, &store.AccountForms{}, nil), person("portal", "editors")); got != "" {
		t.Errorf("without bounds: %q", got)
	}
	if got := given(x.With(all), person("portal", "editors")); got == "" {
		t.Error("a changed set has no bounds")
	}
	for _, h := range x.ExplainOff(all, person("portal", "editors")) {
		if h.Hit || !strings.HasPrefix(h.Why, "it is switched off") {
			t.Errorf("switched off: %+v", h)
		}
	}
	if x.Wants(directory.Group{ID: "claim:portal:editors", Name: "editors"}) {
		t.Error("the walk looks for a group of a source")
	}
	for _, bad := range []string{"claim:", "claim:portal", "claim:portal:", "claim::x", "claim:Portal:x",
		"claim:portal: x",
		"claim:portal:x\n", "claim:" + strings.Repeat("a", 21) + ":x", "claim:portal:" + strings.Repeat("a", 256)} {
		if m, faults := mapping.Draft(mapping.Spec{GroupDN: bad, Account: "a07e1", Role: "campaign_creator",
			Priority: 1}); len(faults) == 0 {
			t.Errorf("%q is taken: %+v", bad, m)
		}
	}
	for _, bad := range []string{"claim:", "claim:Portal", "claim:portal:x"} {
		if m, faults := mapping.Draft(mapping.Spec{Pattern: "a-{account}", GroupBase: bad, Role: "campaign_creator",
			Priority: 1}); len(faults) == 0 {
			t.Errorf("base %q is taken: %+v", bad, m)
		}
	}
}
