package api_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"ssobridge/web/api"
)

// One program that has all its requests in work keeps no other waiting, its queue has an end, and waiting for an
// operation takes no slot.
func TestSlots(t *testing.T) {
	s := api.NewSlots()
	var held []func()
	take := func(token string) (func(), error) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		return s.Take(ctx, token)
	}
	for range api.MaxOfToken {
		release, err := take("many")
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, release)
	}
	if _, err := take("many"); err == nil {
		t.Error("one token has more than its slots")
	}
	// Its queue is as long as it may be, and then it is refused at once.
	ctx, cancel := context.WithCancel(t.Context())
	queued := make(chan error, api.MaxQueued)
	for range api.MaxQueued - api.MaxOfToken {
		go func() {
			_, err := s.Take(ctx, "many")
			queued <- err
		}()
	}
	for began := time.Now(); s.Queued("many") < api.MaxQueued; {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("%d are queued, want %d", s.Queued("many"), api.MaxQueued)
		}
		time.Sleep(time.Millisecond)
	}
	if _, err := take("many"); err == nil || err.Error() != "the token has too many requests at the same time" {
		t.Errorf("one more than the queue of a token has: %v", err)
	}
	release, err := take("another")
	if err != nil {
		t.Fatalf("another token: %v", err)
	}
	release()
	release() // a second time gives nothing back
	cancel()
	for range api.MaxQueued - api.MaxOfToken {
		if err := <-queued; err == nil {
			t.Error("one that was given up has a slot")
		}
	}
	for _, release := range held {
		release()
	}
	if n := s.Tokens(); n != 0 {
		t.Errorf("%d tokens are remembered that have no request", n)
	}

	for i := range api.MaxBusy { // all slots, by several tokens
		release, err := take(fmt.Sprint("token", i/api.MaxOfToken))
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, release)
	}
	if _, err := take("late"); err == nil {
		t.Error("more are worked on than may")
	}

	var left []func()
	for range api.MaxWaitingOfToken {
		leave, ok := s.Wait("waits")
		if !ok {
			t.Fatal("no place to wait")
		}
		left = append(left, leave)
	}
	if _, ok := s.Wait("waits"); ok {
		t.Error("one token has more than its places to wait")
	}
	for i := len(left); i < api.MaxWaiting; i++ {
		if leave, ok := s.Wait(fmt.Sprint("w", i/api.MaxWaitingOfToken)); ok {
			left = append(left, leave)
		}
	}
	if _, ok := s.Wait("late"); ok || len(left) != api.MaxWaiting {
		t.Errorf("%d wait, and one more may: %v", len(left), ok)
	}
	for _, leave := range left {
		leave()
	}
	if _, ok := s.Wait("waits"); !ok {
		t.Error("no place after all have left")
	}
}
