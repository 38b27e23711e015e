package partnerapi

import (
	"encoding/json"
	"strings"

	"ssobridge/internal/plaintext"
)

const (
	maxKey     = 200
	maxMessage = 500
	maxFaults  = 20 // of one body; more are not read

	quotaKey = "quota_exceeded" // the error_key of a 429 that does not pass before the day ends
)

// form says what an error body is, and so who may have written it.
type form int

const (
	formEmpty   form = iota // nothing: the published contract allows it, and gateways do so too
	formOwn                 // the published objects with error_key and error_message
	formJSON                // other JSON, as the framework of an application writes it
	formGateway             // JSON of a gateway, which has no more than a message
	formForeign             // no JSON: HTML, text, garbage
)

// errorBody is what an error answer says for itself.
type errorBody struct {
	form         form
	key, message string
	quota        bool // some entry says quota_exceeded
}

// Names under which an error object has its key and its message, the published ones first. The token server answers as
// RFC 6749 5.2 says, frameworks and gateways by their own names or by those of RFC 9457.
var (
	keyNames     = []string{"error_key", "error", "errorcode", "error_code", "code"}
	messageNames = []string{
		"error_message", "error_description", "message", "errormessage", "detail", "description", "title", "reason",
		"faultstring",
	}
	// nestedNames are members that hold the error object, or a list of them.
	nestedNames = []string{"error", "errors", "fault", "fieldErrors"}
	// gatewayNames are all that a gateway's own error has: it says nothing of the data that it did not look at.
	gatewayNames = map[string]bool{
		"message": true, "fault": true, "request_id": true, "requestid": true, "request-id": true,
	}
)

// parseErrorBody reads an error body of any shape: an array of objects on most partner calls, a single object on
// authorization failures, and what else is JSON. A body that is none (empty, HTML of a proxy, garbage) gives no key and
// no message: the status alone must do then. Secrets are taken out.
func parseErrorBody(body []byte, secrets ...string) errorBody {
	var pairs []string
	for _, s := range secrets {
		pairs = append(pairs, s, "***")
	}
	r := errorReader{redact: strings.NewReplacer(pairs...)} // before anything is cut, which could leave a part of one
	body = tidyJSON(body)
	if len(body) == 0 {
		return errorBody{}
	}
	if (body[0] != jsonObject && body[0] != jsonList) || !json.Valid(body) {
		return errorBody{form: formForeign}
	}
	r.out.form = formGateway
	r.read(body, 0)
	if r.own {
		r.out.form = formOwn
	}
	r.out.message = plaintext.Line(strings.Join(r.messages, "; "), maxMessage)
	return r.out
}

// errorReader collects what the objects of a body say.
type errorReader struct {
	redact   *strings.Replacer
	out      errorBody
	own      bool
	messages []string
	entries  int
}

// read reads a value: an object, a list of them, or a text of a list. Depth and number are bounded, since the body is a
// stranger's.
func (r *errorReader) read(raw json.RawMessage, depth int) {
	if depth > 3 || r.entries >= maxFaults {
		return
	}
	switch raw[0] {
	case jsonList:
		var list []json.RawMessage
		if json.Unmarshal(raw, &list) != nil {
			return
		}
		if len(list) > 0 {
			r.out.form = formJSON
		}
		for _, one := range list[:min(len(list), maxFaults)] {
			r.read(one, depth+1)
		}
	case jsonObject:
		r.entries++
		r.object(raw, depth)
	case '"':
		var s text
		if depth > 0 && s.UnmarshalJSON(raw) == nil {
			r.entries++
			r.say(string(s))
		}
	}
}

// object reads an error object and what it holds.
func (r *errorReader) object(raw json.RawMessage, depth int) {
	var all map[string]json.RawMessage
	if json.Unmarshal(raw, &all) != nil {
		return
	}
	fields := make(map[string]text, len(all))
	for name, value := range all {
		name = strings.ToLower(name)
		var t text
		if t.UnmarshalJSON(value) == nil && (t != "" || fields[name] == "") {
			fields[name] = t
		}
		if !gatewayNames[name] {
			r.out.form = formJSON
		}
	}
	if fields["error_key"] != "" || fields["error_message"] != "" {
		r.own = true
	}
	if fields["error_key"] == quotaKey {
		r.out.quota = true
	}
	if key := plaintext.Line(r.redact.Replace(first(fields, keyNames)), maxKey); !isKey(key) {
		r.say(key)
	} else if r.out.key == "" {
		r.out.key = key
	}
	r.say(first(fields, messageNames))
	for _, name := range nestedNames {
		if value := all[name]; len(value) > 0 && (value[0] == jsonObject || value[0] == jsonList) {
			was := r.out.form
			r.read(value, depth+1)
			if name == "fault" {
				r.out.form = was // a gateway's own error, whatever it tells of it
			}
		}
	}
}

// isKey tells a word of the API, or two of a framework ("Bad Request"), from a sentence that stands in its place. Keys
// are kept where messages are not, such as in the audit log: a sentence may name a person, an address does.
func isKey(text string) bool { return len(strings.Fields(text)) <= 3 && !strings.Contains(text, "@") }

// say adds a message.
func (r *errorReader) say(message string) {
	if m := plaintext.Line(r.redact.Replace(message), maxMessage); m != "" {
		r.messages = append(r.messages, m)
	}
}

// first is the first of these fields that says something.
func first(fields map[string]text, names []string) string {
	for _, name := range names {
		if fields[name] != "" {
			return string(fields[name])
		}
	}
	return ""
}
