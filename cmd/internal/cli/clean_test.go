package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

// TestCleanWriter: whatever a command prints, nothing of it commands the terminal, and JSON stays the JSON that it was.
func TestCleanWriter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text") + rapid.SampledFrom([]string{"", "\x1b[2J", "\u009b31m", "\u202e", "\r",
			"\x00", "\xff", "é", "\xc3"}).Draw(t, "end")
		var whole, parts bytes.Buffer
		w := &cleanWriter{to: &whole}
		_, _ = w.Write([]byte(text))
		_ = w.Close()
		w = &cleanWriter{to: &parts}
		for i := range len(text) { // cut within characters
			if n, err := w.Write([]byte(text[i : i+1])); n != 1 || err != nil {
				t.Fatalf("wrote %d, %v", n, err)
			}
		}
		_ = w.Close()
		if whole.String() != parts.String() {
			t.Fatalf("%q at once is %q, byte by byte %q", text, whole.String(), parts.String())
		}
		if strings.ContainsFunc(whole.String(), func(r rune) bool {
			return r != '\n' && r != '\t' && (unicode.IsControl(r) ||
				r == '\u202e')
		}) {
			t.Fatalf("%q is printed as %q", text, whole.String())
		}
	})
	for _, plain := range []string{"", "Ana Müller\tnach Hause\n", "日本語 🎉"} {
		var out bytes.Buffer
		_, _ = (&cleanWriter{to: &out}).Write([]byte(plain))
		if out.String() != plain {
			t.Errorf("%q is printed as %q", plain, out.String())
		}
	}
	value := "a\u009b31m\u202eb\x7f\x1b"
	line, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	_, _ = (&cleanWriter{to: &out}).Write(line)
	var back string
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back != value {
		t.Errorf("%s is read back as %q, %v", out.Bytes(), back, err)
	}
}
