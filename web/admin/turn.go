package admin

import (
	"errors"
	"fmt"
	"strconv"

	"ssobridge/certs"
	"ssobridge/certs/pkcs11"
	"ssobridge/idp"
	"ssobridge/idp/directory"
	"ssobridge/idp/metadata"
	"ssobridge/partnerapi"
	"ssobridge/provisioning"
)

// ringError turns the refusals of the rules of a roll-over.
func ringError(err error) *Error {
	for _, c := range []struct {
		is    error
		field string
		act   Act
	}{
		{certs.ErrNoKey, "key", ListKeys},
		{certs.ErrState, "key", ListKeys},
		{certs.ErrTime, "at", NoAct},
		{certs.ErrNoHolder, "sp", ListProviders},
		{certs.ErrUnconfirmed, "confirmed_by", ConfirmLoaded},
		{certs.ErrHoldsOne, "at", AgreeOnTime},
		{certs.ErrKeyInUse, "key", PromoteOther},
		{certs.ErrNoStepBack, "sp", ListKeys},
		{pkcs11.ErrTaken, "label", ChooseLabel},
	} {
		if !errors.Is(err, c.is) {
			continue
		}
		e := &Error{Field: c.field, Fault: err.Error(), Act: c.act, Err: err}
		if c.is == certs.ErrTime { //nolint:errorlint // the sentinel of the table's row itself
			e.Hint = "write a time to come with its zone, such as 2026-12-01T22:00:00Z"
		}
		return e
	}
	return nil
}

// fieldError turns the faults of single fields, of which an error can hold several.
func fieldError(err error) *Error {
	parts := fieldErrors(err)
	switch len(parts) {
	case 0:
		return nil
	case 1:
		return parts[0]
	}
	return &Error{Fault: strconv.Itoa(len(parts)) + " values can't be used", Parts: parts}
}

// fieldErrors walks the whole tree of an error: several fields can be at fault at once.
func fieldErrors(err error) []*Error {
	switch e := err.(type) { //nolint:errorlint // walks the tree by itself, to find all of them
	case *idp.FieldError:
		bare := *e
		bare.Fix = ""
		return []*Error{{Field: e.Field, Fault: bare.Error(), Hint: e.Fix, Err: e}}
	case *partnerapi.FieldError: // found before a call was made
		return []*Error{{Field: e.Field, Fault: e.Error(), Err: e}}
	case *provisioning.InputError:
		return []*Error{{Field: e.Field, Fault: e.Error(), Hint: e.Fix, Err: e}}
	case interface{ Unwrap() error }:
		return fieldErrors(e.Unwrap())
	case interface{ Unwrap() []error }:
		var all []*Error
		for _, part := range e.Unwrap() {
			all = append(all, fieldErrors(part)...)
		}
		return all
	}
	return nil
}

// metadataError turns what is wrong with a metadata document.
func metadataError(err error) *Error {
	faults, ok := errors.AsType[*metadata.Error](err)
	if !ok {
		return nil
	}
	if len(faults.Faults) == 1 {
		return &Error{Field: "metadata", Fault: faults.Error()}
	}
	e := &Error{Field: "metadata", Fault: fmt.Sprintf("metadata: %d faults", len(faults.Faults))}
	for _, f := range faults.Faults {
		e.Parts = append(e.Parts, &Error{Field: "metadata", Fault: f.String(), Err: faults})
	}
	return e
}

// directoryError turns what the directory has against a request. What the server itself said stays in Err.
func directoryError(err error) *Error {
	d, ok := errors.AsType[*directory.Error](err)
	switch {
	case !ok:
		return nil
	case errors.Is(err, directory.ErrNotFound):
		return &Error{Kind: Missing, Fault: "the directory has no entry of that name"}
	case d.Problem == directory.Unavailable:
		return &Error{Kind: Outside, Fault: directory.Diagnose(err).Text, Hint: "try again later", Act: RunCheck}
	}
	text, known := map[directory.Problem]string{
		directory.BadCredentials:  "the directory refuses this login",
		directory.Locked:          "the account is locked in the directory",
		directory.Disabled:        "the account is disabled in the directory",
		directory.Expired:         "the account has expired in the directory",
		directory.PasswordExpired: "the password has expired in the directory",
		directory.MustChange:      "the password must be changed in the directory first",
		directory.NotNow:          "the directory does not allow a login at this time",
		directory.NotHere:         "the directory does not allow a login from this computer",
		directory.Ambiguous:       "several entries of the directory match",
		directory.BadData:         "what the directory holds can't be used",
	}[d.Problem]
	if !known {
		text = "the directory has refused it"
	}
	return &Error{Fault: text}
}

// partnerError turns what Constant Contact answered. Its own words are shown where it refused data: they name the data.
func partnerError(err error) *Error {
	p, ok := errors.AsType[*partnerapi.Error](err)
	if !ok {
		return nil
	}
	e := &Error{Kind: Outside}
	switch p.Kind {
	case partnerapi.NotSent:
		e.Fault, e.Act = "the call did not reach Constant Contact", RunCheck
		if fault, fix, ok := partnerapi.Unreached(err); ok {
			e.Fault, e.Hint, e.Act = e.Fault+": "+fault, fix, NoAct
		}
	case partnerapi.Throttled:
		e.Fault, e.Act = "Constant Contact limits the calls of this second", TryLater
	case partnerapi.QuotaExceeded:
		e.Fault, e.Hint = provisioning.DayUsedUp(p.Status != 0)
	case partnerapi.Unauthorized, partnerapi.Forbidden:
		e.Fault, e.Hint = "Constant Contact does not accept our credentials",
			"compare the API key with the one of the registered application"
	case partnerapi.NotFound:
		e.Fault = "Constant Contact knows no such client account"
	case partnerapi.Conflict:
		e.Fault = "Constant Contact has this already, or somebody else has it"
	case partnerapi.Accepted:
		e.Fault, e.Act = "Constant Contact has accepted it and does it later", TryLater
	case partnerapi.BadRequest:
		e.Fault = "Constant Contact refused the data"
	case partnerapi.Unknown:
		e.Fault, e.Act = "Constant Contact gave no usable answer, so nobody knows whether it has acted", TryLater
		if p.NotProcessed {
			// What reads answers can refuse one by the same status, after Constant Contact has acted.
			e.Fault = "something between us and Constant Contact refused the call, most likely before it got there, or its " +
				"answer"
			e.Hint = "see at Constant Contact whether it was done, and look at the proxy or firewall on the way out, and at " +
				"HTTPS_PROXY in the environment of the bridge"
		}
	default:
		e.Fault = "the call to Constant Contact failed"
	}
	switch {
	case p.Message != "":
		e.Fault += ": " + p.Message
	case p.Kind == partnerapi.Unknown && p.Status != 0:
		e.Fault += fmt.Sprintf(" (status %d)", p.Status)
	}
	return e
}

// DirectoryFault puts an error of the directory into a sentence for an administrator; "" for another error.
func DirectoryFault(err error) string { return sentence(directoryError(err)) }

// PartnerFault puts what Constant Contact answered into a sentence for an administrator; "" for another error.
func PartnerFault(err error) string { return sentence(partnerError(err)) }

func sentence(e *Error) string {
	if e == nil {
		return ""
	}
	return e.Line()
}

// lookup turns an error of looking something up in the directory that an administrator has written: doing says what was
// being done, field is the input, hint what to write instead. That the directory does not answer is no fault of the
// input.
func lookup(err error, field, doing, hint string) error {
	d, ok := errors.AsType[*directory.Error](err)
	if !ok {
		return fmt.Errorf("%s: %w", doing, err)
	}
	e := directoryError(err)
	if e.Kind != Outside {
		e.Field, e.Hint = field, hint
		if d.Problem == directory.BadData && e.Kind != Missing {
			e.Fault = d.Err.Error() // a sentence of ours, which names what is wrong
		}
	}
	e.Fault, e.Err = doing+": "+e.Fault, err
	return e
}
