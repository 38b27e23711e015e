package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"strings"

	"ssobridge/cmd/internal/config"
	"ssobridge/provisioning"
	"ssobridge/store"
	"ssobridge/web/admin"
)

// Exit codes of the program.
const (
	exitOK     = 0 // done; for check: no step failed
	exitFailed = 1 // it could not be done, or a step of check failed
	exitUsage  = 2 // bad input: arguments, configuration, a file that was given

	exitDiffers = 3 // there are differences, of commands that compare
)

// commandError is an error with the next step for the person at the keyboard.
type commandError struct {
	err  error
	hint string
	code int
}

func (e *commandError) Error() string { return e.err.Error() }
func (e *commandError) Unwrap() error { return e.err }

func badInput(err error, hint string) error { return &commandError{err, hint, exitUsage} }
func failed(err error, hint string) error   { return &commandError{err, hint, exitFailed} }

// classify gives an error its exit code, in this one place (kong has codes of its own).
func classify(err error) (code int, hint string) {
	var (
		command *commandError
		fault   *config.Error
		refused *admin.Error
	)
	switch {
	case errors.As(err, &command):
		return command.code, command.hint
	case errors.As(err, &fault):
		return exitUsage, "docs/configuration.md explains every key; nothing was changed"
	case errors.As(err, &refused):
		return refusalCode(refused), refusalHints(refused)
	}
	if errors.Is(err, store.ErrInsecure) {
		return exitUsage, "store.dsn: write sslmode=verify-full and sslrootcert=FILE; or, if nobody else can be on the " +
			"way, set store.insecure: true"
	}
	if errors.Is(err, store.ErrDamaged) {
		return exitFailed, "keep the file for whoever looks into it, and put a backup in its place: ssobridge restore FILE"
	}
	if errors.Is(err, store.ErrNoStore) {
		return exitUsage, noStoreHint
	}
	if errors.Is(err, store.ErrDevelopment) {
		return exitFailed, "put a backup of a release in its place: ssobridge restore FILE; or keep this one away and make " +
			"a new one by ssobridge init"
	}
	if errors.Is(err, store.ErrTwoNames) {
		return exitFailed, "SQLite keeps a log for each name, so that programs which use two of them destroy the database: " +
			"remove the other name (rm, once nothing uses it), and make copies by ssobridge backup"
	}
	if fixes := fieldFixes(err); len(fixes) > 0 {
		return exitUsage, strings.Join(fixes, "\nhint: ")
	}
	switch {
	case errors.Is(err, context.Canceled):
		return exitFailed, "it was interrupted"
	case errors.Is(err, fs.ErrPermission):
		return exitFailed, "run the command as the bridge's user, such as sudo -u ssobridge ssobridge check"
	}
	return exitFailed, ""
}

// noStoreHint says what to do where a store should be and is none.
const noStoreHint = "where did the database go? Look for the disk, volume or server that held it, compare data_dir " +
	"and store.dsn, or put a backup in its place: ssobridge restore FILE. A new installation makes it once: ssobridge init, " +
	"or ssobridge serve --create"

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
