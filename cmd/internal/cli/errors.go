package cli

import "ssobridge/provisioning"

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
