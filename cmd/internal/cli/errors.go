package cli

import (
	"errors"
	"fmt"

	"ssobridge/idp/directory"
	"ssobridge/partnerapi"
	"ssobridge/provisioning"
)

// directoryError tells apart what the admin mistyped and a directory that is down.
func directoryError(err error, doing, mend string) error {
	err = fmt.Errorf("%s: %w", doing, err)
	if len(fieldMends(err)) > 0 {
		return err // which say what to do about each field
	}
	var d *directory.Error
	if errors.As(err, &d) && d.Problem == directory.Unavailable {
		return failed(err, "ssobridge check shows what is wrong with the directory")
	}
	return badInput(err, mend)
}

// kindOf tells what an error of the partner API means; "" for another error.
func kindOf(err error) partnerapi.Kind {
	var p *partnerapi.Error
	if errors.As(err, &p) {
		return p.Kind
	}
	return ""
}

// fieldMends collects the mends of every field at fault in an error, one for each.
func fieldMends(err error) []string {
	switch e := err.(type) { //nolint:errorlint // walks the tree by itself, to find all of them
	case nil:
		return nil
	case *provisioning.InputError:
		return []string{e.Field + ": " + e.Fix}
	case interface{ Unwrap() error }:
		return fieldMends(e.Unwrap())
	case interface{ Unwrap() []error }:
		var all []string
		for _, part := range e.Unwrap() {
			all = append(all, fieldMends(part)...)
		}
		return all
	}
	return nil
}
