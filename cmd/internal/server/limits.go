package server

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"time"
)

// fewestFiles is how many files and connections the bridge must be able to have open: each browser takes one for two
// minutes, and store, directory and Constant Contact take some dozens.
const fewestFiles = 1024

// OpenFilesFault says that the system lets the program open too few files; "" where it lets it open enough. Go has
// raised the limit to the hardest that it may set by then.
func OpenFilesFault() string {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur >= fewestFiles {
		return ""
	}
	return fmt.Sprintf("the program may have %d files and connections open, and each browser takes one: more than "+
		"about %d people at a time are kept waiting", limit.Cur, max(int64(limit.Cur)-40, 0)) //nolint:gosec // G115: below 1024
}

// OpenFilesFix says what to do about it.
const OpenFilesFix = "raise it to 65536: LimitNOFILE= in a unit of systemd, --ulimit nofile= of a container, " +
	"ulimit -n in a shell"

// serverLog is what net/http logs by itself. Broken handshakes and the like are a stranger's doing, and no fault of
// ours; that no connection can be accepted any more is, and nobody else says so.
type serverLog struct {
	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex
	said time.Time
	kept int // since then
}

func newServerLog(l *slog.Logger, now func() time.Time) *log.Logger {
	return log.New(&serverLog{log: l, now: now}, "", 0)
}

// saidEvery bounds how often the same fault is logged: net/http tries to accept a connection once a second.
const saidEvery = time.Minute

func (s *serverLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	ctx := context.Background() // of no request
	cause, refused := strings.CutPrefix(text, "http: Accept error: ")
	switch {
	case refused:
		s.refused(ctx, cause)
	case strings.HasPrefix(text, "http: panic serving"):
		s.log.ErrorContext(ctx, "the program made an error while it served a request", "cause", text)
	default:
		s.log.DebugContext(ctx, text)
	}
	return len(line), nil
}

func (s *serverLog) refused(ctx context.Context, cause string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.now(); s.said.IsZero() || now.Sub(s.said) >= saidEvery {
		s.log.ErrorContext(ctx, "new connections can't be accepted: browsers are kept waiting", "cause", cause, "before",
			s.kept, "hint", OpenFilesFix)
		s.said, s.kept = now, 0
		return
	}
	s.kept++
}
