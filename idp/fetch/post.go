package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"ssobridge/internal/plaintext"
)

const (
	// postTimeout bounds one post with its answer.
	postTimeout = 15 * time.Second
	// maxAnswer is how much of an answer's body is read, and shownAnswer how much of it is shown.
	maxAnswer   = 4 << 10
	shownAnswer = 200
	// longestAfter bounds what Retry-After may ask for.
	longestAfter = time.Hour
)

// Answer is what a receiver said to a post.
type Answer struct {
	Status int
	Body   string        // the beginning of it, as one line that can be shown
	After  time.Duration // from when on it wants to be asked again, by Retry-After, at most an hour; 0: it did not say
}

// OK tells whether the receiver has taken it.
func (a Answer) OK() bool { return a.Status >= 200 && a.Status < 300 }

// Post sends body to an address and returns what was answered, whatever the status is: a redirect is an answer too, and
// is not followed. It takes 15 seconds at most. Its errors do not name the address, which may hold a secret, but the
// host.
func (c *Client) Post(ctx context.Context, address string, header http.Header, body []byte) (Answer, error) {
	u, err := url.Parse(address)
	if err != nil {
		return Answer{}, fmt.Errorf("post %s: the address is not a URL", c.o.What)
	}
	fail := func(err error) (Answer, error) {
		var asked *url.Error
		if errors.As(err, &asked) {
			err = asked.Err // which would name the whole address
		}
		return Answer{}, fmt.Errorf("post %s to %.100s: %w", c.o.What, u.Hostname(), err)
	}
	if err := c.checked(address); err != nil {
		return fail(err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return fail(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("User-Agent", "ssobridge")
	res, err := c.post.Do(r)
	if err != nil {
		return fail(err)
	}
	defer res.Body.Close()
	// The status is the answer; what can't be read of the body is left out.
	text, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	return Answer{Status: res.StatusCode, Body: plaintext.Line(string(text), shownAnswer), After: after(res)}, nil
}

// after is what Retry-After says in seconds; dates are not looked at.
func after(res *http.Response) time.Duration {
	seconds, err := strconv.Atoi(res.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(min(seconds, int(longestAfter/time.Second)))*time.Second, longestAfter)
}
