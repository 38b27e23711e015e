package idp_test

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// deflated packs a message as the HTTP-Redirect binding wants it. One of the attack corpus is packed as it is there:
// versions of Go pack in different ways, and signatures cover the packed bytes.
func deflated(t testing.TB, text string) string {
	t.Helper()
	if packed, ok := recorded()[text]; ok {
		return base64.StdEncoding.EncodeToString(packed)
	}
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// recorded are the messages in the queries of the corpus, each with its packed form, and one that is not in its query
// any more but whose signature is. What can't be unpacked was broken on purpose, and is made from one that can.
var recorded = sync.OnceValue(func() map[string][]byte {
	found := map[string][]byte{}
	files, err := filepath.Glob(filepath.Join("testdata", "attacks", "*.query"))
	if err != nil {
		panic(err) // the pattern is wrong
	}
	files = append(files, filepath.Join("testdata", "packed", "request-exchanged.query"))
	for _, name := range files {
		query, err := os.ReadFile(name)
		if err != nil {
			continue // the test of the corpus says so
		}
		for part := range strings.SplitSeq(string(query), "&") {
			_, value, _ := strings.Cut(part, "=")
			value, err := url.QueryUnescape(value)
			if err != nil {
				continue
			}
			packed, err := base64.StdEncoding.DecodeString(value)
			if err != nil {
				continue
			}
			rest := bytes.NewReader(packed) // read byte by byte, so that it ends where the packed message does
			text, err := io.ReadAll(io.LimitReader(flate.NewReader(rest), 32<<20))
			if err == nil && len(text) > 0 {
				found[string(text)] = packed[:len(packed)-rest.Len()]
			}
		}
	}
	return found
})
