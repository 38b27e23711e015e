// Command vuln compares this project with Go's vulnerability database by govulncheck: make vuln.
//
// The database is the module golang.org/x/vulndb: its newest version, so that a scan also finds what became known
// after the last change of this project. Its own command indexdb makes of it what govulncheck reads, in .tools,
// once for each version. Both programs are there before (see .ci/tool).
//
// A vulnerability whose code is called fails the scan, unless exemptions.yaml has an exemption with a reason that
// has not expired. What is only imported, or is in an unused part of a module, is listed.
//
// Exit codes: 0 nothing was found, 1 something was, or the scan failed, 2 bad input.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// errFound is the outcome of a scan that has to be acted upon; what it found has been printed.
var errFound = errors.New("known vulnerabilities, or exemptions that are wrong")

// usageError is bad input: exit code 2.
type usageError struct{ error }

type options struct {
	tools, exemptions, database string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], time.Now(), os.Stdout, os.Stderr)
	stop()
	var usage usageError
	switch {
	case err == nil:
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "vuln: error: %v\n", err)
		os.Exit(2)
	default:
		fmt.Fprintf(os.Stderr, "vuln: error: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, now time.Time, stdout, stderr io.Writer) error {
	var o options
	flags := flag.NewFlagSet("vuln", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.tools, "tools", ".tools", "`folder` of govulncheck and indexdb; the index is kept there too")
	flags.StringVar(&o.exemptions, "exemptions", "cmd/internal/vuln/exemptions.yaml", "`file` of exemptions")
	flags.StringVar(&o.database, "db", "latest", "`version` of golang.org/x/vulndb")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return usageError{err}
	}
	if flags.NArg() > 0 {
		return usageError{fmt.Errorf("unknown argument %q", flags.Arg(0))}
	}
	// What is wrong in the file is said before minutes are spent.
	exemptions, err := readExemptions(o.exemptions)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Minute)
	defer cancel()
	index, err := openDatabase(ctx, o, now, stdout)
	if err != nil {
		return err
	}
	found, err := scan(ctx, o.tools, index)
	if err != nil {
		return err
	}
	if !report(stdout, found, judge(found, exemptions, now)) {
		return errFound
	}
	return nil
}
