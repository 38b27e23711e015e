package provisioning

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxCell       = 1000 // bytes of a cell
	maxLineFaults = 100  // that are told of one file
)

// tableLimits bound a file.
type tableLimits struct {
	bytes int64
	lines int // without the header
}

var errTooLarge = errors.New("the file is too large")

// lineFaults collects what is wrong with the lines of a file.
type lineFaults []error

func (f *lineFaults) add(line int, field, fault, fix string) {
	if len(*f) < maxLineFaults {
		*f = append(*f, &InputError{Field: fmt.Sprintf("line %d, %s", line, field), Fault: fault, Fix: fix})
	}
}

func (f *lineFaults) full() bool { return len(*f) >= maxLineFaults }

// readTable reads CSV with a header line and gives visit each line by its number in the file, cells by column; the map
// is used again for the next line. It takes what spreadsheets write: a byte order mark, UTF-16, CRLF,
// semicolons, tabs, a line that names the separator, lines and last columns of empty cells. Header names may be in any
// letter case and any order, each must be among known and stand once. What is
// wrong with the file as a whole ends the reading; a line with another number of cells is a fault of its own. visit
// returns false to end it.
func readTable(r io.Reader, limits tableLimits, known []string, faults *lineFaults,
	visit func(line int, row map[string]string) bool) error {
	in, err := tableText(r, limits.bytes)
	if err != nil {
		return err
	}
	head, _ := in.Peek(maxCell)
	skipped := 0
	if first, _, more := bytes.Cut(head, []byte("\n")); more && separatorLine.Match(first) {
		_, _ = in.Discard(len(first) + 1) // they are there
		head, skipped = head[len(first)+1:], 1
	}
	rows := csv.NewReader(in)
	rows.ReuseRecord = true
	rows.Comma = separator(head)
	columns, err := readHeader(rows, known, skipped)
	if err != nil {
		return err
	}
	row := make(map[string]string, len(columns))
	for n := 0; !faults.full(); {
		record, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		var broken *csv.ParseError
		switch {
		case err == nil:
		case errors.As(err, &broken) && errors.Is(err, csv.ErrFieldCount):
			faults.add(broken.StartLine+skipped, "cells",
				fmt.Sprintf("has %d of them, the header has %d", len(record), len(columns)),
				"give each line a cell for each column; a cell with the separator in it stands in quotes")
			continue
		default:
			return fileFault(err, skipped)
		}
		if !slices.ContainsFunc(record, func(cell string) bool { return strings.TrimSpace(cell) != "" }) {
			continue // spreadsheets leave such lines behind
		}
		line, _ := rows.FieldPos(0)
		line += skipped
		if n++; n > limits.lines {
			return &InputError{
				Field: "file", Fault: fmt.Sprintf("has more than %d lines", limits.lines),
				Fix: "split it",
			}
		}
		if readCells(line, columns, record, row, faults) && !visit(line, row) {
			return nil
		}
	}
	return nil
}

// readHeader reads the names of the columns. skipped lines stand before them.
func readHeader(rows *csv.Reader, known []string, skipped int) ([]string, error) {
	record, err := rows.Read()
	if errors.Is(err, io.EOF) {
		return nil, &InputError{
			Field: "file", Fault: "is empty",
			Fix: "begin it with a header line, such as: login,account,external_id",
		}
	}
	if err != nil {
		return nil, fileFault(err, skipped)
	}
	// Spreadsheets write columns behind the last one where somebody once wrote something.
	named := len(record)
	for named > 0 && strings.TrimSpace(record[named-1]) == "" {
		named--
	}
	var faults lineFaults
	var columns []string
	listed := slices.Compact(slices.Sorted(slices.Values(known)))
	for i, name := range record {
		name = strings.ToLower(strings.TrimSpace(name))
		switch {
		case i >= named:
		case slices.Contains(columns, name):
			faults.add(1+skipped, "header", fmt.Sprintf("%.40q stands twice", name), "leave one of them out")
		case !slices.Contains(known, name):
			faults.add(1+skipped, "header", fmt.Sprintf("%.40q is not known", name),
				"use the columns "+strings.Join(listed, ", "))
		}
		columns = append(columns, name)
	}
	return columns, errors.Join(faults...)
}

// fileFault tells what makes the rest of a file unreadable. The parser's error names line and column, and quotes
// nothing. skipped lines stand before what it has read.
func fileFault(err error, skipped int) error {
	var broken *csv.ParseError
	switch {
	case errors.Is(err, errTooLarge):
		return &InputError{Field: "file", Fault: err.Error(), Fix: "split it"}
	case errors.Is(err, errUTF16):
		return &InputError{Field: "file", Fault: err.Error(), Fix: "save it as CSV in UTF-8"}
	case errors.As(err, &broken):
		return &InputError{
			Field: fmt.Sprintf("line %d, quotes", broken.Line+skipped), Fault: broken.Err.Error(),
			Fix: `put a cell with quotes in it into quotes, and double those inside: "the ""best"" shop"`,
		}
	}
	return fmt.Errorf("read the file: %w", err)
}

func readCells(line int, columns, record []string, row map[string]string, faults *lineFaults) bool {
	good := true
	for i, name := range columns {
		cell := bareCell(record[i])
		switch {
		case name == "" && strings.TrimSpace(cell) != "":
			faults.add(line, fmt.Sprintf("cell %d", i+1), "stands below no name of a column", "name the column in the header")
			good = false
		case roundedNumber.MatchString(cell):
			faults.add(line, name, fmt.Sprintf("%.40q is a number that a spreadsheet has rounded", cell),
				"write it out in a column with the format Text, and save the file again")
			good = false
		case !utf8.ValidString(cell):
			faults.add(line, name, "is not UTF-8 text", "save the file as CSV in UTF-8")
			good = false
		case strings.ContainsRune(cell, 0):
			faults.add(line, name, "has a NUL character", "write plain text")
			good = false
		case len(cell) > maxCell:
			faults.add(line, name, fmt.Sprintf("has %d bytes, at most %d can be", len(cell), maxCell),
				"look whether a quote is missing")
			good = false
		}
		row[name] = cell
	}
	return good
}

// GuardedCell writes a cell that a spreadsheet would take for a formula behind an apostrophe, so that it shows the
// text. Names of people and groups come from others, and a formula can send away what stands beside it. A cell that
// begins with an apostrophe gets one more, so that bareCell gives every cell back as it was. The wide forms are for
// spreadsheets in Chinese and Japanese.
func GuardedCell(cell string) string {
	if needsGuard(cell) {
		return "'" + cell
	}
	return cell
}

// bareCell is the cell without its guard.
func bareCell(cell string) string {
	if bare, guarded := strings.CutPrefix(cell, "'"); guarded && needsGuard(bare) {
		return bare
	}
	return cell
}

func needsGuard(cell string) bool {
	first, _ := utf8.DecodeRuneInString(cell)
	return cell != "" && strings.ContainsRune("'=+-@\t\r\n＝＋－＠", first)
}

// boundedReader fails past its bound, where io.LimitReader would pretend that the file ends there.
type boundedReader struct {
	r    io.Reader
	left int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}
