package provisioning

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"ssobridge/idp/directory"
	"ssobridge/store"
)

// KnownMove is a line of a file that takes people of the directory to a source of people.
type KnownMove struct {
	Line    int    // of the file
	Person  string // person_id; or
	Login   string // the login name in the directory
	Subject string // the sub of their tokens from now on
}

var (
	moveLimits  = tableLimits{bytes: 4 << 20, lines: 5_000}
	moveColumns = []string{"person_id", "login", "subject"}
)

// maxSubject bounds the sub of a token, in bytes.
const maxSubject = 255

// ReadMoves reads CSV with a header line (person_id or login, and subject; in any order), at most 5,000 lines and 4
// MiB. What is wrong with single lines is returned apart, as *InputErrors with the line in Field; of two lines that
// name one person or one subject, neither is among the others. The error is about the file as a whole; so many faults
// that not all were looked for are one.
//
// A subject is taken letter by letter, as tokens have it. So one with blanks around it is a fault, and so are two that
// people would take for one.
func ReadMoves(r io.Reader) (all []KnownMove, wrong []error, err error) {
	var faults lineFaults
	first, doubted := map[string]int{}, map[int]bool{}
	err = readTable(r, moveLimits, moveColumns, &faults, func(line int, row map[string]string) bool {
		m := KnownMove{Line: line, Person: directory.CanonicalID(store.TrimTyped(row["person_id"])),
			Login: store.TrimTyped(row["login"]), Subject: row["subject"]}
		if !m.check(&faults) {
			return true
		}
		who := "person_id " + m.Person
		if m.Person == "" {
			who = "login " + strings.ToLower(m.Login) // directories compare logins without regard to case
		}
		good := true
		for _, one := range []struct{ field, key, what string }{
			{"person_id", who, "names the same person"},
			{"subject", "subject " + LookAlike(m.Subject), "has the same subject, or one that looks like it"},
		} {
			if at, again := first[one.key]; again {
				doubted[at], good = true, false
				faults.add(line, one.field, fmt.Sprintf("line %d %s", at, one.what), "leave one of the two out, or correct it")
				continue
			}
			first[one.key] = line
		}
		if good {
			all = append(all, m)
		}
		return true
	})
	all = slices.DeleteFunc(all, func(m KnownMove) bool { return doubted[m.Line] })
	if err == nil && faults.full() {
		err = &InputError{Field: "file", Fault: fmt.Sprintf("has %d faults or more", maxLineFaults),
			Fix: "correct these first"}
	}
	if err == nil && len(all)+len(faults) == 0 {
		err = &InputError{Field: "file", Fault: "has no lines", Fix: "write one line for each person"}
	}
	return all, faults, err
}

// check says what is wrong with a line by itself.
func (m KnownMove) check(faults *lineFaults) bool {
	var wrong []error
	fault := func(field, fault, fix string) {
		wrong = append(wrong, errors.New(fault))
		faults.add(m.Line, field, fault, fix)
	}
	if (m.Person == "") == (m.Login == "") {
		fault("login", "want either person_id or login", "say who it is: the immutable id, or the login name in the directory")
	}
	if strings.HasPrefix(m.Person, directory.SourcePrefix) {
		fault("person_id", "is the id of somebody who comes from a source already", "give the id that the directory has")
	}
	switch {
	case m.Subject == "":
		fault("subject", "is missing", "give the sub that the person's tokens have")
	case len(m.Subject) > maxSubject:
		fault("subject", fmt.Sprintf("has %d bytes, at most %d can be", len(m.Subject), maxSubject),
			"give the sub that the person's tokens have")
	case strings.TrimSpace(m.Subject) != m.Subject || strings.ContainsFunc(m.Subject, unprintable):
		fault("subject", "has blanks around it, or characters that nobody sees", "give it exactly as tokens have it")
	}
	return len(wrong) == 0
}

// unprintable tells whether a character can't be seen in a list, but for the blank.
func unprintable(r rune) bool { return r != ' ' && !unicode.IsPrint(r) }

// LookAlike is one form of texts that people would take for one: letter case, accents, blanks, and letters and digits
// that look alike.
func LookAlike(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Mn, unicode.Cf) || unicode.IsSpace(r) {
			return -1
		}
		r = unicode.ToLower(r)
		if same, ok := alike[r]; ok {
			return same
		}
		return r
	}, norm.NFKD.String(text))
}

// alike are letters that look like another one, in most typefaces.
var alike = map[rune]rune{'o': '0', 'l': '1', 'i': '1', '|': '1',
	'а': 'a', 'е': 'e', 'о': '0', 'р': 'p', 'с': 'c', 'х': 'x', 'у': 'y', 'і': '1', 'ѕ': 's', 'ο': '0', 'α': 'a', 'ι': '1'}
