// Package testkind says which run a test belongs to. Each test belongs to one:
//
//   - make check: what needs no root and no program but those of Go and git,
//   - make test: what starts a server, a browser or another program, by calling [Starts] itself or through the
//     function that starts it,
//   - make acceptance: what takes minutes. Its name begins with TestAcceptance or TestCrowd.
//
// make test runs the first two. It is for tests only.
package testkind

import (
	"fmt"
	"os"
	"testing"
)

// Variable names the environment variable that make check sets to "check". Without it nothing is left out.
const Variable = "SSOBRIDGE_TEST_RUN"

// Check tells whether no program may be started.
func Check() bool { return os.Getenv(Variable) == "check" }

// Starts says that a test starts this program. make check leaves the test, or the subtest, to make test.
func Starts(tb testing.TB, program string) {
	tb.Helper()
	if Check() {
		tb.Skipf("starts %s: left to make test", program)
	}
}

// May refuses to start a program in make check: a test that gets here did not say what it starts.
func May(program string) error {
	if Check() {
		return fmt.Errorf("make check starts no %s: the test, or what starts it, has to call testkind.Starts", program)
	}
	return nil
}
