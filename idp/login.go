package idp

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"ssobridge/idp/directory"
	"ssobridge/store"
)

// reasonRevoked stands in the log and the audit for a login or proof that a revocation has overtaken. The person is
// asked again.
const reasonRevoked = "revoked"

// Bounds of what the login form sends.
const (
	maxLogin    = 256
	maxPassword = 1024
)

// Login answers a submitted login form: GoOn with a new session, AskPassword
// with the problem, or a Refusal. A wrong password and a directory that is down
// are never mixed up: only the first one counts as a failed login (row LDAP-09).
func (p *IdP) Login(ctx context.Context, id, login, password string, v Visitor) (a Answer, err error) {
	ctx, end := p.traced(ctx, v, "")
	defer func() { end(&a, &err) }()
	f, page, err := p.resume(ctx, id, v, true)
	if f == nil {
		return Answer{Page: page}, err
	}
	if f.passive() || f.launching() || !p.byPassword(ctx, f) {
		return p.proceed(ctx, f) // no form was shown
	}
	if source, ok := p.ofDomain(ctx, f, login); ok {
		// By the domain alone, before anything is looked up: it says nothing of who exists. The password, if there is one,
		// goes nowhere.
		f.choose(source.Name)
		f.hint = strings.TrimSpace(login)
		return p.askPassword(ctx, f, AskPassword{})
	}
	return p.logIn(ctx, f, login, password)
}

// logIn judges a login's password and starts a session.
func (p *IdP) logIn(ctx context.Context, f *flow, login, password string) (Answer, error) {
	form := AskPassword{Login: login, Problem: directory.BadCredentials}
	if login == "" || password == "" || len(login) > maxLogin || len(password) > maxPassword || !utf8.ValidString(login) {
		if len(login) > maxLogin || !utf8.ValidString(login) {
			form.Login = ""
		}
		return p.askPassword(ctx, f, form) // nothing that a directory could know: not worth a count
	}
	began, step := p.o.Now(), traceOf(ctx).begin()
	found, err := p.o.Directory.Lookup(ctx, login)
	if err != nil {
		traceOf(ctx).bound(step, directory.Entry{}, err)
		return p.nobody(ctx, f, form, began, err)
	}
	try, mark, answer, err := p.beginTry(ctx, f, form, found, began)
	if try == nil {
		return answer, err
	}
	defer func() { try.done() }()
	e, err := p.bind(ctx, found, password, try)
	traceOf(ctx).bound(step, e, err)
	if err == nil && e.Problem != "" {
		err = &directory.Error{Problem: e.Problem, Op: "sign in", PersonID: e.ID, Err: errors.New("the entry says so"),
			Try: directory.Proved}
	}
	if err != nil {
		return p.failedLogin(ctx, f, form, *try, began, err)
	}

	token, err := p.startSession(ctx, f, *try, e, mark)
	if err != nil {
		p.settle(ctx, *try, store.TryReturned) // the password was right
	}
	switch {
	case errors.Is(err, store.ErrRevoked):
		p.logRefusal(ctx, f.v, f.sp.EntityID, Why{Reason: reasonRevoked})
		event := p.event(f, "login", store.PersonID(e.ID))
		event.Outcome, event.Reason = "refused", reasonRevoked
		if err := p.o.Audit.Add(ctx, event); err != nil {
			return Answer{}, fmt.Errorf("record login: %w", err)
		}
		return p.askPassword(ctx, f, AskPassword{Login: form.Login})
	case errors.Is(err, store.ErrConflict) && f.in.RequestID != "":
		return Answer{Page: p.replayed(ctx, f)}, nil // answered meanwhile, in another sign-in
	case err != nil:
		return Answer{}, err
	}
	p.flights.end(try.person)
	traceOf(ctx).person(store.PersonID(e.ID))
	return Answer{Page: GoOn{SignIn: cmp.Or(f.in.ID, f.id)}, NewSession: token}, nil
}

// beginTry takes a try before a password is judged: of passwords that come together no more are judged than the limit,
// whatever spelling of the login, address or replica they come by (row ID-08). Where none is taken try is nil, and the
// answer is all there is; else the caller calls try.done. What is revoked after mark ends this login too.
func (p *IdP) beginTry(ctx context.Context, f *flow, form AskPassword, found directory.Found,
	began time.Time) (try *attempt, mark int64, a Answer, err error) {
	try = &attempt{person: found.Person(), id: found.Entry.ID, blocks: addressBlocks(f.v.Address), done: func() {}}
	// The browser is known by the login in the directory's form: what was typed may be somebody else's.
	before, err := p.o.Throttle.Before(ctx, try.person, try.blocks, directory.NormalizeLogin(found.Entry.Login),
		hash(f.v.Browser))
	if err != nil {
		return nil, mark, Answer{}, fmt.Errorf("take a try of a password: %w", err)
	}
	try.known = before.Known && found.Entry.Login != ""
	verdict, err := p.take(ctx, try, before.Counters)
	if err == nil && verdict == tryTaken {
		return try, before.Mark, Answer{}, nil
	}
	defer try.done()
	switch {
	case err != nil:
		return nil, mark, Answer{}, err
	case verdict == tryBusy:
		return nil, mark, p.busy(ctx, f), nil
	}
	a, err = p.tooMany(ctx, f, form, *try, began)
	return nil, mark, a, err
}

// bind has the directory judge the password. Where the answer got lost on a connection that had been idle, it is asked
// once more, and that is another try: the first one may have been counted there.
func (p *IdP) bind(ctx context.Context, found directory.Found, password string, a *attempt) (directory.Entry, error) {
	began := p.o.Now()
	e, err := p.o.Directory.Bind(ctx, found, password, a.slow)
	var failed *directory.Error
	if errors.As(err, &failed) && failed.Again && failed.Try == directory.MaybeJudged {
		if err := p.o.Throttle.Settle(ctx, a.settled(store.TryFailed)); err != nil {
			return directory.Entry{}, fmt.Errorf("count a try: %w", err)
		}
		verdict, took := p.takeAgain(ctx, a)
		if took != nil || verdict != tryTaken {
			// Nothing is in flight any more, so nothing is to be settled.
			a.person = ""
			return directory.Entry{}, errors.Join(err, took)
		}
		e, err = p.o.Directory.Bind(ctx, found, password, a.slow)
	}
	if !a.slow {
		p.pace.record(p.o.Now().Sub(began))
	}
	return e, err
}

// takeAgain is take for another try of the same login.
func (p *IdP) takeAgain(ctx context.Context, a *attempt) (tryVerdict, error) {
	counters, err := p.o.Throttle.Counters(ctx, a.person, a.blocks)
	if err != nil {
		return 0, fmt.Errorf("count tries: %w", err)
	}
	return p.take(ctx, a, counters)
}

// nobody answers where no one person has this login, or the directory could not be asked. Nothing is taken and nothing
// counted.
func (p *IdP) nobody(ctx context.Context, f *flow, form AskPassword, began time.Time, cause error) (Answer, error) {
	var failed *directory.Error
	if ctx.Err() != nil || !errors.As(cause, &failed) || failed.Problem == directory.Unavailable || failed.Problem == "" {
		return p.failedLogin(ctx, f, form, attempt{}, began, cause)
	}
	p.logFailure(ctx, f, failed.Problem, cause)
	a := attempt{blocks: addressBlocks(f.v.Address), done: func() {}}
	counters, err := p.o.Throttle.Counters(ctx, "", a.blocks)
	if err != nil {
		return Answer{}, fmt.Errorf("count tries: %w", err)
	}
	verdict, err := p.line(ctx, &a, counters)
	defer func() { a.done() }()
	switch {
	case err != nil:
		return Answer{}, err
	case verdict == tryBusy:
		return p.busy(ctx, f), nil
	}
	event := p.event(f, "login", "")
	event.Outcome, event.Reason = "refused", string(failed.Problem)
	p.unknownLogin(ctx, event)
	return p.wrongPassword(ctx, f, form, began)
}

// startSession stores a session with a token of its own: a login never goes on
// with an old one (row WEB-02). A sign-in that was only started until now is stored with it, in one transaction.
func (p *IdP) startSession(ctx context.Context, f *flow, a attempt, e directory.Entry, mark int64) (string, error) {
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
	begins, err := p.begins(f)
	if err != nil {
		return "", err
	}
	if begins != nil {
		begins.Session = hash(token)
	}
	event := p.event(f, "login", store.PersonID(e.ID))
	event.Outcome = "ok"
	err = p.o.Sessions.Create(ctx, store.Session{
		TokenHash:       hash(token),
		Person:          store.PersonID(e.ID),
		Login:           e.Login,
		Name:            personName(e),
		Browser:         hash(f.v.Browser),
		AuthenticatedAt: now,
		Methods:         []string{methodPassword},
		Reading:         reading,
		ReadAt:          e.ReadAt,
		SeenAt:          now,
		EndsAt:          now.Add(p.o.SessionLife),
		Mark:            mark,
		KnownAs:         directory.NormalizeLogin(e.Login),
		Try:             a.settled(store.TrySucceeded),
		Begins:          begins,
	}, hash(f.v.Session), event)
	if err != nil {
		return "", fmt.Errorf("store session: %w", err)
	}
	return token, nil
}

// failedLogin turns an error of the directory into a page.
func (p *IdP) failedLogin(ctx context.Context, f *flow, form AskPassword, a attempt, began time.Time,
	cause error) (Answer, error) {
	problem, person, result, proved := directory.Unavailable, "", store.TryFailed, false
	var failed *directory.Error
	if errors.As(cause, &failed) && failed.Problem != "" {
		problem, person, proved = failed.Problem, failed.PersonID, failed.Try == directory.Proved
		if failed.Try != directory.MaybeJudged {
			result = store.TryReturned
		}
	}
	if ctx.Err() != nil {
		// Whoever gave up may have had an answer on its way: the try stays as it was judged.
		p.settle(ctx, a, result)
		return Answer{}, fmt.Errorf("sign in: %w", cause)
	}
	if problem != directory.Unavailable { // which is logged as the refusal that it leads to
		p.logFailure(ctx, f, problem, cause)
	}
	event := p.event(f, "login", store.PersonID(person))
	event.Outcome, event.Reason = "refused", string(problem)
	switch problem {
	case directory.Unavailable:
		p.settle(ctx, a, result)
		page, err := p.refuse(ctx, f, refusal{status: http.StatusServiceUnavailable, retry: true, err: cause,
			Why: directoryDown(cause)})
		return Answer{Page: page}, err
	case directory.Disabled, directory.Expired, directory.PasswordExpired, directory.MustChange, directory.NotNow,
		directory.NotHere:
		if !proved {
			break // said without a look at the password: not to be told apart from a wrong one, and a guess
		}
		// Only told after the right password (row LDAP-08), so it is no guess to count.
		form.Problem, form.Change = problem, p.passwordEnded(problem)
		p.settle(ctx, a, store.TryReturned, event)
		return p.askPassword(ctx, f, form)
	case directory.BadData:
		if person == "" {
			break // found before the password was checked: not to be told apart
		}
		p.settle(ctx, a, store.TryReturned, event) // after the right password: it is somebody's
		page, err := p.refuse(ctx, f, refusal{status: http.StatusForbidden, Why: badLogin(problem, cause)})
		return Answer{Page: page}, err
	}
	// BadCredentials, Locked, Ambiguous, an account that the directory closed before it looked at the password, and
	// whatever is not known: one text for all.
	p.settle(ctx, a, result, event)
	return p.wrongPassword(ctx, f, form, began)
}

// logFailure writes why a login failed. The page may say less.
func (p *IdP) logFailure(ctx context.Context, f *flow, problem directory.Problem, cause error) {
	p.refusedWith(ctx, "login failed", f.v, f.sp.EntityID, badLogin(problem, cause), slog.Any("error", cause))
}

// badLogin says why the directory refuses a login.
func badLogin(problem directory.Problem, cause error) Why {
	w := Why{Reason: string(problem)}
	switch {
	case problem == directory.BadCredentials && errors.Is(cause, directory.ErrNotFound):
		w.Cause = "no entry of the directory matches the login name (directory.login_filter)"
		w.Fix = "have the person check their login name; an explanation of a login name shows what the directory finds"
	case problem == directory.BadCredentials:
		w.Cause = "the directory refused the password"
	case problem == directory.BadData:
		if what := unusable(cause); what != "" {
			w.Cause = TextOf(w.Reason).Cause + " " + sentence(what)
		}
	}
	return w
}

// unusable is what can't be used of an entry, without the entry's name; "" where that is not known.
func unusable(cause error) string {
	failed, ok := errors.AsType[*directory.Error](cause)
	if !ok || failed.Err == nil {
		return ""
	}
	what := failed.Err
	if inner := errors.Unwrap(what); inner != nil && strings.HasPrefix(what.Error(), "entry ") {
		what = inner
	}
	return what.Error()
}

// directoryDown names the very fault of a directory that does not answer. The check tries each server, its certificate,
// the service account and the DNs of the configuration: more than a sign-in knows.
func directoryDown(cause error) Why {
	fault := directory.Diagnose(cause)
	return Why{Reason: ReasonDirectoryDown, Cause: fault.Text, Fix: fault.Fix}
}
