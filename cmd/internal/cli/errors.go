package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"

	"ssobridge/cmd/internal/config"
	"ssobridge/provisioning"
	"ssobridge/web/admin"
)

// jsonError is an error as JSON.
type jsonError struct {
	Field string      `json:"field,omitempty"` // the input or configuration key at fault; none: no single one is
	Fault string      `json:"fault"`
	Fix   string      `json:"fix,omitempty"`
	Parts []jsonError `json:"parts,omitempty"` // where several things are wrong
}

// toJSONError takes an error apart, as errorText and the hints show it to people.
func toJSONError(err error, hint string) jsonError {
	j := jsonError{Fault: err.Error(), Fix: hint}
	if fault, ok := errors.AsType[*config.Error](err); ok {
		for _, f := range fault.Faults {
			text := f.Text
			if f.Where != "" {
				text = f.Where + ": " + text
			}
			j.Parts = append(j.Parts, jsonError{Field: f.Key, Fault: text, Fix: f.Fix})
		}
	} else if refused, ok := admin.AsError(err); ok {
		j.Field = refused.Field
		if len(refused.Parts) > 0 {
			j.Fault = refused.Fault
		}
		for _, p := range refused.Parts {
			j.Parts = append(j.Parts, jsonError{Field: p.Field, Fault: p.Fault, Fix: cmp.Or(p.Hint, actHint(p.Act, p.About))})
		}
	} else if input, ok := errors.AsType[*provisioning.InputError](err); ok {
		j.Field = input.Field
	}
	return j
}

// printErrorJSON prints an error on one line. That it can't be written leaves nothing to do but the exit code.
func printErrorJSON(w io.Writer, err error, hint string) {
	_ = json.NewEncoder(w).Encode(struct {
		Error jsonError `json:"error"`
	}{toJSONError(err, hint)})
}

// fieldFixes collects the fixes of every field at fault in an error, one for each.
func fieldFixes(err error) []string {
	switch e := err.(type) { //nolint:errorlint // walks the tree by itself, to find all of them
	case nil:
		return nil
	case *provisioning.InputError:
		return []string{e.Field + ": " + e.Fix}
	case interface{ Unwrap() error }:
		return fieldFixes(e.Unwrap())
	case interface{ Unwrap() []error }:
		var all []string
		for _, part := range e.Unwrap() {
			all = append(all, fieldFixes(part)...)
		}
		return all
	}
	return nil
}
