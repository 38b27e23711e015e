package partnerapi

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// longestRetryAfter bounds what a server can make us wait. Constant Contact's own limits are those of a second and of
// a day, and the day's are told by the error key. What asks for longer is a gateway, often one that is set up
// wrongly, and must not keep a person out for hours: a call every ten minutes finds out whether it means it.
const longestRetryAfter = 10 * time.Minute

// retryAfter is how long a server asks to wait, in seconds or until a date (RFC 9110 10.2.3). Constant Contact
// documents none, gateways before it may send one. 0: it asks for nothing, or for something that is no time.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseFloat(text, 64); err == nil && n > 0 {
		return time.Duration(min(n, longestRetryAfter.Seconds()) * float64(time.Second))
	}
	if at, err := http.ParseTime(text); err == nil {
		if date, err := http.ParseTime(h.Get("Date")); err == nil {
			now = date // both by the server's clock
		}
		return max(0, min(longestRetryAfter, at.Sub(now)))
	}
	return 0
}
