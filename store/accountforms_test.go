package store_test

import (
	"errors"
	"testing"

	"ssobridge/store"
)

// ID-01: what somebody wrote as a client account is the recorded one, or refused.
func TestAccountForms(t *testing.T) {
	forms := store.NewAccountForms(
		[]store.AccountID{"a07e1lxqqqo0", "Twin", "TWIN", "Kilo"},
		[]store.AccountID{"planned", "A07E1LXQQQO0", "odd1", "ODD1", ""})
	for _, c := range []struct {
		name, typed string
		want        store.AccountID
		err         error
	}{
		{"exact", "a07e1lxqqqo0", "a07e1lxqqqo0", nil},
		{"another case, though a mapping spells it so", "A07E1LXQQQO0", "a07e1lxqqqo0", nil},
		{"mixed case", "a07E1lxqqqO0", "a07e1lxqqqo0", nil},
		{"blanks around it", " \ta07e1lxqqqo0\r\n", "a07e1lxqqqo0", nil},
		{"one of two that differ in case", "Twin", "Twin", nil},
		{"the other", "TWIN", "TWIN", nil},
		{"neither of them", "twin", "twin", store.ErrAmbiguousAccount},
		{"a mapping's", "planned", "planned", nil},
		{"a mapping's in another case", "Planned", "planned", nil},
		{"one of two of mappings", "odd1", "odd1", nil},
		{"neither of two of mappings", "Odd1", "Odd1", store.ErrAmbiguousAccount},
		{"no list knows it", "a07e1lxqqqo9", "a07e1lxqqqo9", store.ErrUnlistedAccount},
		{"nothing", "", "", store.ErrBadAccount},
		{"blanks alone", "  ", "", store.ErrBadAccount},
		{"a blank in it", "a07e 1lxqqqo0", "", store.ErrBadAccount},
		{"a no-break space after it", "a07e1lxqqqo0\u00a0", "", store.ErrBadAccount},
		{"an ogham space before it", "\u1680a07e1lxqqqo0", "", store.ErrBadAccount},
		{"a zero-width space in it", "a07e\u200b1lxqqqo0", "", store.ErrBadAccount},
		{"a Cyrillic letter", "\u043007e1lxqqqo0", "", store.ErrBadAccount},
		{"a Kelvin sign, which folds to k", "\u212ailo", "", store.ErrBadAccount},
		{"full width", "\uff410\uff17e1lxqqqo0", "", store.ErrBadAccount},
		{"an accent that combines", "a\u030107e1lxqqqo0", "", store.ErrBadAccount},
		{"percent-encoded", "%6107e1lxqqqo0", "", store.ErrBadAccount},
		{"percent-encoded blank", "a07e1lxqqqo0%20", "", store.ErrBadAccount},
		{"a NUL after it", "a07e1lxqqqo0\x00", "", store.ErrBadAccount},
		{"a line below it", "a07e1lxqqqo0\nx", "", store.ErrBadAccount},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := forms.Resolve(c.typed)
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("%q is %q, %v; want %q, %v", c.typed, got, err, c.want, c.err)
			}
		})
	}
	if similar := forms.Similar("twin"); len(similar) != 2 {
		t.Errorf("similar to twin: %v", similar)
	}
	if id, err := new(store.AccountForms).Resolve("a07e"); id != "a07e" || !errors.Is(err, store.ErrUnlistedAccount) {
		t.Errorf("with no account known: %q, %v", id, err)
	}
}
