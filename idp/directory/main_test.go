package directory_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/idp/directory/directorytest"
)

func TestMain(m *testing.M) { os.Exit(directorytest.Main(m)) }

// open makes a Directory that is closed at the end of the test.
func open(tb testing.TB, o directory.Options) *directory.Directory {
	tb.Helper()
	d, err := directory.New(o)
	if err != nil {
		tb.Fatal("New:", err)
	}
	tb.Cleanup(func() {
		if err := d.Close(); err != nil {
			tb.Error("Close:", err)
		}
	})
	return d
}

// problemOf is the problem of an error of the package, and "" for none. Any other error fails the test.
func problemOf(tb testing.TB, err error) directory.Problem {
	tb.Helper()
	if err == nil {
		return ""
	}
	e, ok := errors.AsType[*directory.Error](err)
	if !ok {
		tb.Fatalf("got an error of type %T, want *directory.Error: %v", err, err)
	}
	return e.Problem
}

func wantProblem(tb testing.TB, err error, want directory.Problem) {
	tb.Helper()
	if got := problemOf(tb, err); got != want {
		tb.Errorf("got problem %q, want %q; error: %v", got, want, err)
	}
}

func groupNames(groups []directory.Group) []string {
	names := make([]string, 0, len(groups))
	for _, g := range groups {
		names = append(names, g.Name)
	}
	slices.Sort(names)
	return names
}

func wantGroups(tb testing.TB, groups []directory.Group, want ...string) {
	tb.Helper()
	slices.Sort(want)
	if got := groupNames(groups); !slices.Equal(got, want) {
		tb.Errorf("got groups %q, want %q", got, want)
	}
}

// groupNamed finds a group by name.
func groupNamed(tb testing.TB, groups []directory.Group, name string) directory.Group {
	tb.Helper()
	for _, g := range groups {
		if g.Name == name {
			return g
		}
	}
	tb.Fatalf("no group %q in %q", name, groupNames(groups))
	return directory.Group{}
}

// clock is a clock that the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// add is LDIF that adds an entry.
func add(dn string, lines ...string) string {
	s := "dn: " + dn + "\n"
	for _, l := range lines {
		s += l + "\n"
	}
	return s + "\n"
}

// modify is LDIF that changes an entry.
func modify(dn, how, attribute string, values ...string) string {
	s := fmt.Sprintf("dn: %s\nchangetype: modify\n%s: %s\n", dn, how, attribute)
	for _, v := range values {
		s += attribute + ": " + v + "\n"
	}
	return s + "\n"
}
