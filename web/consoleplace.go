package web

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"ssobridge/store"
)

// isConsolePath tells whether a path belongs to the console, whether a route of it is there or not.
func isConsolePath(path string) bool { return path == "/admin" || strings.HasPrefix(path, consoleHome) }

// servesTo tells whether the console is served to a request's client, of whom this is the address. Without
// Console.AllowFrom it is served to all. A proxy that is not trusted, and says that it asks for another client, is let
// in as little as a trusted one that does not say for whom: everybody behind it has its address.
func (k *console) servesTo(r *http.Request, address string) bool {
	if len(k.AllowFrom) == 0 {
		return true
	}
	a, err := netip.ParseAddr(address)
	if err != nil || !within(k.AllowFrom, a) || within(k.trusted, a) {
		return false
	}
	first, _, _ := strings.Cut(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !within(k.trusted, plain(peer.Addr())) {
		return err == nil && first == "" && r.Header.Get("Forwarded") == ""
	}
	origin, err := parseHop(strings.TrimSpace(first))
	return err == nil && origin == a
}

// elsewhere refuses a request for the console from where it is not served, as one for a page that does not exist: who
// may not come here does not learn that there is something. Nobody has shown who they are, so the audit has one event
// a minute, with a count.
func (k *console) elsewhere(c echo.Context, v *visit) error {
	if n := k.outside.add(k.now()); n > 0 {
		detail, _ := json.Marshal(map[string]int{"requests": n}) // a number always encodes
		// The request's end must not take the event with it: the count is gone by now.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request().Context()), outsideTimeout)
		defer cancel()
		err := k.Store.Audit().Add(ctx, store.Event{
			At: k.now(), Ref: v.ref, Action: "console-refusal", Subject: "console", Address: v.address, Outcome: "refused",
			Reason: "console_address", Detail: detail,
		})
		if err != nil {
			// The answer stays that to a page that does not exist: any other would show that there is something here.
			k.outside.back(n)
			k.log.LogAttrs(ctx, slog.LevelError, "record a refusal of the console; the next event counts these requests too",
				slog.Int("requests", n), slog.String("cause", err.Error()), slog.String("ref", v.ref))
		}
		k.log.LogAttrs(ctx, slog.LevelWarn, "requests for the console from addresses that console.allow_from does not name "+
			"were refused",
			slog.Int("requests", n), slog.String("last", v.address), slog.String("ref", v.ref))
	}
	return refuse(http.StatusNotFound, notFound, errors.New("the console is not served to this address: see "+
		"console.allow_from"))
}

const (
	outsideEvery   = time.Minute // at most one event in it
	outsideTimeout = 5 * time.Second
)

// outsideCount counts the requests for the console from where it is not served.
type outsideCount struct {
	mu       sync.Mutex
	requests int
	reported time.Time
}

// add counts one, and returns how many there were since the last report where one is due, or 0.
func (o *outsideCount) add(now time.Time) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.requests++
	if !o.reported.IsZero() && now.Sub(o.reported) < outsideEvery {
		return 0
	}
	n := o.requests
	o.requests, o.reported = 0, now
	return n
}

// back takes back requests that could not be reported.
func (o *outsideCount) back(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.requests += n
}
