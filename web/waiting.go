package web

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"ssobridge/idp"
	"ssobridge/provisioning"
)

type waitView struct {
	token
	Provider  string
	Account   string
	Role      string
	Message   string
	Detail    string
	Poll      int64  // milliseconds until the script asks
	Refresh   int64  // seconds until the page asks by itself where no script runs
	Ask, Next string // where the script asks, and where it goes then
	Left      int64  // seconds until a switch of keys is over
	Clock     string // the same as people read it, 2:05
	Long      bool   // waiting here makes no sense
	CanCancel bool
}

func (s *Server) showWaiting(c echo.Context, v *visit, p idp.Waiting) error {
	page := "waiting"
	if p.Progress.Cause == idp.CauseKeySwitch {
		page = "switching"
	}
	name := p.Account.Name
	if name == "" {
		name = string(p.Account.Account)
	}
	provider := s.provider(p.Provider)
	message, detail := s.told(c, p.Progress)
	poll := s.pollAfter(p.Progress)
	left := s.left(p.Progress)
	return s.show(c, http.StatusOK, page, policy{script: true, connect: true}, waitView{
		token: s.token(v, p.SignIn), Provider: provider, Account: name, Role: s.in(c).texts.Role(p.Account.Role),
		Message: message, Detail: detail, Poll: poll.Milliseconds(), Refresh: max(3, int64(poll/time.Second)),
		Ask: "/login/progress?" + strings.TrimPrefix(loginPath(p.SignIn), "/login?"), Next: loginPath(p.SignIn),
		Left: left, Clock: fmt.Sprintf("%d:%02d", left/60, left%60), Long: s.long(p.Progress), CanCancel: p.CanCancel,
	})
}

// progress is what the waiting page's script asks. It says how things stand, in
// words, and nothing that could not stand on the page.
func (s *Server) progress(c echo.Context) error {
	f, err := query(c)
	if err != nil {
		return err
	}
	id, err := linkedID(f)
	if err != nil {
		return err
	}
	v := visitOf(c)
	pr, ready, err := s.idp.Progress(c.Request().Context(), id, v.visitor())
	if err != nil {
		return fmt.Errorf("progress of a sign-in: %w", err)
	}
	answer := struct {
		Ready   bool   `json:"ready"`
		Message string `json:"message"`
		Detail  string `json:"detail,omitempty"`
		Poll    int64  `json:"poll"`           // milliseconds
		Left    int64  `json:"left,omitempty"` // seconds until a switch of keys is over
	}{Ready: ready, Poll: s.pollAfter(pr).Milliseconds(), Left: s.left(pr)}
	if ready {
		answer.Message = s.in(c).texts.text("wait.ready")
	} else {
		answer.Message, answer.Detail = s.told(c, pr)
	}
	return c.JSON(http.StatusOK, answer)
}

// told puts the progress of a creation into words: what is being done, and what is
// known of when it is done.
func (s *Server) told(c echo.Context, p provisioning.Progress) (message, detail string) {
	texts := s.in(c).texts
	message = texts.cause(p.Cause)
	var more []string
	add := func(key string, pairs ...any) { more = append(more, texts.text(key, pairs...)) }
	switch {
	case p.Cause != "" && p.Cause != "queued" || p.Place < 1:
	case p.Place == 1:
		add("wait.first")
	default:
		add("wait.ahead", "count", p.Place-1)
	}
	switch until := p.NextTry.Sub(s.now()); {
	case p.Cause == "sending":
	case p.Cause == idp.CauseKeySwitch:
		add("switch.until", "time", texts.Duration(until))
	case p.Attempts > 0 && !p.NextTry.IsZero() && until > time.Second:
		add("wait.retry", "time", texts.Duration(until))
	case p.Attempts > 0 && !p.NextTry.IsZero():
		add("wait.soon")
	case p.Cause == "quota" && until > time.Second:
		add("wait.retry", "time", texts.Duration(until))
	case p.Expected > 0:
		add("wait.expected", "time", texts.Duration(p.Expected))
	}
	return message, strings.Join(more, " ")
}

// pollAfter is how long to leave before asking again: often at first, when it takes
// a second or two, and seldom when it takes hours.
func (s *Server) pollAfter(p provisioning.Progress) time.Duration {
	waited := time.Duration(0)
	if !p.Since.IsZero() {
		waited = s.now().Sub(p.Since)
	}
	switch {
	case p.Cause == idp.CauseKeySwitch:
		// Until it is over nothing changes, unless somebody takes the switch back.
		return min(5*time.Second, max(time.Second, p.NextTry.Sub(s.now())))
	case s.long(p):
		return time.Minute
	case waited < 10*time.Second:
		return time.Second
	case waited < time.Minute:
		return 2 * time.Second
	case waited < 10*time.Minute:
		return 5 * time.Second
	}
	return 15 * time.Second
}

// left is how many seconds a switch of keys still takes; 0 for another wait.
func (s *Server) left(p provisioning.Progress) int64 {
	if p.Cause != idp.CauseKeySwitch {
		return 0
	}
	return max(0, int64((p.NextTry.Sub(s.now())+time.Second-1)/time.Second))
}

// long tells whether it takes longer than people sit before a page.
func (s *Server) long(p provisioning.Progress) bool {
	return p.Cause == "quota" || p.Expected > 10*time.Minute || p.NextTry.Sub(s.now()) > 10*time.Minute
}
