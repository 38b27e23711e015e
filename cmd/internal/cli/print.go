package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// asJSON goes with each command that shows or makes something. What it prints has one shape, which docs/run.md
// describes.
type asJSON struct {
	JSON bool `name:"json" help:"Print JSON: one object, or an object a line for a list. Asks nothing."`
}

// printJSON makes standard output the place of JSON alone: text for people is not printed from here on.
func (s *invocation) printJSON() {
	s.data, s.stdout, s.json = s.stdout, io.Discard, true
}

// object prints one thing as JSON. Without --json it prints nothing, as text is not printed with it.
func (s *invocation) object(v any) error { return s.encode(v, "  ") }

// line prints one thing of several as JSON, as object does, on a line of its own.
func (s *invocation) line(v any) error { return s.encode(v, "") }

func (s *invocation) encode(v any, indent string) error {
	if !s.json {
		return nil
	}
	enc := json.NewEncoder(s.data)
	enc.SetIndent("", indent)
	enc.SetEscapeHTML(false) // XML is easier to read so
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("print JSON: %w", err)
	}
	return nil
}

// warn prints what a person should know beside what was asked for: a script finds it on standard error.
func (s *invocation) warn(format string, args ...any) {
	w := s.stdout
	if s.json {
		w = s.stderr
	}
	fmt.Fprintf(w, "warning: "+format+"\n", args...)
}

// table prints several things of one kind: in columns, or as JSON an object a line.
type table struct {
	columns *tabwriter.Writer // nil: JSON
	line    func(any) error
	err     error // of the first row that could not be printed
}

// table begins one with these column titles.
func (s *invocation) table(c asJSON, titles ...string) *table {
	if c.JSON {
		return &table{line: s.line}
	}
	t := &table{columns: tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)}
	_, t.err = fmt.Fprintln(t.columns, strings.Join(titles, "\t"))
	return t
}

// row prints one thing: its cells in the columns, or the object.
func (t *table) row(object any, cells ...any) {
	switch {
	case t.err != nil:
	case t.columns == nil:
		t.err = t.line(object)
	default:
		text := make([]string, len(cells))
		for i, c := range cells {
			text[i] = fmt.Sprint(c)
		}
		_, t.err = fmt.Fprintln(t.columns, strings.Join(text, "\t"))
	}
}

// end prints what is still held back to align the columns.
func (t *table) end() error {
	if t.err == nil && t.columns != nil {
		t.err = t.columns.Flush()
	}
	if t.err != nil {
		return fmt.Errorf("print the list: %w", t.err)
	}
	return nil
}
