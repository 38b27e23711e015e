package idp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"unicode/utf8"

	"ssobridge/idp/directory"
	"ssobridge/store"
)

// reasonRevoked stands in the log and the audit for a login or proof that a revocation has overtaken. The person is asked again.
const reasonRevoked = "revoked"

// Bounds of what the login form sends.
const (
	maxLogin    = 256
	maxPassword = 1024
)

// Login answers a submitted login form: GoOn with a new session, AskPassword
// with the problem, or a Refusal. A wrong password and a directory that is down
// are never mixed up: only the first one counts as a failed login (row LDAP-09).
func (p *Provider) Login(ctx context.Context, id, login, password string, v Visitor) (a Answer, err error) {
	ctx, end := p.traced(ctx, v, "")
	defer func() { end(&a, &err) }()
	f, page, err := p.resume(ctx, id, v, true)
	if f == nil {
		return Answer{Page: page}, err
	}
	if f.passive() {
		return p.proceed(ctx, f) // no form was shown
	}
	form := AskPassword{Login: login, Problem: directory.BadCredentials}
	if login == "" || password == "" || len(login) > maxLogin || len(password) > maxPassword || !utf8.ValidString(login) {
		if len(login) > maxLogin || !utf8.ValidString(login) {
			form.Login = ""
		}
		return p.askPassword(ctx, f, form) // nothing that a directory could know: not worth a count
	}
	attempt, page, err := p.throttle(ctx, f, login)
	if page != nil || err != nil {
		return Answer{Page: page}, err
	}
	// Before the password is looked at: what is revoked from here on ends this login too.
	mark, err := p.o.Sessions.Mark(ctx)
	if err != nil {
		return Answer{}, fmt.Errorf("log in: %w", err)
	}
	began := traceOf(ctx).begin()
	e, err := p.o.Directory.Authenticate(ctx, login, password)
	traceOf(ctx).bound(began, e, err)
	if err == nil && e.Problem != "" {
		err = &directory.Error{Problem: e.Problem, Op: "sign in", PersonID: e.ID, Err: errors.New("the entry says so")}
	}
	if err != nil {
		return p.failedLogin(ctx, f, form, attempt, err)
	}
	if over, err := p.overLimit(ctx, attempt, e.ID); err != nil {
		return Answer{}, err
	} else if over {
		// The limit holds for the person, whatever spelling of the login was used. The
		// answer is that of a wrong password, so that it tells nothing about this one.
		p.logRefusal(ctx, v, f.sp.EntityID, ReasonTooManyAttempts, "the password is right, and this person has too many failed logins under other spellings of the login", "wait until login_window is over")
		return p.askPassword(ctx, f, form)
	}

	token, err := p.startSession(ctx, f, attempt, e, mark)
	switch {
	case errors.Is(err, store.ErrRevoked):
		p.logRefusal(ctx, v, f.sp.EntityID, reasonRevoked, "the person's sessions were ended while the password was checked", "log in again")
		event := p.event(f, "login", store.PersonID(e.ID))
		event.Outcome, event.Reason = "refused", reasonRevoked
		if err := p.o.Audit.Add(ctx, event); err != nil {
			return Answer{}, fmt.Errorf("record login: %w", err)
		}
		return p.askPassword(ctx, f, AskPassword{Login: form.Login})
	case err != nil:
		return Answer{}, err
	}
	traceOf(ctx).person(store.PersonID(e.ID))
	return Answer{Page: GoOn{id}, NewSession: token}, nil
}

// startSession stores a session with a token of its own: a login never goes on
// with an old one (row WEB-02).
func (p *Provider) startSession(ctx context.Context, f *flow, a attempt, e directory.Entry, mark int64) (string, error) {
	now := p.o.Now()
	if e.ID == "" {
		return "", errors.New("directory gave a person without an immutable id")
	}
	if e.ReadAt.IsZero() {
		e.ReadAt = now
	}
	reading, err := json.Marshal(e)
	if err != nil {
		return "", fmt.Errorf("encode directory reading: %w", err)
	}
	token, err := p.token()
	if err != nil {
		return "", err
	}
	event := p.event(f, "login", store.PersonID(e.ID))
	event.Outcome = "ok"
	err = p.o.Sessions.Create(ctx, store.Session{
		TokenHash:       hash(token),
		Person:          store.PersonID(e.ID),
		Login:           e.Login,
		Browser:         hash(f.v.Browser),
		AuthenticatedAt: now,
		Methods:         []string{methodPassword},
		Reading:         reading,
		ReadAt:          e.ReadAt,
		SeenAt:          now,
		EndsAt:          now.Add(p.o.SessionLife),
		Mark:            mark,
		KnownAs:         a.name,
		Clears:          a.clears(e.ID),
	}, hash(f.v.Session), event)
	if err != nil {
		return "", fmt.Errorf("store session: %w", err)
	}
	return token, nil
}

// failedLogin turns an error of the directory into a page.
func (p *Provider) failedLogin(ctx context.Context, f *flow, form AskPassword, a attempt, cause error) (Answer, error) {
	if ctx.Err() != nil {
		return Answer{}, fmt.Errorf("sign in: %w", cause)
	}
	problem, person := directory.Unavailable, ""
	var failed *directory.Error
	if errors.As(cause, &failed) && failed.Problem != "" {
		problem, person = failed.Problem, failed.PersonID
	}
	p.o.Logger.LogAttrs(ctx, slog.LevelInfo, "login failed", slog.String("ref", f.v.Ref), slog.String("reason", string(problem)),
		slog.String("sp", f.sp.EntityID), slog.String("address", f.v.Address), slog.Any("cause", cause))

	event := p.event(f, "login", store.PersonID(person))
	event.Outcome, event.Reason = "refused", string(problem)
	switch problem {
	case directory.Unavailable:
		page, err := p.refuse(ctx, f, refusal{reason: ReasonDirectoryDown, status: http.StatusServiceUnavailable, retry: true,
			detail: "the directory does not answer", mend: "look after the directory"})
		return Answer{Page: page}, err
	case directory.Disabled, directory.Expired, directory.PasswordExpired, directory.MustChange, directory.NotNow, directory.NotHere:
		// Only told after the right password (row LDAP-08), so it is no guess to count.
		form.Problem = problem
		if err := p.o.Audit.Add(ctx, event); err != nil {
			return Answer{}, fmt.Errorf("record login: %w", err)
		}
		return p.askPassword(ctx, f, form)
	case directory.BadData:
		if person == "" {
			break // found before the password was checked: not to be told apart
		}
		page, err := p.refuse(ctx, f, refusal{reason: string(problem), status: http.StatusForbidden,
			detail: "what the directory holds of this person can't be used", mend: "see the line before"})
		return Answer{Page: page}, err
	}
	// BadCredentials, Locked, Ambiguous and whatever is not known: one text for all.
	if err := p.o.Throttle.Fail(ctx, p.o.LoginWindow, event, a.counts(person)...); err != nil {
		return Answer{}, fmt.Errorf("count failed login: %w", err)
	}
	return p.askPassword(ctx, f, form)
}
