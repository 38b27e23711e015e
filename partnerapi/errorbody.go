package partnerapi

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxKey     = 200
	maxMessage = 500
	maxFaults  = 20 // of one body; more are not read
)

// errorBody is what an error answer says for itself.
type errorBody struct {
	key, message string
	quota        bool // some entry says quota_exceeded
}

// wireError is one error object. Partner calls use the first pair; the token server answers as
// RFC 6749 5.2 says, and gateways in between have a plain message.
type wireError struct {
	Key         string `json:"error_key"`
	Message     string `json:"error_message"`
	OAuth       string `json:"error"`
	Description string `json:"error_description"`
	Plain       string `json:"message"`
}

// parseErrorBody reads an error body of any published shape: an array of objects on most
// partner calls, a single object on authorization failures. A body that is neither (empty,
// HTML of a proxy, garbage) gives an empty result: the status alone must do then. Secrets are taken out.
func parseErrorBody(body []byte, secrets ...string) errorBody {
	var pairs []string
	for _, s := range secrets {
		pairs = append(pairs, s, "***")
	}
	redact := strings.NewReplacer(pairs...) // before anything is cut, which could leave a part of one
	var list []wireError
	for _, raw := range entries(body) {
		var e wireError
		// One entry of another shape must not hide the others, so its error is not kept.
		if json.Unmarshal(raw, &e) == nil {
			list = append(list, e)
		}
	}

	var out errorBody
	var messages []string
	for _, e := range list {
		key, message := e.Key, e.Message
		if key == "" {
			key = e.OAuth
		}
		if message == "" {
			message = e.Description
		}
		if message == "" {
			message = e.Plain
		}
		key, message = redact.Replace(key), redact.Replace(message)
		if out.key == "" {
			out.key = printable(key, maxKey)
		}
		if m := printable(message, maxMessage); m != "" {
			messages = append(messages, m)
		}
		if e.Key == "quota_exceeded" {
			out.quota = true
		}
	}
	out.message = printable(strings.Join(messages, "; "), maxMessage)
	return out
}

// entries splits a body into its error objects.
func entries(body []byte) []json.RawMessage {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return nil
	}
	switch body[0] {
	case '{':
		return []json.RawMessage{body}
	case '[':
		var list []json.RawMessage
		if json.Unmarshal(body, &list) != nil {
			return nil
		}
		return list[:min(len(list), maxFaults)]
	}
	return nil
}

// printable makes foreign text fit for a log line: what is no printable character becomes a
// space, so that nobody can write lines of their own, and it is cut to limit bytes.
func printable(s string, limit int) string {
	s = strings.ToValidUTF8(s, " ")
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	if len(s) <= limit {
		return s
	}
	s = s[:limit]
	for len(s) > 0 {
		if r, size := utf8.DecodeLastRuneInString(s); r != utf8.RuneError || size > 1 {
			break
		}
		s = s[:len(s)-1] // half a character at the cut
	}
	return s
}
