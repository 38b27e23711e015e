package metadata

import (
	"fmt"
	"strings"
)

// Error carries every fault that was found in a metadata document.
type Error struct{ Faults []Fault }

// Fault is one thing wrong with a metadata document.
type Fault struct {
	Line  int    // in the document; 0: no one line is at fault
	Fault string // what is wrong
	Fix   string // what to do; "" where the fault says it
}

// String is the fault as one line.
func (f Fault) String() string {
	text := f.Fault
	if f.Line > 0 {
		text = fmt.Sprintf("line %d: %s", f.Line, f.Fault)
	}
	if f.Fix != "" {
		text += ": " + f.Fix
	}
	return text
}

// Error lists one fault on each line.
func (e *Error) Error() string {
	if len(e.Faults) == 1 {
		return "metadata: " + e.Faults[0].String()
	}
	lines := []string{fmt.Sprintf("metadata: %d faults", len(e.Faults))}
	for _, f := range e.Faults {
		lines = append(lines, "  "+f.String())
	}
	return strings.Join(lines, "\n")
}

// newFault is an error of one fault.
func newFault(line int, fix, format string, args ...any) error {
	return &Error{[]Fault{{line, fmt.Sprintf(format, args...), fix}}}
}
