package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
)

// asJSON goes with each command that shows or makes something. What it prints has one shape, which docs/run.md
// describes.
type asJSON struct {
	JSON bool `name:"json" help:"Print JSON: one object, or an object a line for a list."`
}

// object prints one thing as JSON.
func (s *invocation) object(v any) error {
	enc := json.NewEncoder(s.stdout)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("print JSON: %w", err)
	}
	return nil
}

// say prints text for people, which JSON has no place for.
func (s *invocation) say(c asJSON, format string, args ...any) {
	if !c.JSON {
		s.printf(format, args...)
	}
}

// table prints several things of one kind: in columns, or as JSON an object a line.
type table struct {
	columns *tabwriter.Writer // nil: JSON
	lines   *json.Encoder
	err     error // of the first row that could not be printed
}

// table begins one with these column titles.
func (s *invocation) table(c asJSON, titles ...string) *table {
	if c.JSON {
		return &table{lines: json.NewEncoder(s.stdout)}
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
		t.err = t.lines.Encode(object)
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
