package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// frame is one step of the way from our code to a vulnerable function, which stands first.
type frame struct {
	Module, Version, Package, Function, Receiver string
}

// finding is what govulncheck found of one vulnerability.
type finding struct {
	id, summary, fixed string
	// way is empty unless the vulnerable code is called.
	way []frame
	// module is where the vulnerability is.
	module, version string
}

func (f finding) called() bool { return len(f.way) > 0 }

// scan runs govulncheck over the whole project.
func scan(ctx context.Context, tools, index string) ([]finding, error) {
	absolute, err := filepath.Abs(index)
	if err != nil {
		return nil, fmt.Errorf("find the index of the vulnerability database: %w", err)
	}
	out, err := command(ctx, "", filepath.Join(tools, "govulncheck"), "-db", "file://"+filepath.ToSlash(absolute),
		"-format", "json", "./...")
	if err != nil {
		return nil, err
	}
	return parse(bytes.NewReader(out))
}

// parse reads govulncheck's stream of messages. A stream without its configuration or with another depth of the
// scan is refused: nothing found would say nothing then.
func parse(r io.Reader) ([]finding, error) {
	type message struct {
		Config *struct {
			ScanLevel string `json:"scan_level"`
		}
		OSV *struct {
			ID, Summary string
		}
		Finding *struct {
			OSV          string
			FixedVersion string `json:"fixed_version"`
			Trace        []frame
		}
	}
	found, summaries, level := map[string]finding{}, map[string]string{}, ""
	for dec := json.NewDecoder(r); ; {
		var m message
		if err := dec.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("read govulncheck's output: %w", err)
		}
		switch {
		case m.Config != nil:
			level = m.Config.ScanLevel
		case m.OSV != nil:
			summaries[m.OSV.ID] = m.OSV.Summary
		case m.Finding != nil:
			if len(m.Finding.Trace) == 0 {
				return nil, fmt.Errorf("read govulncheck's output: finding %s is nowhere", m.Finding.OSV)
			}
			top := m.Finding.Trace[0]
			f := finding{id: m.Finding.OSV, fixed: m.Finding.FixedVersion, module: top.Module, version: top.Version}
			if top.Function != "" {
				f.way = m.Finding.Trace
			}
			// One that is called stands for the vulnerability, of several the shortest way.
			if old, ok := found[f.id]; !ok || f.called() && (!old.called() || len(f.way) < len(old.way)) {
				found[f.id] = f
			}
		}
	}
	if level != "symbol" {
		return nil, fmt.Errorf("read govulncheck's output: the scan went down to %q, not to each function", level)
	}
	list := slices.SortedFunc(maps.Values(found), func(a, b finding) int { return strings.Compare(a.id, b.id) })
	for n := range list {
		list[n].summary = summaries[list[n].id]
	}
	return list, nil
}

// steps are the functions from ours to the vulnerable one.
func (f finding) steps() string {
	names := make([]string, 0, len(f.way))
	for _, step := range slices.Backward(f.way) {
		name := step.Function
		if step.Receiver != "" {
			name = strings.TrimPrefix(step.Receiver, "*") + "." + name
		}
		names = append(names, step.Package+"."+name)
	}
	return strings.Join(names, " → ")
}

// report prints the outcome, and says whether it is a good one.
func report(w io.Writer, found []finding, v verdict) (ok bool) {
	for _, e := range v.used {
		fmt.Fprintf(w, "exempted until %s: %s: %s\n", e.Expires, e.ID, e.Reason)
	}
	var others []string
	for _, f := range found {
		if !f.called() {
			others = append(others, f.id)
		}
	}
	if len(others) > 0 {
		fmt.Fprintf(w, "%d in code that nothing calls: %s\n", len(others), strings.Join(others, " "))
	}
	for _, f := range v.called {
		fixed := "there is no fixed version"
		if f.fixed != "" {
			fixed = "fixed in " + f.fixed
		}
		fmt.Fprintf(w, "CALLED: %s: %s\n    %s %s, %s\n    %s\n", f.id, f.summary, f.module, f.version, fixed, f.steps())
	}
	for _, fault := range v.faults {
		fmt.Fprintf(w, "FAULT: %s\n", fault)
	}
	if len(v.called)+len(v.faults) > 0 {
		return false
	}
	fmt.Fprintf(w, "no known vulnerability is called (%d exempted)\n", len(v.used))
	return true
}
