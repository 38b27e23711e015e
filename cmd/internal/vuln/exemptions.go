package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// exemption says why a vulnerability that govulncheck sees called does no harm here.
type exemption struct {
	ID      string `yaml:"id"`
	Reason  string `yaml:"reason"`
	Expires string `yaml:"expires"`
}

// longest is for how long an exemption may be given: then somebody looks again.
const longest = 366 * 24 * time.Hour

var idPattern = regexp.MustCompile(`^GO-\d{4}-\d{4,}$`)

// readExemptions reads a file and reports all its faults together.
func readExemptions(name string) ([]exemption, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read the exemptions: %w", err)
	}
	var list []exemption
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true) // a mistyped "expires" must not become an exemption for ever
	if err := dec.Decode(&list); err != nil && !errors.Is(err, io.EOF) {
		return nil, usageError{fmt.Errorf("%s: %w", name, err)}
	}
	var faults []error
	seen := map[string]bool{}
	for n, e := range list {
		fault := func(what string) {
			faults = append(faults, fmt.Errorf("%s: exemption %d (%q): %s", name, n+1, e.ID, what))
		}
		if !idPattern.MatchString(e.ID) {
			fault("id is not one of Go's vulnerability database, such as GO-2026-0001")
		}
		if seen[e.ID] {
			fault("id stands there twice")
		}
		seen[e.ID] = true
		if strings.TrimSpace(e.Reason) == "" {
			fault("reason is missing: say why this does no harm here, and what shows it")
		}
		if _, err := time.Parse(time.DateOnly, e.Expires); err != nil {
			fault("expires is not a date, such as 2027-03-31")
		}
	}
	if len(faults) > 0 {
		return nil, usageError{errors.Join(faults...)}
	}
	return list, nil
}

// verdict is what of a scan has to be acted upon, and what has not.
type verdict struct {
	called []finding
	used   []exemption
	faults []string
}

// judge compares what was found with the exemptions. An exemption fails the scan when its last day is over, when it
// goes further than a year, and when nothing is found that it exempts.
func judge(found []finding, exemptions []exemption, now time.Time) verdict {
	var v verdict
	called := map[string]finding{}
	for _, f := range found {
		if f.called() {
			called[f.id] = f
		}
	}
	exempt := map[string]bool{}
	for _, e := range exemptions {
		_, needed := called[e.ID]
		last, err := time.Parse(time.DateOnly, e.Expires)
		end := last.AddDate(0, 0, 1)
		switch {
		case !needed:
			v.faults = append(v.faults, fmt.Sprintf("the exemption of %s matches nothing that is called: remove it", e.ID))
		case err != nil || !now.Before(end):
			v.faults = append(v.faults, fmt.Sprintf("the exemption of %s expired on %s: update the module, or look again and "+
				"give a new date", e.ID, e.Expires))
		case end.Sub(now) > longest:
			v.faults = append(v.faults, fmt.Sprintf("the exemption of %s lasts longer than a year: give an earlier date than %s",
				e.ID, e.Expires))
		default:
			exempt[e.ID] = true
			v.used = append(v.used, e)
		}
	}
	for _, f := range found {
		if f.called() && !exempt[f.id] {
			v.called = append(v.called, f)
		}
	}
	return v
}
