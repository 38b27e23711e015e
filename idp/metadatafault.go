package idp

import (
	"fmt"
	"strings"
)

// MetadataError carries every fault that was found in a metadata document.
type MetadataError struct{ Faults []MetadataFault }

// MetadataFault is one thing wrong with a metadata document.
type MetadataFault struct {
	Line  int    // in the document; 0: no one line is at fault
	Fault string // what is wrong
	Mend  string // what to do; "" where the fault says it
}

// String is the fault as one line.
func (f MetadataFault) String() string {
	text := f.Fault
	if f.Line > 0 {
		text = fmt.Sprintf("line %d: %s", f.Line, f.Fault)
	}
	if f.Mend != "" {
		text += ": " + f.Mend
	}
	return text
}

// Error lists one fault on each line.
func (e *MetadataError) Error() string {
	if len(e.Faults) == 1 {
		return "metadata: " + e.Faults[0].String()
	}
	lines := []string{fmt.Sprintf("metadata: %d faults", len(e.Faults))}
	for _, f := range e.Faults {
		lines = append(lines, "  "+f.String())
	}
	return strings.Join(lines, "\n")
}

// metadataFault is an error of one fault.
func metadataFault(line int, mend, format string, args ...any) error {
	return &MetadataError{[]MetadataFault{{line, fmt.Sprintf(format, args...), mend}}}
}
