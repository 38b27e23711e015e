package server

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// logQueueBytes bounds the lines that wait for whoever reads the log.
	logQueueBytes = 1 << 20
	// logPatience is how long a line waits to be written while the log is taken: whoever reads it keeps nobody waiting any
	// longer.
	logPatience = 200 * time.Millisecond
)

// LogQueue stands between the log and where it goes, such as the pipe of a program that collects logs. One that is not
// read any more, or broken, neither stops the bridge nor ends it: lines are dropped then, and counted. As long as it is
// read, each line is written when Write returns. It is safe for concurrent use.
type LogQueue struct {
	to   io.Writer
	log  *slog.Logger // which writes here; says afterwards what was lost
	lost atomic.Int64 // in all

	mu      sync.Mutex
	waiting []*logLine
	size    int
	late    bool  // nobody waits for their line any more, until all are written
	fresh   int64 // lost, and not said yet
	failing bool  // the last line could not be written
	closed  bool

	more chan struct{} // something waits
	done chan struct{} // closed when the last one is written
}

type logLine struct {
	text    []byte
	written chan struct{} // one token
	timer   *time.Timer
}

var logLines = sync.Pool{New: func() any {
	l := &logLine{written: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
	l.timer.Stop()
	return l
}}

// NewLogQueue begins to write. Close it.
func NewLogQueue(to io.Writer) *LogQueue {
	q := &LogQueue{to: to, more: make(chan struct{}, 1), done: make(chan struct{})}
	go q.run()
	return q
}

// Report has the logger, which writes here, say how many lines were lost, once lines are written again.
func (q *LogQueue) Report(log *slog.Logger) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.log = log
}

// Lost is how many lines were lost so far, and whether lines are lost at present.
func (q *LogQueue) Lost() (lines int64, now bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost.Load(), q.late || q.failing
}

// Write takes a line. It never fails, and never takes longer than logPatience.
func (q *LogQueue) Write(text []byte) (int, error) {
	q.mu.Lock()
	if q.closed || q.size+len(text) > logQueueBytes {
		q.lose(1)
		q.mu.Unlock()
		return len(text), nil
	}
	l, _ := logLines.Get().(*logLine) // there is nothing else in it
	l.text = append(l.text[:0], text...)
	q.waiting, q.size = append(q.waiting, l), q.size+len(text)
	late := q.late
	q.mu.Unlock()
	select {
	case q.more <- struct{}{}:
	default:
	}
	if late {
		return len(text), nil
	}
	l.timer.Reset(logPatience)
	select {
	case <-l.written:
		l.timer.Stop()
		logLines.Put(l)
	case <-l.timer.C: // the writer still has the line: it is not used again
		q.mu.Lock()
		q.late = q.size > 0
		q.mu.Unlock()
	}
	return len(text), nil
}

// lose counts. q is locked.
func (q *LogQueue) lose(n int64) {
	q.lost.Add(n)
	q.fresh += n
}

func (q *LogQueue) run() {
	defer close(q.done)
	for range q.more {
		for {
			q.mu.Lock()
			if len(q.waiting) == 0 {
				q.late = false
				closed, fresh, log := q.closed, q.fresh, q.log
				if q.failing || log == nil {
					fresh = 0 // it would be lost too
				}
				q.fresh -= fresh
				q.mu.Unlock()
				if closed {
					return
				}
				if fresh > 0 {
					// By another goroutine, since it comes back here.
					go log.WarnContext(context.Background(), "log lines were lost: whoever reads the log did not take them",
						"lines", fresh)
				}
				break
			}
			l := q.waiting[0]
			q.mu.Unlock()
			_, err := q.to.Write(l.text)
			q.mu.Lock()
			q.waiting, q.size = q.waiting[1:], q.size-len(l.text)
			if q.failing = err != nil; q.failing {
				q.lose(1)
			}
			q.mu.Unlock()
			l.written <- struct{}{}
		}
	}
}

// Close waits until everything is written, at most for patience. What comes later is lost.
func (q *LogQueue) Close(patience time.Duration) {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	select {
	case q.more <- struct{}{}:
	default:
	}
	end := time.NewTimer(patience)
	defer end.Stop()
	select {
	case <-q.done:
	case <-end.C:
	}
}
