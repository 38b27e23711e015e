package partnerapi

import (
	"context"
	"time"
)

// Classes of call, in order of precedence. The budget keeps a share of the day for the
// first, so that background work never uses up what sign-ins need.
const (
	PrioritySignIn = "sign-in" // a person waits for it
	PriorityRetry  = "retry"   // a person waited for it
	PriorityPlan   = "plan"    // background work, the list of client accounts among it
)

// What became of asking for a slot.
const (
	SlotTaken = "taken" // the slot comes after wait
	SlotBusy  = "busy"  // others of a class that goes first stand in line; nothing was taken, ask again after wait
	SlotNone  = "none"  // the day's calls are used up for this class; nothing was taken, there are some again after wait
)

// DepartGrace is how long after Depart a call may be sent at the latest.
const DepartGrace = 2 * time.Second

// TokenSlots space the requests for tokens of all processes of a partner: the token server takes about one a second
// from all of them together. Tokens themselves are shared by nobody and stand in no store.
type TokenSlots interface {
	// ReserveToken takes the slot for a token request, which goes now. Where wait is not 0 it took none: the caller asks
	// again after wait, or sooner.
	ReserveToken(ctx context.Context) (wait time.Duration, err error)
	// TokenAnswered says that this request is answered or was given up: the next one's second counts from here.
	TokenAnswered(ctx context.Context) error
	// TokenThrottled notes that the token server wants to be left alone for so long.
	TokenThrottled(ctx context.Context, wait time.Duration) error
}

// Budget is what every call passes. Constant Contact's limits hold for all client accounts and
// all replicas of a partner together, so an implementation is shared by all of them.
// Its methods may be called by several goroutines.
type Budget interface {
	// Reserve takes the next slot for a call of this class, and says how it went by one of the Slot
	// words. A slot that is not used is given back.
	Reserve(ctx context.Context, class string) (wait time.Duration, outcome string, err error)
	// GiveBack takes back a slot whose wait was given up, with left of it to come; nothing was sent.
	GiveBack(ctx context.Context, class string, left time.Duration) error
	// Depart says that the call goes out now, and takes at most so long once it is sent. call is its number, for Arrived;
	// 0: calls before it may not have arrived long enough ago, ask again after wait. The call has to be sent within
	// DepartGrace.
	Depart(ctx context.Context, atMost time.Duration) (call int64, wait time.Duration, err error)
	// Arrived says that a call was answered, or not sent after all; works: by Constant Contact, as it should.
	Arrived(ctx context.Context, call int64, works bool) error
	// Throttled notes that Constant Contact refused a call as too fast.
	Throttled(ctx context.Context) error
	// Exhausted notes that Constant Contact says the day's calls are used up.
	Exhausted(ctx context.Context) error
}
