package idp

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"ssobridge/idp/saml"
	"ssobridge/store"
)

// States of a participant in store.Participant.State; "" is one that was not asked yet.
const (
	partAsked    = "asked"     // the browser was sent there
	partDone     = "done"      // it answered Success
	partFailed   = "failed"    // it answered something else
	partNoAnswer = "no_answer" // the person came back without its answer
	partSkipped  = "skipped"   // the person did not want to go there
)

const (
	// logoutPause is how long the page stands before the next one is asked: time to read, and to skip.
	logoutPause = 2 * time.Second
	// logoutAgain is how soon after a participant was asked a second step means the
	// same one: a click on a page that was about to go on by itself.
	logoutAgain = 3 * time.Second
	// logoutRecent is how long a person is led back to a logout that stands still.
	logoutRecent = 15 * time.Minute
)

// requestID names our LogoutRequest: which logout, which participant, and 80
// random bits, since it can be asked again. So an answer finds its way whatever the
// participant does with RelayState.
func (p *IdP) requestID(logout string, n int) (string, error) {
	var b [10]byte
	if _, err := io.ReadFull(p.o.Random, b[:]); err != nil {
		return "", fmt.Errorf("read randomness for a message id: %w", err)
	}
	return "_" + logout + "." + strconv.Itoa(n) + "." + hex.EncodeToString(b[:]), nil
}

func splitRequestID(id string) (logout string, n int, ok bool) {
	parts := strings.Split(strings.TrimPrefix(id, "_"), ".")
	if len(parts) != 3 || !strings.HasPrefix(id, "_") || parts[0] == "" || len(id) > 256 {
		return "", 0, false
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil || n < 0 {
		return "", 0, false
	}
	return parts[0], n, true
}

// LogoutPage shows where a logout stands. Whoever comes here has come back: a participant that was asked and has not
// answered is given up, since its page may never lead back by itself (row REAL-08); its answer still counts if it comes
// later. With nobody left to ask and nothing to
// tell the person, the service provider that asked gets its answer at once.
func (p *IdP) LogoutPage(ctx context.Context, id string, v Visitor) (Answer, error) {
	return p.logoutStep(ctx, id, v, func(c *config, l *store.Logout, data logoutData) (Page, []store.Event, error) {
		var events []store.Event
		for i := range l.Participants {
			if part := &l.Participants[i]; part.State == partAsked && l.FinishedAt.IsZero() {
				part.State = partNoAnswer
				events = append(events, p.partEvent(v, *part))
			}
		}
		if n, left := c.nextPart(l, data.Last); left {
			return SigningOut{Logout: l.ID, Services: c.services(l), Provider: c.askedBy(l), Next: c.partName(l.Participants[n]),
				Step: n, Pause: logoutPause}, events, nil
		}
		if l.EntityID != "" && l.FinishedAt.IsZero() && c.allDone(l) {
			page, more, err := p.finishLogout(ctx, c, l, data, v)
			return page, append(events, more...), err
		}
		return c.signedOut(l), events, nil
	})
}

// RunningLogout finds a logout of this browser that has somebody left to ask: a
// participant that never answered has kept the browser, and not every browser's
// back button leads to the page before it. "" without one.
func (p *IdP) RunningLogout(ctx context.Context, v Visitor) (id string, err error) {
	if v.Browser == "" || !p.o.SingleLogout {
		return "", nil
	}
	id, err = p.o.Logouts.Running(ctx, hash(v.Browser), p.o.Now().Add(-logoutRecent))
	if err == nil {
		var l store.Logout
		if l, err = p.o.Logouts.Get(ctx, id); err == nil {
			c, err := p.loadConfig(ctx)
			if err != nil {
				return "", err
			}
			if _, left := c.nextPart(&l, nil); !left {
				return "", nil
			}
			return id, nil
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return "", fmt.Errorf("find running logout: %w", err)
}

// NextLogout sends the browser to the next participant. One that was asked and has
// not answered is given up, at once if it is number past; its answer still counts
// if it comes later. A past of -1 names none.
func (p *IdP) NextLogout(ctx context.Context, id string, past int, v Visitor) (Answer, error) {
	return p.logoutStep(ctx, id, v, func(c *config, l *store.Logout, data logoutData) (Page, []store.Event, error) {
		if !l.FinishedAt.IsZero() {
			return c.signedOut(l), nil, nil
		}
		now := p.o.Now()
		var events []store.Event
		for {
			n, left := c.nextPart(l, data.Last)
			if !left {
				return LogoutGoOn{l.ID}, events, nil
			}
			part := &l.Participants[n]
			if part.State == partAsked && (n == past || now.Sub(part.AskedAt) >= logoutAgain) {
				part.State = partNoAnswer
				events = append(events, p.partEvent(v, *part))
				continue
			}
			sp := c.providers[part.EntityID]
			by, err := c.signerFor(sp.EntityID, now)
			if err != nil {
				return nil, nil, err
			}
			if part.Request, err = p.requestID(l.ID, n); err != nil {
				return nil, nil, err
			}
			part.State, part.AskedAt = partAsked, now.UTC().Truncate(time.Microsecond)
			page, err := p.askLogout(ctx, by, sp, *part)
			return page, events, err
		}
	})
}

// SkipLogout leaves one participant out, by its number.
func (p *IdP) SkipLogout(ctx context.Context, id string, step int, v Visitor) (Answer, error) {
	return p.logoutStep(ctx, id, v, func(_ *config, l *store.Logout, _ logoutData) (Page, []store.Event, error) {
		page := LogoutGoOn{l.ID}
		if step < 0 || step >= len(l.Participants) || !l.FinishedAt.IsZero() {
			return page, nil, nil
		}
		part := &l.Participants[step]
		switch part.State {
		case "":
			part.State = partSkipped
		case partAsked:
			part.State = partNoAnswer
		default:
			return page, nil, nil
		}
		return page, []store.Event{p.partEvent(v, *part)}, nil
	})
}

// EndLogout answers the service provider that asked, whoever is still left to ask.
func (p *IdP) EndLogout(ctx context.Context, id string, v Visitor) (Answer, error) {
	return p.logoutStep(ctx, id, v, func(c *config, l *store.Logout, data logoutData) (Page, []store.Event, error) {
		if l.EntityID == "" || !l.FinishedAt.IsZero() {
			return c.signedOut(l), nil, nil
		}
		return p.finishLogout(ctx, c, l, data, v)
	})
}

// finishLogout makes the one LogoutResponse (row SLO-03).
func (p *IdP) finishLogout(ctx context.Context, c *config, l *store.Logout, data logoutData, v Visitor) (Page,
	[]store.Event, error) {
	now := p.o.Now()
	l.FinishedAt = now.UTC().Truncate(time.Microsecond)
	sp := c.providers[l.EntityID]
	st := saml.Status{Top: saml.StatusSuccess}
	switch {
	case data.Reason != "":
		st = statusOf(data.Reason)
	case !c.allDone(l):
		st.Second = saml.StatusPartialLogout // saml-core 3.7.3.2
	}
	id, err := p.messageID()
	if err != nil {
		return nil, nil, err
	}
	event := p.logoutEvent(v, "", l.EntityID)
	event.Action = "logout-response"
	if st.Top != saml.StatusSuccess || st.Second != "" {
		event.Outcome, event.Reason = "failed", data.Reason
	}
	detail := struct {
		Response     string            `json:"response"`
		InResponseTo string            `json:"in_response_to"`
		Participants map[string]string `json:"participants,omitempty"`
	}{id, l.RequestID, map[string]string{}}
	for _, part := range l.Participants {
		detail.Participants[part.EntityID] = string(c.state(part))
	}
	if event.Detail, err = json.Marshal(detail); err != nil {
		return nil, nil, fmt.Errorf("response for %s: %w", l.EntityID, err)
	}
	if _, ok := sp.logoutEndpoint(data.Binding); !ok {
		// Who asked has no address for an answer: the person stays here.
		event.Outcome, event.Reason = "failed", string(Unreachable)
		return c.signedOut(l), []store.Event{event}, nil
	}
	by, err := c.signerFor(sp.EntityID, now)
	if err != nil {
		return nil, nil, err
	}
	page, err := p.answerLogout(ctx, by, sp, data.Binding, id, l.RequestID, data.RelayState, st)
	return page, []store.Event{event}, err
}

// logoutStep loads a logout for v, takes one step, and stores what the step has
// changed together with its events. When another request was faster the step is
// taken again, on what that one has left.
func (p *IdP) logoutStep(ctx context.Context, id string, v Visitor, step func(*config, *store.Logout, logoutData) (Page,
	[]store.Event, error)) (answer Answer, err error) {
	ctx, end := p.traced(asLogout(ctx), v, "single logout")
	defer func() { end(&answer, &err) }()
	if page, err := p.openLogout(ctx, id, v); page != nil || err != nil {
		return Answer{Page: page}, err
	}
	c, err := p.loadConfig(ctx)
	if err != nil {
		return Answer{}, err
	}
	if v.Session != "" {
		// A cross-site POST came without the session's cookie; now it is here, and worth
		// nothing any more.
		_, known, err := p.liveSession(ctx, v)
		if err != nil {
			return Answer{}, err
		}
		answer.EndSession = !known
	}
	var data logoutData
	err = p.changeLogout(ctx, id, func(l *store.Logout) ([]store.Event, error) {
		data = logoutData{}
		if err := json.Unmarshal(l.Data, &data); err != nil {
			return nil, fmt.Errorf("read logout: %w", err)
		}
		page, events, err := step(c, l, data)
		answer.Page = page
		return events, err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return Answer{Page: Refusal{Reason: ReasonUnknownLogout, Status: http.StatusNotFound}}, nil
	case err != nil:
		return Answer{}, err
	}
	p.partly(ctx, v, answer.Page)
	if over, ok := answer.Page.(SignedOut); ok {
		answer.Page = p.atProvider(ctx, over, data.Source)
	}
	return answer, nil
}

// partly says in log and trace where a single logout that comes to its end has not signed the person out.
func (p *IdP) partly(ctx context.Context, v Visitor, page Page) {
	over, ok := page.(SignedOut)
	if !ok {
		return
	}
	var open []string
	for _, s := range over.Services {
		if s.State != LoggedOut {
			open = append(open, fmt.Sprintf("%.80q (%s)", s.Name, s.State))
		}
	}
	if len(open) > 0 {
		p.refusedWith(ctx, "single logout is not complete", v, "", Why{Reason: ReasonLogoutPartial,
			Cause: "the person was signed out here, and not at: " + shownList(open)})
	}
}

// openLogout sees to it that a logout belongs to this browser. Where it does not,
// the page that says so is returned.
func (p *IdP) openLogout(ctx context.Context, id string, v Visitor) (Page, error) {
	unknown := Refusal{Reason: ReasonUnknownLogout, Status: http.StatusNotFound}
	if id == "" || len(id) > 128 {
		return unknown, nil
	}
	l, err := p.o.Logouts.Get(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return unknown, nil
	case err != nil:
		return nil, fmt.Errorf("read logout: %w", err)
	}
	other := func() (Page, error) {
		p.logRefusal(ctx, v, l.EntityID, Why{Reason: ReasonOtherBrowser,
			Cause: "the browser cookie is not the one that the logout belongs to", Fix: "have the person sign out in this browser"})
		return Refusal{Reason: ReasonOtherBrowser, Status: http.StatusForbidden}, nil
	}
	browser := hash(v.Browser)
	switch {
	case browser == nil:
		return other()
	case len(l.Browser) > 0:
		if subtle.ConstantTimeCompare(l.Browser, browser) != 1 {
			return other()
		}
		return nil, nil
	}
	// A cross-site POST came without cookies (row WEB-03): the first browser that
	// shows the random id is the one that was redirected to it.
	err = p.o.Logouts.Bind(ctx, id, browser)
	switch {
	case errors.Is(err, store.ErrConflict):
		return other()
	case errors.Is(err, store.ErrNotFound):
		return unknown, nil
	case err != nil:
		return nil, fmt.Errorf("bind logout to browser: %w", err)
	}
	return nil, nil
}

// changeLogout reads a logout, has it changed and stores what has changed, with
// the events that change returns. It begins anew when another request was faster.
// With an error of change nothing is stored. ErrNotFound comes wrapped.
func (p *IdP) changeLogout(ctx context.Context, id string, change func(*store.Logout) ([]store.Event, error)) error {
	const tries = 5
	for try := 1; ; try++ {
		l, err := p.o.Logouts.Get(ctx, id)
		if err != nil {
			return fmt.Errorf("read logout: %w", err)
		}
		before, finished := slices.Clone(l.Participants), l.FinishedAt
		events, err := change(&l)
		if err != nil {
			return err
		}
		same := slices.EqualFunc(before, l.Participants, func(a, b store.Participant) bool {
			return a.State == b.State && a.Request == b.Request && a.AskedAt.Equal(b.AskedAt)
		})
		if same && l.FinishedAt.Equal(finished) && len(events) == 0 {
			return nil
		}
		err = p.o.Logouts.Update(ctx, l, events...)
		switch {
		case err == nil:
			return nil
		case try == tries, !errors.Is(err, store.ErrConflict):
			return fmt.Errorf("store logout: %w", err)
		}
	}
}
