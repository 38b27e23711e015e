package idp

import "net/http"

// fault is a request that is refused on our own page: which check failed, for
// the person as a reason, for the log in detail with what would mend it. A
// nil *fault is a passed check.
type fault struct {
	reason string
	status int
	detail string // never text from the request, unless quoted and cut short
	mend   string
}

// badRequest is a request that can't be read as what it claims to be.
func badRequest(detail, mend string) *fault {
	return &fault{ReasonBadRequest, http.StatusBadRequest, detail, mend}
}

func tooLarge(detail string) *fault {
	return &fault{ReasonTooLarge, http.StatusRequestEntityTooLarge, detail,
		"a genuine AuthnRequest is a few kilobytes: look at what the service provider sends"}
}
