package admin_test

import (
	"testing"

	"ssobridge/web/admin"
)

// TestReference: what people paste around a reference does not keep it from being found.
func TestReference(t *testing.T) {
	for text, want := range map[string]string{
		"KG0GNM0AGQ":             "KG0GNM0AGQ",
		" kg0gnm0agq\n":          "KG0GNM0AGQ",
		"Reference KG0GNM0AGQ":   "KG0GNM0AGQ",
		"Reference: KG0GNM0AGQ.": "KG0GNM0AGQ",
		"Referencia kg0gnm0agq":  "KG0GNM0AGQ",
		"Référence : KG0GNM0AGQ": "KG0GNM0AGQ",
		"KG0G NM0A GQ":           "KG0GNM0AGQ",
		"ref kg0g-nm0a-gq":       "KG0GNM0AGQ",

		"https://id.example/admin/trace/of/KG0GNM0AGQ?x=1": "KG0GNM0AGQ",

		"[KG0GNM0AGQ]":       "KG0GNM0AGQ",
		"it says ABCDEFGHJK": "ABCDEFGHJK",

		"Sarah-Jane wrote KG0GNM0AGQ, DEPARTMEN7": "DEPARTMEN7",

		"reference 1234567890ABCD": "1234567890ABCD",
		"1234 5678 90AB CD":        "1234567890ABCD",
		"nothing":                  "NOTHING",
		"":                         "",
		"<b>x":                     "<B>X",
	} {
		if got := admin.Reference(text); got != want {
			t.Errorf("the reference in %q: got %q, want %q", text, got, want)
		}
	}
}
