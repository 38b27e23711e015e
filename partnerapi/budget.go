package partnerapi

import (
	"context"
	"time"
)

// Classes of call, in order of precedence. The budget keeps a share of the day for the
// first, so that background work never uses up what sign-ins need.
const (
	ClassSignIn = "sign-in" // a person waits for it
	ClassRetry  = "retry"   // a person waited for it
	ClassPlan   = "plan"    // background work, the list of client accounts among it
)

// What became of asking for a slot.
const (
	SlotTaken = "taken" // the slot comes after wait
	SlotBusy  = "busy"  // others of a class that goes first stand in line; nothing was taken, ask again after wait
	SlotNone  = "none"  // the day's calls are used up for this class; nothing was taken, there are some again after wait
)

// TokenSlots space the requests for tokens of all processes of a partner: the token server takes about one a second
// from all of them together. Tokens themselves are shared by nobody and stand in no store.
type TokenSlots interface {
	// ReserveToken takes the next slot for a token request; it comes after wait.
	ReserveToken(ctx context.Context) (wait time.Duration, err error)
	// TokenThrottled notes that the token server wants to be left alone for so long.
	TokenThrottled(ctx context.Context, wait time.Duration) error
}

// Budget is what every call passes. Constant Contact's limits hold for all client accounts and
// all replicas of a partner together, so an implementation is shared by all of them.
// Its methods may be called by several goroutines.
type Budget interface {
	// Reserve takes the next slot for a call of this class, and says how it went by one of the Slot
	// words. A slot is taken for good: who does not use it has wasted it.
	Reserve(ctx context.Context, class string) (wait time.Duration, outcome string, err error)
	// Throttled notes that Constant Contact refused a call as too fast.
	Throttled(ctx context.Context) error
	// Exhausted notes that Constant Contact says the day's calls are used up.
	Exhausted(ctx context.Context) error
}
