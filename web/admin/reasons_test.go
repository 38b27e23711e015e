package admin_test

import (
	"slices"
	"testing"

	"ssobridge/idp"
	"ssobridge/web/admin"
)

// What can be done about a refused sign-in is an act that each face knows.
func TestReasonActs(t *testing.T) {
	for _, reason := range []string{idp.ReasonUnknownProvider, idp.ReasonDirectoryDown, idp.ReasonKeySwitch,
		"no_assignment", "held_conflict", idp.FactorInvite} {
		if act := admin.ReasonAct(reason); act == admin.NoAct || !slices.Contains(admin.Acts(), act) {
			t.Errorf("%s is fixed by %q", reason, act)
		}
	}
	if act := admin.ReasonAct("not_a_reason"); act != admin.NoAct {
		t.Errorf("no reason is fixed by %q", act)
	}
}
