package partnerapi

import (
	"context"
	"errors"
	"net/url"
)

// Probe finds out by one small call whether Constant Contact answers. It reads nothing of what comes back.
func (c *Client) Probe(ctx context.Context, class string) error {
	k := get("see whether Constant Contact answers", class)
	k.url = c.base.JoinPath("partner", "accounts")
	k.url.RawQuery = url.Values{"limit": {"10"}}.Encode()
	_, err := c.do(ctx, k)
	return err
}

// failing tells whether the outcome of a call speaks against Constant Contact: it refuses our credentials, gave no
// answer of its own, or could not be reached. What a pace, a count or the data of a call brought about does not; nor
// does a call that its caller gave up.
func failing(ctx context.Context, err error) (Kind, bool) {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return "", false
	}
	switch e.Kind {
	case Unauthorized:
		return e.Kind, true
	case Unknown:
		return e.Kind, ctx.Err() == nil
	case NotSent:
		_, network := errors.AsType[*url.Error](e.Err)
		_, token := errors.AsType[*Error](e.Err)
		return e.Kind, (network || token) && ctx.Err() == nil
	default:
		return "", false
	}
}
