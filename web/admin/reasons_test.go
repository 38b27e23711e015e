package admin_test

import (
	"slices"
	"testing"

	"ssobridge/idp"
	"ssobridge/web/admin"
)

// What a refusal asks for is an act that each face knows.
func TestActsOfRefusals(t *testing.T) {
	for _, act := range idp.Acts() {
		if !slices.Contains(admin.Acts(), admin.Act(act)) {
			t.Errorf("%q is none of the acts", act)
		}
	}
	for reason, want := range map[string]admin.Act{
		idp.ReasonUnknownProvider: admin.AddProvider, idp.ReasonDirectoryDown: admin.RunCheck,
		idp.ReasonKeySwitch: admin.ListKeys, "no_assignment": admin.ExplainPerson, "held_conflict": admin.ShowUser,
		idp.FactorInvite: admin.InviteToFactor, idp.ReasonCancelled: admin.NoAct,
	} {
		if act := admin.ReasonAct(reason); act != want {
			t.Errorf("%s is fixed by %q, want %q", reason, act, want)
		}
	}
}
