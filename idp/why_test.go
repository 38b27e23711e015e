package idp_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ssobridge/idp"
	"ssobridge/idp/claims"
	"ssobridge/idp/directory"
	"ssobridge/internal/plainenglish"
	"ssobridge/provisioning"
	"ssobridge/store"
)

// actless are the reasons about which an administrator does nothing here: the fix is somewhere else, or there is
// nothing to fix.
var actless = []string{
	idp.ReasonMethod, idp.ReasonReplayed, idp.ReasonPassive, idp.ReasonUnknownSignIn, idp.ReasonOtherBrowser,
	idp.ReasonCancelled, "bad_link", "bad_form", "stale_form", "no_cookies", "cross_origin", "framed", "prefetched",
	"not_found", idp.ReasonClientGone, idp.ReasonAnswered, "password_changed", "revoked", idp.ReasonNoFactors,
	idp.FactorExpired, "console_session", "console_twice", idp.ReasonUnknownLogout, idp.ReasonUnknownSession,
	// what has to be done is done in the partner's application
	claims.ReasonForm, claims.ReasonHeader, claims.ReasonType, claims.ReasonSourceOff, claims.ReasonAlgorithm,
	claims.ReasonAudience, claims.ReasonClaims, claims.ReasonLifetime, claims.ReasonUsed, claims.ReasonPerson,
	idp.ReasonNoSources, idp.ReasonLaunchLate, idp.ReasonRequest, idp.ReasonRequestSource, idp.ReasonRequestBrowser,
	idp.ReasonRequestUsed, idp.ReasonRequestLate, idp.ReasonSignedOut,
	// or at the OpenID provider
	claims.ReasonProviderSays, claims.ReasonNoLogin, claims.ReasonNonce, claims.ReasonTokenHash, claims.ReasonTenant,
	claims.ReasonOverage,
}

// Each reason that a reference can carry has a cause, a fix, and an act where there is something to do here
// (row REAL-98).
func TestEachReasonHasCauseAndFix(t *testing.T) {
	all, _ := idp.Codes()
	none := idp.TextOf("none of ours")
	for _, reason := range all {
		if reason == "" {
			continue
		}
		text := idp.TextOf(reason)
		if text == none || text.Cause == "" || text.Fix == "" {
			t.Errorf("%s has no cause and fix in reasontexts.go", reason)
		}
		for _, sentence := range []string{text.Cause, text.Fix} {
			ends := strings.HasSuffix(sentence, ".") || strings.HasSuffix(sentence, "…")
			if !ends || sentence[0] >= 'a' && sentence[0] <= 'z' {
				t.Errorf("%s: %q is no sentence", reason, sentence)
			}
			if found := plainenglish.Fault(sentence); found != "" {
				t.Errorf("%s says %q: %s", reason, found, sentence)
			}
		}
		switch without := slices.Contains(actless, reason); {
		case without && text.Act != idp.NoAct:
			t.Errorf("%s has the act %s, and is listed as one without", reason, text.Act)
		case !without && !slices.Contains(idp.Acts(), text.Act):
			t.Errorf("%s has the act %q: want one, or a place in actless", reason, text.Act)
		}
	}
	// What the gate, the directory and the worker say are reasons too.
	for _, word := range []string{
		string(provisioning.NoAssignment), string(provisioning.UserSuspended), string(directory.Ambiguous),
		string(directory.Unavailable),
		provisioning.CauseQueued, provisioning.CauseSending, provisioning.CauseThrottled, provisioning.CauseQuota,
		provisioning.CauseUnreachable, provisioning.CauseCredentials, provisioning.CauseUnknown, idp.CauseKeySwitch,
	} {
		if !slices.Contains(all, word) {
			t.Errorf("%s has no number in codes", word)
		}
	}
}

// The headline of a sign-in is its cause, whatever became of the sign-in after that.
func TestHeadline(t *testing.T) {
	at := time.Date(2026, 11, 29, 9, 0, 0, 0, time.UTC)
	one := func(ref, outcome, reason, cause string) store.Trace {
		at = at.Add(time.Second)
		trace := store.Trace{Ref: ref, At: at, Outcome: outcome, Reason: reason}
		if cause != "" {
			trace.Steps = []store.TraceStep{{Name: idp.StepRequest}, {Name: idp.StepPartner, Reason: reason, Cause: cause,
				Fix: "Do it.", Act: "run-check", About: "x"}}
		}
		return trace
	}
	cancelled := one("C", "refused", "quota", "")
	cancelled.Steps = []store.TraceStep{{Name: idp.StepAssertion, Reason: idp.ReasonWaiting, Cause: "They went back."}}
	for name, c := range map[string]struct {
		all           []store.Trace
		ref           string
		reason, cause string
	}{
		"nothing":        {nil, "A", "", ""},
		"still open":     {[]store.Trace{one("A", "pending", "", "")}, "A", "", ""},
		"signed in":      {[]store.Trace{one("A", "refused", "quota", "q"), one("B", "ok", "", "")}, "B", "", ""},
		"refused before": {[]store.Trace{one("A", "refused", "quota", "q"), one("B", "ok", "", "")}, "A", "quota", "q"},
		"of a version without causes": {[]store.Trace{one("A", "refused", "locked", "")}, "A", "locked",
			"The directory has locked the account."},
		"the newest": {[]store.Trace{one("A", "refused", "bad_credentials", "p"), one("B", "pending", "", ""),
			one("C", "refused", "no_assignment", "n")}, "B", "no_assignment", "n"},
		"its own": {[]store.Trace{one("A", "refused", "bad_credentials", "p"), one("C", "refused", "no_assignment", "n")},
			"A", "bad_credentials", "p"},
		"went back": {[]store.Trace{one("A", "refused", "bad_credentials", "p"), one("B", "refused", "cancelled", "c")}, "B",
			"bad_credentials", "p"},
		"went back while waiting": {[]store.Trace{one("A", "pending", "quota", "q"), cancelled}, "C", "quota", "q"},
		"went back from the form": {[]store.Trace{one("A", "pending", "", ""), one("B", "refused", "cancelled", "c")}, "B",
			"cancelled", "c"},
	} {
		got, ok := idp.Headline(c.all, c.ref)
		if ok != (c.reason != "") || got.Reason != c.reason || got.Cause != c.cause {
			t.Errorf("%s: got %v %+v, want %s: %s", name, ok, got, c.reason, c.cause)
		}
	}
}

// A request that failed has a reason of its own for what it needs, for its time and for its browser.
func TestFailures(t *testing.T) {
	gone, leave := context.WithCancel(t.Context())
	leave()
	late, end := context.WithTimeout(t.Context(), 0)
	defer end()
	down := fmt.Errorf("read session: %w", store.ErrUnavailable)
	for _, c := range []struct {
		ctx  context.Context
		err  error
		want string
	}{
		{t.Context(), down, idp.ReasonStoreDown}, {late, down, idp.ReasonStoreDown}, {gone, down, idp.ReasonClientGone},
		{late, late.Err(), idp.ReasonTooSlow}, {t.Context(), errors.New("odd"), idp.ReasonInternal},
	} {
		if got := idp.FailureOf(c.ctx, c.err); got != c.want {
			t.Errorf("%v in a context of %v: got %s, want %s", c.err, c.ctx.Err(), got, c.want)
		}
	}
}
