package plaintext_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"ssobridge/internal/plaintext"
)

func TestCut(t *testing.T) {
	for _, c := range []struct {
		text string
		most int
		want string
	}{
		{"", 0, ""}, {"abc", 3, "abc"}, {"abc", 2, "ab"}, {"abc", 0, ""},
		{"aé", 2, "a"}, {"aé", 3, "aé"}, {"a€b", 2, "a"}, {"a€b", 3, "a"}, {"a€b", 4, "a€"},
		{"😀", 1, ""}, {"😀", 3, ""}, {"😀", 4, "😀"},
		{"\xff\xff\xff", 2, "\xff\xff"}, {"\x80\x80\x80\x80\x80", 4, "\x80\x80\x80\x80"},
	} {
		if got := plaintext.Cut(c.text, c.most); got != c.want {
			t.Errorf("Cut(%q, %d) = %q, want %q", c.text, c.most, got, c.want)
		}
	}
}

func FuzzCut(f *testing.F) {
	f.Add("a€😀\xff", 3)
	f.Fuzz(func(t *testing.T, text string, most int) {
		if most < 0 || most > 1<<16 {
			t.Skip()
		}
		got := plaintext.Cut(text, most)
		if len(got) > most || !strings.HasPrefix(text, got) {
			t.Fatalf("Cut(%q, %d) = %q", text, most, got)
		}
		if utf8.ValidString(text) && (!utf8.ValidString(got) || len(text) > most && len(got)+utf8.UTFMax <= most) {
			t.Fatalf("Cut(%q, %d) = %q: not whole characters, or too few", text, most, got)
		}
		if line := plaintext.Line(text, most); len(line) > most || strings.ContainsAny(line, "\n\r\x00\x1b\u202e") {
			t.Fatalf("Line(%q, %d) = %q", text, most, line)
		}
	})
}

func TestLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "",
		"  two words \n":             "two words",
		"a\r\nb\tc":                  "a  b c",
		"\x1b[2Jgone":                "[2Jgone",
		"left\u202eright\u200b":      "left right",
		"bad \xff byte, \ufffd rune": "bad   byte,   rune",
		strings.Repeat("ä", 50):      strings.Repeat("ä", 20),
		strings.Repeat("x ", 30):     strings.TrimSpace(strings.Repeat("x ", 20)),
		"Zoë & Söhne – 100 %":        "Zoë & Söhne – 100 %",
	} {
		if got := plaintext.Line(text, 40); got != want {
			t.Errorf("Line(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestShort(t *testing.T) {
	for text, want := range map[string]string{"": "", " short ": "short", "12345678": "12345678", "1234567 9": "1234567…",
		"äöüßé": "äöüß…", "a\nb": "a b"} {
		if got := plaintext.Short(text, 8); got != want {
			t.Errorf("Short(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestQuote(t *testing.T) {
	if got := plaintext.Quote("a\"\n"); got != `"a\"\n"` {
		t.Errorf("Quote = %s", got)
	}
	if got := plaintext.Quote(strings.Repeat("x", 100)); got != `"`+strings.Repeat("x", 60)+`"` {
		t.Errorf("Quote = %s", got)
	}
}
