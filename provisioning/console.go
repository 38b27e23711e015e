package provisioning

import "ssobridge/partnerapi"

// What admins say of a client account goes to the partner API as it stands. These
// names are for callers that know this package alone.
type (
	NewAccount   = partnerapi.NewAccount
	PlanChange   = partnerapi.PlanChange
	Cancellation = partnerapi.Cancellation

	Subscription   = partnerapi.Subscription
	Unsubscription = partnerapi.Unsubscription
	Operation      = partnerapi.Operation
	OperationParam = partnerapi.Param
)

// CancelReasons are the published ids of reasons for a cancellation.
var CancelReasons = partnerapi.CancelReasons

// WebhookTopics are what Constant Contact can tell of client accounts.
var WebhookTopics = []int{partnerapi.TopicTierUp, partnerapi.TopicTierDown, partnerapi.TopicCancelled,
	partnerapi.TopicDisabled}

// OperationMethods are those of calls on behalf of client accounts.
var OperationMethods = []string{"GET", "POST", "PUT", "PATCH", "DELETE"}

// UpdateSources say who asked to be unsubscribed.
var UpdateSources = []string{"Account", "Contact", "System"}

// PlanTypes are the plans that a client account can be changed to.
var PlanTypes = []string{"BRONZE", "SILVER", "GOLD"}

// FieldErrors collects every *InputError in an error, by field: what is wrong and
// the fix, in one sentence. It is empty where there is none.
func FieldErrors(err error) map[string]string {
	all := map[string]string{}
	collectFields(err, all)
	return all
}

func collectFields(err error, all map[string]string) {
	switch e := err.(type) { //nolint:errorlint // walks the tree by itself, to find all of them
	case nil:
	case *InputError:
		text := e.Fault
		if e.Fix != "" {
			text += "; " + e.Fix
		}
		addField(all, e.Field, text)
	case *partnerapi.FieldError:
		addField(all, e.Field, e.Fault)
	case interface{ Unwrap() error }:
		collectFields(e.Unwrap(), all)
	case interface{ Unwrap() []error }:
		for _, part := range e.Unwrap() {
			collectFields(part, all)
		}
	}
}

func addField(all map[string]string, field, text string) {
	if before, ok := all[field]; ok {
		text = before + ". " + text
	}
	all[field] = text
}
