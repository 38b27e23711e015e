package idp

import (
	"context"
	"sync"
	"time"
)

// Footprint is what one request may leave behind. A nil one may leave everything: nobody counts.
type Footprint struct {
	footprints *Footprints
	address    string
	began      time.Time

	mu      sync.Mutex
	alike   bool // the answer must not tell whether a login exists
	known   bool // somebody with a session, or whose login exists, is behind it
	refused bool
	code    uint8  // of its reason
	look    func() // finds out who is behind it, where nothing has yet
	asked   bool
	over    bool
	traced  bool
}

type footprintKey struct{}

// FootprintOf is that of the request that ctx belongs to, nil where none is followed.
func FootprintOf(ctx context.Context) *Footprint {
	f, _ := ctx.Value(footprintKey{}).(*Footprint)
	return f
}

// Known says that it is no stranger's request: there is no bound for it, unless it is refused.
func (f *Footprint) Known() {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.known {
		f.known, f.asked = true, false
	}
}

// Ask gives a function that calls Known where somebody known is behind the request. It is called at most once, and only
// before the request is taken for a stranger's that leaves nothing.
func (f *Footprint) Ask(look func()) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.look = look
}

// Refused says that the request was refused, and why. The first reason that has a number stays: it is the most exact
// one.
func (f *Footprint) Refused(reason string) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if code := codeOf(reason); !f.refused || f.code == 0 && code != 0 {
		f.refused, f.code, f.asked = true, code, false
	}
}

// Reason is the one that a reference of the request is to carry.
func (f *Footprint) Reason() string {
	if f == nil {
		return ""
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.refused {
		return ReasonAnswered
	}
	return codes[f.code]
}

// Alike says that the answer must be the same for a login that exists and for one that does not. Whoever is known has
// another bound than a stranger, and another reason: a reference that depended on these would tell the two apart.
func (f *Footprint) Alike() {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.alike = true
}

// IsAlike tells whether Alike was said.
func (f *Footprint) IsAlike() bool {
	if f == nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.alike
}

// Began is when the request began. A reference carries this moment and the count has it, so that a request at the end
// of a minute is found.
func (f *Footprint) Began() time.Time {
	if f == nil {
		return time.Time{}
	}
	return f.began
}

// Over tells whether the request must leave nothing of its own: it is only counted. The first time it is asked it takes
// one of what there is room for; a request takes one at most, unless it turns out later to be another kind of request.
func (f *Footprint) Over() bool {
	if f == nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.decide()
	for f.over && f.look != nil {
		look := f.look
		f.look = nil
		f.mu.Unlock()
		look()
		f.mu.Lock()
		f.decide()
	}
	return f.over
}

func (f *Footprint) decide() {
	switch {
	case f.asked:
		return
	case f.refused:
		f.over = !f.footprints.takeRefusal(f.address, f.code, f.known)
	case f.known:
		f.over = false
	default:
		f.over = !f.footprints.take(f.address)
	}
	f.asked = true
}

// LeftNothing tells whether it was found over its bound, and asks nothing.
func (f *Footprint) LeftNothing() bool {
	if f == nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked && f.over
}

// NoRoom says that the trace of a refused request found no room: then its reference has to carry the reason, and the
// request is counted.
func (f *Footprint) NoRoom() {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refused {
		f.asked, f.over = true, true
	}
}

// Traced says that the request left a trace under its own reference.
func (f *Footprint) Traced() {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.traced = true
}

// IsTraced tells whether Traced was said.
func (f *Footprint) IsTraced() bool {
	if f == nil {
		return true // nobody counts, so nothing else would be found
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.traced
}

// Done counts the request, if it left nothing. It is to be called once, at its end.
func (f *Footprint) Done() {
	if f.LeftNothing() {
		f.footprints.count(codeOf(f.Reason()), f.began)
	}
}
