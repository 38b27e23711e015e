package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// unusedGrace is how long after the begin of a stop a connection on which nothing was asked yet may still be used.
// Browsers open such connections ahead; http.Server would wait five seconds for each.
const unusedGrace = 500 * time.Millisecond

// served is a listener with its server.
type served struct {
	server   *http.Server
	listener net.Listener

	mu     sync.Mutex
	unused map[net.Conn]bool // connections on which nothing was asked yet
}

func newServed(h http.Handler, l net.Listener, log *slog.Logger, now func() time.Time) *served {
	s := &served{listener: l, unused: map[net.Conn]bool{}}
	s.server = &http.Server{
		Handler: h, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes, ConnState: s.follow,
		ErrorLog: newServerLog(log, now),
	}
	return s
}

func (s *served) follow(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state == http.StateNew {
		s.unused[c] = true
	} else {
		delete(s.unused, c)
	}
}

func (s *served) closeUnused() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.unused {
		_ = c.Close()
	}
}

func (s *served) serve() error {
	if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve on %s: %w", s.listener.Addr(), err)
	}
	return nil
}

// stop takes no new connections and finishes running requests, until ctx ends.
func (s *served) stop(ctx context.Context, log *slog.Logger) {
	closing := time.AfterFunc(unusedGrace, s.closeUnused)
	defer closing.Stop()
	// A browser that does not come to an end is no fault of ours: the stop is in order.
	if err := s.server.Shutdown(ctx); err != nil {
		log.Warn("requests that were still running are cut off", "cause", err)
		_ = s.server.Close() // which can't be served any longer either
	}
}
