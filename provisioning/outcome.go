package provisioning

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"ssobridge/partnerapi"
	"ssobridge/store"
)

const (
	forbiddenRetry   = 5 * time.Minute
	quotaSpread      = time.Minute     // over which replicas begin again after midnight
	credentialsRetry = 5 * time.Second // the breaker says when a call is made at all
	// A row stays in its class so long after it was made, since a person may wait for it.
	mayWait = 2 * time.Minute
)

// circumstances of a call.
type circumstances struct {
	forgotten bool // the ledger may have forgotten that the user is ours
	outage    bool // calls fail for everybody
	cut       bool // the call's time was over, or this process stops
	stopped   bool // this process stops
	others    bool // Constant Contact answered others as it should at about the same time
	// former is the id that the person had before they were moved to a source; "": they were not.
	former  store.PersonID
	between bool // the attempt before was refused by something between us and Constant Contact; outcome sets it
}

// causeData is kept with a row that gets no answer while others do. It is no cause of Progress: people hear that there
// was no clear answer.
const causeData = "data"

// refusedBetweenWords stand in the text of a row whose call was refused before Constant Contact, by what may also have
// refused the answer.
const refusedBetweenWords = "something between us and Constant Contact (a proxy, a firewall) refused the call"

// reasonNotProcessed is the audit's word for a call that something before Constant Contact refused.
const reasonNotProcessed = "not_processed"

// sameTime is how near an answer to somebody else has to lie for a failure to be the row's own.
const sameTime = time.Minute

// outcome turns what became of a call into the row to store and its audit event (row API-03). row is as it was claimed:
// its MaybeSent tells whether an earlier attempt may have arrived.
func (s *Service) outcome(row store.SSOUser, err error, c circumstances) (store.SSOUser, store.Event) {
	now := s.now()
	c.between = strings.Contains(row.ErrorText, refusedBetweenWords)
	row.UpdatedAt, row.NextAttempt, row.Earliest, row.ErrorKey, row.ErrorText = now, time.Time{}, time.Time{}, "", ""
	row.Cause = ""
	// A program of the version before begins the attempts anew without the failures.
	row.Failures = min(row.Failures, max(row.Attempts-1, 0))

	var e *partnerapi.Error
	if err != nil && !errors.As(err, &e) {
		// Not an error that says what happened: the worst is assumed.
		e = &partnerapi.Error{Kind: partnerapi.Unknown, Err: err}
	}
	event := store.Event{
		At: now, Actor: "worker", Action: "create-user", Subject: string(row.Person), Account: row.Account,
	}
	if e == nil {
		row.State, row.Throttles = store.Active, 0
		event.Outcome, event.Reason = "ok", "created"
	} else {
		row.ErrorKey = e.Key
		event.Outcome, event.Reason = "failed", string(e.Kind)
		s.failed(&row, &event, e, c, now)
	}
	if waits(row) && (row.Priority != store.SignInPriority || now.Sub(row.CreatedAt) >= mayWait) {
		// Who still waits raises it again, see decide.
		row.Priority = store.RetryPriority
	}
	event.Detail = outcomeDetail(row, e)
	return row, event
}

func (s *Service) failed(row *store.SSOUser, event *store.Event, e *partnerapi.Error, c circumstances, now time.Time) {
	before, throttles := row.MaybeSent, row.Throttles
	row.Throttles = 0
	because := func(row *store.SSOUser, cause, words string) { because(row, cause, words+said(e)) }
	// again puts the row back in the queue: as unknown where an attempt may have arrived, so that it is never changed any
	// more. What Constant Contact asked for, and what holds for everybody, is waited for by people too: earliest is the
	// same time.
	again := func(at time.Time, cause, words string) {
		row.State = store.Wanted
		if before {
			row.State = store.Unknown
		}
		row.NextAttempt, row.Earliest = at, at
		because(row, cause, words)
	}
	// fails counts an attempt toward the back-off; passing: it says nothing of the row itself. It sets the two times.
	fails := func(passing bool) {
		if !passing || row.Failures < passingFailures {
			row.Failures++
		}
		row.NextAttempt = now.Add(max(e.Wait, s.backoff(row.Failures, passing)))
		row.Earliest = now.Add(max(e.Wait, s.present(row.Failures, passing)))
	}
	switch e.Kind {
	case partnerapi.Conflict:
		if before || c.forgotten {
			// An earlier attempt of ours had arrived. Safe even if it had not: the NameID is this person's alone, and the SP
			// refuses one it does not know.
			row.State = store.Assumed
			event.Outcome, event.Reason = "ok", "assumed"
			because(row, "assumed", "Constant Contact says the user exists already; taken as ours, since an earlier attempt "+
				"may have arrived, or the ledger was restored or lost and has forgotten it")
			return
		}
		row.State = store.Conflict
		event.Outcome = "refused"
		words := "login name, e-mail address or external id belong to another Constant Contact user: an " +
			"administrator asks Constant Contact whose user it is"
		if c.between {
			// What reads answers refuses one by the same status, after the user was created. To take the user for ours by
			// itself would hide every true conflict behind such a filter.
			words += "; an attempt before was refused by something in between, which may have refused the answer alone: if " +
				"the user is in this client account, it is ours and can be imported"
		}
		if c.former != "" {
			words += "; the person was moved to a source of people, so it may be their own user, which was made under their " +
				"former id " + string(c.former) + ": look whether it is in this client account, and import it then"
		}
		because(row, "conflict", words)
	case partnerapi.BadRequest:
		row.State = store.Refused
		event.Outcome = "refused"
		because(row, "refused", "Constant Contact does not take these data (see its error key); correct the person's names "+
			"or mail address in the directory, or the client account in the mapping, and sign in again")
	case partnerapi.NotFound:
		row.State = store.Refused
		event.Outcome = "refused"
		because(row, "refused", "Constant Contact does not know this client account; correct the mapping, or ask Constant "+
			"Contact whether the account is the partner's, and sign in again")
	case partnerapi.Forbidden:
		event.Outcome = "refused"
		words := "Constant Contact forbids to create users in this client account; ask it whether SSO for all users is " +
			"enabled for the partner and whether the account is the partner's"
		if before {
			// It may be there already, so the very same data are tried again rather than given up.
			again(now.Add(forbiddenRetry), CauseUnknown, words)
			return
		}
		row.State, row.NextAttempt = store.Refused, now.Add(forbiddenRetry)
		because(row, "refused", words)
	case partnerapi.Unauthorized:
		again(now.Add(s.spread(credentialsRetry)), CauseCredentials,
			"Constant Contact does not accept the partner's credentials; check partner_client_id, partner_secret and api_key")
	case partnerapi.QuotaExceeded:
		at := midnight(now)
		if e.Wait > 0 {
			at = now.Add(e.Wait)
		}
		// A little after the hour: our clock may be ahead of theirs, and replicas should not begin all at once.
		at = at.Add(time.Second + time.Duration(s.random()*float64(quotaSpread)))
		again(at, CauseQuota, quotaWords(e))
	case partnerapi.Throttled:
		// A gateway that throttles may do so for long: the pause grows for this row, and people wait for it too, since a
		// call before it is over would be refused as well. What the server asked for is the least.
		row.Throttles = throttles + 1
		again(now.Add(max(e.Wait, s.spread(throttledPause(row.Throttles)))), CauseThrottled,
			"Constant Contact asked for a slower pace; goes on by itself")
	case partnerapi.NotSent:
		if c.cut {
			again(now.Add(s.spread(time.Second)), CauseQueued, "its turn did not come in time; goes on by itself")
			return
		}
		// These back off as well: each attempt takes a slot of the day's budget, whether or not it arrives.
		again(now, CauseUnreachable, "Constant Contact could not be reached and nothing was sent; goes on by itself when "+
			"it can")
		fails(true)
	default:
		blamed := c.others && !c.outage && !c.cut // others get their answers: what was sent is what the answer is about
		if e.NotProcessed {
			event.Reason = reasonNotProcessed
			cause := CauseUnreachable
			if blamed {
				cause = causeData
			}
			again(now, cause, refusedBetweenWords+", most likely before it got there; goes on by itself when calls get "+
				"through")
			fails(c.outage || c.cut)
			return
		}
		row.State, row.MaybeSent = store.Unknown, true
		event.Outcome = "unknown"
		if c.stopped {
			// We cut it short ourselves, which says nothing of the other side.
			row.NextAttempt = now.Add(s.spread(time.Second))
		} else {
			fails(c.outage || c.cut)
		}
		cause := CauseUnknown
		if blamed {
			cause = causeData
		}
		because(row, cause, "no clear answer, the user may exist; the same data are sent again until there is one")
	}
}

// quotaWords tell whose count says that the day is used up.
func quotaWords(e *partnerapi.Error) string {
	fault, fix := DayUsedUp(e.Status != 0)
	return fault + "; " + fix
}

// saidWords stand before what Constant Contact said, in the text of a row.
const saidWords = "; Constant Contact said: "

// said is what Constant Contact answered in its own words, for whoever looks at the outcome. It is cut and has no
// control characters. Without words, the status of an answer that is no verdict tells where to look.
func said(e *partnerapi.Error) string {
	switch {
	case e.Message != "":
		return saidWords + e.Message
	case e.Kind == partnerapi.Unknown && e.Status != 0:
		return fmt.Sprintf("; the answer, by Constant Contact or something in between, had the status %d", e.Status)
	}
	return ""
}

// outcomeDetail is for the audit: what was sent, and how it ended. It has no message from outside, and nothing that
// tells who the person is: events stay when a person is forgotten, and the ledger has login name and external id as
// long as they are known.
func outcomeDetail(row store.SSOUser, e *partnerapi.Error) json.RawMessage {
	detail := map[string]any{
		"state": row.State, "role": row.Role, "attempts": row.Attempts,
	}
	if e != nil {
		detail["status"] = e.Status
		if e.Key != "" {
			detail["error_key"] = e.Key
		}
	}
	raw, err := json.Marshal(detail)
	if err != nil {
		return json.RawMessage(fmt.Sprintf(`{"state":%q}`, row.State)) // can't be: strings and numbers always encode
	}
	return raw
}

// midnight is the next 00:00 UTC, when Constant Contact counts anew.
func midnight(now time.Time) time.Time {
	return now.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
}
