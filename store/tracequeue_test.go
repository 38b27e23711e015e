package store_test

import (
	"bytes"
	"context"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"ssobridge/store"
	"ssobridge/store/storetest"
)

func TestTraceQueue(t *testing.T) {
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	o := storetest.Migrated(t)
	o.Now = func() time.Time { return now }
	db, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	q := db.Traces().Queue()
	taken := 0
	add := func(n int) {
		for range n {
			taken++
			ref := strconv.Itoa(taken)
			if !q.Add(store.Trace{SignIn: ref, Ref: ref, At: now, Outcome: "refused"}) {
				taken--
			}
		}
	}
	add(5701)
	if taken != 4096 {
		t.Errorf("a full queue: took %d in all, want 4096", taken)
	}
	var log bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the program stops: what waits is stored nonetheless
	if err := q.Run(ctx, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"1", "4096"} {
		if _, err := db.Traces().ByRef(t.Context(), ref); err != nil {
			t.Errorf("trace %s after the stop: %v", ref, err)
		}
	}
	if want := "count=1605"; !strings.Contains(log.String(), want) {
		t.Errorf("log of losses: got %q, want %s", log.String(), want)
	}
}
