package notices

import (
	"net/url"
	"strings"

	"ssobridge/store"
)

// titles say what happened.
var titles = map[store.NoticeClass]string{
	store.NoticeUserCreated:       "A Constant Contact user was created",
	store.NoticeUserFirstSignIn:   "A person signed in to a client account for the first time",
	store.NoticeUserConflict:      "A user could not be created: it exists already",
	store.NoticeUserRefused:       "Constant Contact refused to create a user",
	store.NoticePersonLeft:        "A person has left and still has a Constant Contact user",
	store.NoticeRoleDrift:         "A user's role differs from what the mappings give",
	store.NoticeFactorAdded:       "A second factor was added",
	store.NoticeFactorRemoved:     "A second factor was removed",
	store.NoticeFactorReset:       "The second factors of a person were reset",
	store.NoticeAdminNew:          "A person used the admin console for the first time",
	store.NoticePlanPaused:        "A provisioning plan is paused",
	store.NoticePlanDone:          "A provisioning plan is done",
	store.NoticeProvisioningPause: "Provisioning is paused",
	store.NoticeProvisioningOn:    "Provisioning is resumed",
	store.NoticeAccountCancelled:  "A client account was cancelled",
	store.NoticeAccountDisabled:   "A client account was disabled",
	store.NoticeAccountStatus:     "The status of a client account has changed",
	store.NoticeAccountTier:       "The plan of a client account has changed",
	store.NoticeOrderWaiting:      "A person's order of a client account waits for approval",
	store.NoticeAuditTampered:     "The database holds rows that the bridge did not write",
	store.NoticeExpiry:            "Something expires soon",
	store.NoticeDirectoryDown:     "The directory can't be reached",
	store.NoticeDirectoryUp:       "The directory can be reached again",
	store.NoticeCallsStopped:      "Calls to Constant Contact fail",
	store.NoticeCallsResumed:      "Calls to Constant Contact work again",
	store.NoticeBudgetLow:         "80% of the day's calls to Constant Contact are used",
	store.NoticeBackupOverdue:     "The backup is overdue",
	store.NoticeBackupMade:        "There is a recent backup again",
	store.NoticeLockouts:          "Many people are locked out",
	store.NoticeLockoutsOver:      "Few people are locked out again",
	store.NoticePartDown:          "A part of the bridge does not work",
	store.NoticePartUp:            "A part of the bridge works again",
	store.NoticeGivenUp:           "Notices could not be delivered to another receiver",
	store.NoticeHeartbeat:         "The bridge is running",
	store.NoticeTest:              "This is a test",
}

// pages are where the console shows more of a class; the overview for all others.
var pages = map[string]string{"user": "/admin/provisioning", "person": "/admin/provisioning",
	"plan":         "/admin/provisioning",
	"provisioning": "/admin/provisioning", "account": "/admin/accounts", "audit": "/admin/audit",
	"factor":   "/admin/people",
	"lockouts": "/admin/people", "admin": "/admin/audit", "expiry": "/admin/keys"}

// link is where the console shows more; "" where there is no console.
func (e *Engine) link(n store.NoticeRecord) string {
	if e.o.ConsoleURL == "" {
		return ""
	}
	group, _, _ := strings.Cut(string(n.Class), ".")
	switch {
	case n.Class == store.NoticeOrderWaiting:
		return e.o.ConsoleURL + "/admin/accounts/orders"
	case n.Ref != "" && group != "heartbeat":
		return e.o.ConsoleURL + "/admin/audit?ref=" + url.QueryEscape(n.Ref)
	case n.Account != "":
		return e.o.ConsoleURL + "/admin/accounts/of/" + url.PathEscape(string(n.Account))
	case pages[group] != "":
		return e.o.ConsoleURL + pages[group]
	}
	return e.o.ConsoleURL + "/admin/"
}
