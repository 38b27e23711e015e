package tracing

import (
	"net/url"
	"strconv"
	"strings"
)

// Kinds of spans (opentelemetry-proto, trace.proto).
const (
	kindInternal = 1
	kindServer   = 2
	kindClient   = 3
)

// attribute is a number where text is "".
type attribute struct {
	key, text string
	number    int64
}

// The names of spans, as rooms give them.
const (
	nameRequest = "request"
	nameSignIn  = "sign_in"
	nameLogout  = "single_logout"
)

// described is a span in the words of OpenTelemetry's semantic conventions, as far as they have words for it.
func (t *Tracer) described(s *span) (name string, kind uint64, all []attribute) {
	of, result := word(s.of), word(s.result)
	add := func(key, value string) {
		if value != "" {
			all = append(all, attribute{key: key, text: value})
		}
	}
	number := func(key, value string) bool {
		n, err := strconv.ParseInt(value, 10, 32)
		if err == nil {
			all = append(all, attribute{key: key, number: n})
		}
		return err == nil
	}
	name, kind = s.name, kindInternal
	switch room, _, _ := strings.Cut(s.name, "."); room {
	case nameRequest:
		kind = kindServer
		method, route, _ := strings.Cut(of, " ")
		if name = of; of == "" {
			name = s.name
		}
		add("http.request.method", method)
		add("http.route", route)
		number("http.response.status_code", result)
	case nameSignIn, nameLogout:
		outcome, reason, _ := strings.Cut(result, " ")
		add("ssobridge.reference", of)
		add("ssobridge.outcome", outcome)
		add("ssobridge.reason", reason)
	case "directory":
		kind = kindClient
		if u, err := url.Parse(of); err == nil {
			add("server.address", u.Hostname())
			number("server.port", u.Port())
		}
		number("ssobridge.ldap.result_code", result)
	case "store":
		kind = kindClient
		add("db.system.name", t.o.Database)
		add("db.query.summary", of)
	case "partner":
		kind = kindClient
		add("ssobridge.operation", of)
		if !number("http.response.status_code", result) {
			add("ssobridge.outcome", result)
		}
	default:
		add("ssobridge.about", of)
		add("ssobridge.outcome", result)
	}
	return name, kind, all
}

const maxWord = 120

// word lets pass what looks like a word of ours. It is the second fence, not the first: a mail address, a DN, a filter
// or a line of somebody else's would have to get by the room that made it, and then by this.
func word(text string) string {
	if len(text) > maxWord {
		return "other"
	}
	for _, c := range []byte(text) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte(" ._:/*-[]", c) >= 0:
		default:
			return "other"
		}
	}
	return text
}
