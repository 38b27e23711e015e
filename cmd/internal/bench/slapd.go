package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"ssobridge/idp/directory/directorytest"
)

// errNoSlapd says why a part is left out.
var errNoSlapd = errors.New("slapd did not start, and people sign in by it (Debian: slapd, ldap-utils)")

// startSlapd starts the directory that most parts share.
func (b *bench) startSlapd() (err error) {
	b.slapd, err = b.newSlapd("directory", directorytest.SlapdOptions{People: b.o.people})
	return err
}

// newSlapd starts a directory with its data in a folder of this name.
func (b *bench) newSlapd(name string, o directorytest.SlapdOptions) (s *directorytest.Slapd, err error) {
	// directorytest is made for tests and tells its failures to one.
	defer func() {
		if f, ok := recover().(failure); ok {
			err = fmt.Errorf("start slapd: %s", f)
		}
	}()
	return directorytest.StartSlapdWith(&host{bench: b, name: name}, o), nil
}

// host stands in for the test that directorytest asks for: it gives a folder, takes
// what is to be done at the end, and ends what fails by a panic.
type host struct {
	testing.TB // nil: the methods below are all that directorytest calls
	bench      *bench
	name       string // of its folder
}

type failure string

func (h *host) Helper()           {}
func (h *host) TempDir() string   { return filepath.Join(h.bench.dir, h.name) }
func (h *host) Cleanup(do func()) { h.bench.cleanup(func() error { do(); return nil }) }
func (h *host) Fatal(args ...any) { panic(failure(fmt.Sprint(args...))) }
