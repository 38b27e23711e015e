package api

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"ssobridge/store"
)

// strangerEvery is how often the uses of a token from other networks are stored: whoever has it must not have us write
// with each call.
const strangerEvery = time.Minute

// strangers counts the uses of tokens from networks that are not their own, until they are stored. Only who has proved
// a token is counted, so that there are no more of them than tokens.
type strangers struct {
	mu   sync.Mutex
	uses map[string]*strangerUses
}

type strangerUses struct {
	storedAt time.Time
	n        int
}

// count counts one, and returns how many are to be stored now; 0: none yet.
func (s *strangers) count(token string, now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.uses) > 2*store.MaxAPITokens {
		clear(s.uses) // of tokens that are gone
	}
	u := s.uses[token]
	if u == nil {
		u = &strangerUses{}
		s.uses[token] = u
	}
	u.n++
	if since := now.Sub(u.storedAt); since >= 0 && since < strangerEvery {
		return 0
	}
	n := u.n
	u.storedAt, u.n = now, 0
	return n
}

// fromElsewhere notes that a token was used from a network that is not its own: somebody else may have it.
func (a *API) fromElsewhere(ctx context.Context, t store.APIToken) {
	n := a.strangers.count(t.ID, a.o.Now())
	if n == 0 {
		return
	}
	if err := a.o.Tokens.FromElsewhere(ctx, t, n); err != nil {
		a.o.Logger.WarnContext(ctx, "the use of an API token from another network was not noted", slog.String("token", t.ID),
			slog.Any("error", err))
	}
}

// replayed notes that an assertion of a client came again: somebody else may have read it.
func (a *API) replayed(ctx context.Context, t store.APIToken) {
	n := a.replays.count(t.ID, a.o.Now())
	if n == 0 {
		return
	}
	if err := a.o.Tokens.Replayed(ctx, t, n); err != nil {
		a.o.Logger.WarnContext(ctx, "an assertion of an API client that came again was not noted",
			slog.String("client", t.ID), slog.Any("error", err))
	}
}
