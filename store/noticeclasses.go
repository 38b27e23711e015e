package store

import (
	"slices"
	"strings"
)

// NoticeClass says what a notice is about.
type NoticeClass string

// The classes. Receivers decide by them, so that within a release they are only ever added.
const (
	NoticeUserCreated       NoticeClass = "user.created"
	NoticeUserFirstSignIn   NoticeClass = "user.first_sign_in"
	NoticeUserConflict      NoticeClass = "user.conflict"
	NoticeUserRefused       NoticeClass = "user.refused"
	NoticePersonLeft        NoticeClass = "person.left"
	NoticeRoleDrift         NoticeClass = "person.role_drift"
	NoticeFactorAdded       NoticeClass = "factor.added"
	NoticeFactorRemoved     NoticeClass = "factor.removed"
	NoticeFactorReset       NoticeClass = "factor.reset"
	NoticeAdminNew          NoticeClass = "admin.new"
	NoticePlanPaused        NoticeClass = "plan.paused"
	NoticePlanDone          NoticeClass = "plan.done"
	NoticeProvisioningPause NoticeClass = "provisioning.paused"
	NoticeProvisioningOn    NoticeClass = "provisioning.resumed"
	NoticeAccountCancelled  NoticeClass = "account.cancelled"
	NoticeAccountDisabled   NoticeClass = "account.disabled"
	NoticeAccountStatus     NoticeClass = "account.status_changed"
	NoticeAccountTier       NoticeClass = "account.tier_changed"
	NoticeOrderWaiting      NoticeClass = "account.order_waiting"
	NoticeAuditTampered     NoticeClass = "audit.tampered"
	NoticeExpiry            NoticeClass = "expiry.near"
	NoticeDirectoryDown     NoticeClass = "directory.down"
	NoticeDirectoryUp       NoticeClass = "directory.up"
	NoticeCallsStopped      NoticeClass = "calls.stopped"
	NoticeCallsResumed      NoticeClass = "calls.resumed"
	NoticeBudgetLow         NoticeClass = "budget.low"
	NoticeBackupOverdue     NoticeClass = "backup.overdue"
	NoticeBackupMade        NoticeClass = "backup.made"
	NoticeLockouts          NoticeClass = "lockouts.many"
	NoticeLockoutsOver      NoticeClass = "lockouts.normal"
	NoticePartDown          NoticeClass = "bridge.down"
	NoticePartUp            NoticeClass = "bridge.up"
	NoticeGivenUp           NoticeClass = "notice.given_up"
	NoticeHeartbeat         NoticeClass = "heartbeat"
	NoticeTest              NoticeClass = "test"
)

// NoticeClasses are those that can be subscribed, in the order in which they are shown.
func NoticeClasses() []NoticeClass {
	return []NoticeClass{NoticeExpiry, NoticeDirectoryDown, NoticeDirectoryUp, NoticeCallsStopped, NoticeCallsResumed,
		NoticeBudgetLow, NoticeUserCreated, NoticeUserFirstSignIn, NoticeUserConflict, NoticeUserRefused,
		NoticePersonLeft, NoticeRoleDrift, NoticePlanPaused, NoticePlanDone, NoticeProvisioningPause,
		NoticeProvisioningOn, NoticeAccountCancelled, NoticeAccountDisabled, NoticeAccountStatus, NoticeAccountTier,
		NoticeOrderWaiting, NoticeAuditTampered, NoticeAdminNew, NoticeFactorAdded, NoticeFactorRemoved, NoticeFactorReset,
		NoticeLockouts, NoticeLockoutsOver, NoticeBackupOverdue, NoticeBackupMade, NoticePartDown, NoticePartUp,
		NoticeGivenUp, NoticeHeartbeat}
}

// NoticeMatches tells whether a pattern names a class: "*" names all, "account.*" those that begin with "account.", and
// any other pattern itself.
func NoticeMatches(pattern string, c NoticeClass) bool {
	if group, ok := strings.CutSuffix(pattern, "*"); ok {
		return group == "" || strings.HasSuffix(group, ".") && strings.HasPrefix(string(c), group)
	}
	return pattern == string(c)
}

// NoticePattern tells whether a pattern names any class.
func NoticePattern(pattern string) bool {
	return slices.ContainsFunc(NoticeClasses(), func(c NoticeClass) bool { return NoticeMatches(pattern, c) })
}

// noticeClass is the class of an audit event; "" for those that nobody is notified of. It is the one place that decides
// it: the notice is written with the event, whoever writes that.
func noticeClass(e Event) NoticeClass {
	switch {
	case e.Action == "create-user" && e.Outcome == "ok":
		return NoticeUserCreated
	case e.Action == "create-user" && e.Outcome == "refused" && e.Reason == "conflict":
		return NoticeUserConflict
	case e.Action == "create-user" && e.Outcome == "refused":
		return NoticeUserRefused
	case e.Action == "foreign-rows", e.Action == "audit-foreign":
		return NoticeAuditTampered
	case e.Outcome != "ok":
		return ""
	case e.Action == "self-order" && e.Reason == SelfOrderWaiting:
		return NoticeOrderWaiting
	}
	return okNotices[e.Action]
}

// okNotices are the classes of events that went well, by their action.
var okNotices = map[string]NoticeClass{
	"first-sign-in":        NoticeUserFirstSignIn,
	"plan-pause":           NoticePlanPaused,
	"plan-stop":            NoticePlanPaused,
	"plan-done":            NoticePlanDone,
	"hold":                 NoticeProvisioningPause,
	"release":              NoticeProvisioningOn,
	"second-factor-enrol":  NoticeFactorAdded,
	"second-factor-remove": NoticeFactorRemoved,
	"second-factor-reset":  NoticeFactorReset,
	"console-enter":        NoticeAdminNew,
}
