package idp

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"ssobridge/idp/claims"
	"ssobridge/idp/directory"
	"ssobridge/store"
)

// Reasons of signed launches beside those of package claims, which say what is wrong with a token.
const (
	// ReasonNoSources: there is no source of people beside the directory (404).
	ReasonNoSources = "no_sources"
	// ReasonLaunchLate: the page of a signed launch was not opened in time, or its session is over (403).
	ReasonLaunchLate = "launch_late"
	// ReasonLaunchFactor: the client account asks for a second factor, which a signed launch can't prove (403).
	ReasonLaunchFactor = "launch_factor"
	// ReasonSignedOut: the person signed out at the source after its token came (403).
	ReasonSignedOut = "launch_signed_out"
)

// launchLife is how long the page of a signed launch can be opened after its token came. It is in no address but the
// browser's cookie, and is good in this browser alone.
const launchLife = 60 * time.Second

// TokenLaunch is a start by the partner's application. Everything of it comes by a form that any page can post.
type TokenLaunch struct {
	Token   string
	Account string // as the form spells it; "": the person chooses where there are several
	Origin  string // of the page that posted the form, as the browser says; "": it does not
}

// pendingLaunch is what a token said that passed its checks. It travels sealed with the sign-in, and is gone with it.
type pendingLaunch struct {
	Source   string        `json:"s"`
	Sub      string        `json:"u"`
	Person   claims.Person `json:"p"`
	Used     []byte        `json:"j"`
	IssuedAt int64         `json:"i"` // microseconds
	EndsAt   int64         `json:"e"`
	Key      string        `json:"k"`
	Session  string        `json:"o,omitempty"` // the person's at an OpenID provider, by a hash; "": it is not known
	Proofs   []string      `json:"q,omitempty"` // values of acr and amr that its source is trusted by
	AuthTime int64         `json:"t,omitempty"` // seconds; 0: not said
	Answers  *answered     `json:"r,omitempty"` // the request that it answers; nil: it began at the source
	// Mark is the number of revocations when the token came, and Names are those by which its source can sign the person
	// out: who does so before the session begins has none.
	Mark  int64    `json:"m,omitempty"`
	Names [][]byte `json:"n,omitempty"`
	// Fresh says that the token has answered a request for a new login.
	Fresh bool `json:"f,omitempty"`
	// Ask says that a page names person and account first, and waits for a click: nobody has said that the person meant
	// to come (login CSRF).
	Ask bool `json:"a,omitempty"`
}

// ConfirmLaunch is the page that names who is about to be signed in, and waits for a click.
type ConfirmLaunch struct {
	SignIn, Provider string
	Person           string // who comes by the launch
	Contact          string // their mail address, or their login where they have none
	Account          string // that they asked for, "" for none
	Instead          string // who is signed in in this browser so far, and would be no more; "": nobody else
}

func (ConfirmLaunch) page() {}

// LaunchToken starts a sign-in by a token of a source. Nothing is stored and the token is not used up yet: the answer
// leads to a page of ours, which the browser opens with our cookies.
func (p *IdP) LaunchToken(ctx context.Context, l TokenLaunch, v Visitor) (a Answer, err error) {
	ctx, end := p.traced(ctx, v, "signed launch")
	defer func() { end(&a, &err) }()
	if len(p.o.Sources) == 0 {
		return Answer{Page: Refusal{Reason: ReasonNoSources, Status: http.StatusNotFound}}, nil
	}
	c, err := p.loadConfig(ctx)
	if err != nil {
		return Answer{}, err
	}
	checked, bad := p.checkToken(ctx, c, l.Token, claims.TypeLaunch)
	if bad != nil {
		return Answer{Page: p.refuseToken(ctx, v, bad)}, nil
	}
	var (
		sp      *serviceProvider
		answers *answered
		page    Page
	)
	if checked.Request != "" {
		if answers, bad = p.openRequest(checked.Source.Name, checked.Request); bad != nil {
			return Answer{Page: p.refuseToken(ctx, v, bad)}, nil
		}
		l.Account = "" // the sign-in that waits has its own
		sp, page = p.askedBy(ctx, c, answers, v)
	} else {
		sp, page = p.launched(ctx, c, v)
	}
	if page != nil {
		return Answer{Page: page}, nil
	}
	mark, err := p.o.Sessions.Mark(ctx)
	if err != nil {
		return Answer{}, fmt.Errorf("signed launch: %w", err)
	}
	return p.launchChecked(ctx, c, sp, checked, arrival{answers: answers, mark: mark}, l, v)
}

// arrival is how a token came.
type arrival struct {
	answers *answered // the request that it answers; nil: none
	mark    int64     // the number of revocations then
}

// launchChecked goes on with a token that passed its checks, to the page at which this browser's cookies are there.
func (p *IdP) launchChecked(ctx context.Context, c *config, sp *serviceProvider, checked *claims.Checked,
	came arrival, l TokenLaunch, v Visitor) (_ Answer, err error) {
	f := &flow{config: c, sp: sp, v: v}
	f.in.EntityID, f.in.Address, f.in.Browser, f.in.CreatedAt = sp.EntityID, addressBlock(v.Address), hash(v.Browser),
		p.o.Now()
	if l.Account != "" {
		if f.in.Account, err = c.account(l.Account); err != nil {
			return Answer{}, fmt.Errorf("signed launch: %w", err)
		}
	}
	relayState, _ := sp.relayState("")
	f.data = pending{RelayState: relayState, Launch: &pendingLaunch{
		Source: checked.Source.Name, Sub: checked.Sub, Person: checked.Person, Used: checked.Used,
		IssuedAt: checked.IssuedAt.UnixMicro(), EndsAt: checked.Expires.UnixMicro(), Key: checked.KeyID,
		Session: checked.Session,
		Answers: came.answers, Mark: came.mark, Names: checked.Names, Proofs: checked.Proofs,
		// Whoever answers a request was sent from here, in the browser that the request names: no other page can have had
		// a token made for it.
		Ask: came.answers == nil && !checked.Source.OfOrigin(l.Origin),
	}}
	if !checked.AuthTime.IsZero() {
		f.data.Launch.AuthTime = checked.AuthTime.Unix()
	}
	traceOf(ctx).about(f)
	traceOf(ctx).step(StepRequest, traceOf(ctx).begin(), "", "token of source %s, key %s, %s", checked.Source.Name,
		checked.KeyID, checked.Alg)
	own, err := p.seal(f)
	if err != nil {
		return Answer{}, err
	}
	if _, text, _ := handleID(f.sealed); len(text) > maxHandle {
		return p.refuseLaunch(ctx, f, Why{Reason: claims.ReasonPerson,
			Cause: fmt.Sprintf("what is said of the person needs more than %d KiB", maxHandle*3/4>>10)})
	}
	return Answer{Page: GoOn{SignIn: f.sealed, Own: own}}, nil
}

// checkToken checks a token but for whether it was used.
func (p *IdP) checkToken(ctx context.Context, c *config, token, typ string) (*claims.Checked, *claims.Fault) {
	p.distrust(c)
	checked, bad := p.tokens.Verify(ctx, token, typ, nil)
	if bad == nil && c.sources[checked.Source.Name].Refuses(checked.Made()) {
		bad = &claims.Fault{Reason: claims.ReasonSourceOff,
			Detail: "source " + checked.Source.Name + " is disabled, or its tokens of that time were revoked"}
	}
	return checked, bad
}

// launched is the service provider of launches that name none. A page says why there is none.
func (p *IdP) launched(ctx context.Context, c *config, v Visitor) (*serviceProvider, Page) {
	one, count := c.constantContact()
	switch {
	case count == 0:
		p.logRefusal(ctx, v, "", Why{Reason: ReasonNoProvider})
		return nil, Refusal{Reason: ReasonNoProvider, Status: http.StatusNotFound}
	case count > 1:
		p.logRefusal(ctx, v, "", Why{Reason: ReasonChooseProvider,
			Cause: fmt.Sprintf("the launch names no service provider, and %d of Constant Contact are enabled", count)})
		return nil, Refusal{Reason: ReasonChooseProvider, Status: http.StatusBadRequest}
	}
	if page := p.usable(ctx, one, one.EntityID, http.StatusNotFound, v, c); page != nil {
		return nil, page
	}
	return one, nil
}

// refuseToken says why a token is refused: to the person that it is, to administrators why.
func (p *IdP) refuseToken(ctx context.Context, v Visitor, bad *claims.Fault) Page {
	p.logRefusal(ctx, v, "", Why{Reason: bad.Reason, Cause: bad.Detail})
	status := http.StatusForbidden
	switch bad.Reason {
	case claims.ReasonForm, claims.ReasonHeader, claims.ReasonType, claims.ReasonClaims:
		status = http.StatusBadRequest
	case claims.ReasonKeysDown:
		status = http.StatusServiceUnavailable
	}
	return Refusal{Reason: bad.Reason, Status: status}
}

// ConfirmLaunch takes the click on the page that names who is about to be signed in.
func (p *IdP) ConfirmLaunch(ctx context.Context, id string, v Visitor) (a Answer, err error) {
	ctx, end := p.traced(ctx, v, "")
	defer func() { end(&a, &err) }()
	f, page, err := p.resume(ctx, id, v, true)
	if f == nil {
		return Answer{Page: page}, err
	}
	f.clicked = true
	return p.proceed(ctx, f)
}

// launching tells whether a sign-in came by a token that has not begun a session yet.
func (f *flow) launching() bool { return f.data.Launch != nil && f.in.ID == "" }

// freshLaunch tells whether the session's own token has answered this very request for a new login.
func (f *flow) freshLaunch(s store.Session) bool { return f.ownLaunch(s) && f.data.Launch.Fresh }

// ownLaunch tells whether the sign-in is the one that the session's own token began. Only Create of the session writes
// its hash into a sign-in of a launch.
func (f *flow) ownLaunch(s store.Session) bool {
	return f.data.Launch != nil && f.in.ID != "" && len(s.TokenHash) > 0 && bytes.Equal(f.in.Session, s.TokenHash)
}

// redeem has a token begin a session, in the transaction that uses it up and stores the sign-in.
func (p *IdP) redeem(ctx context.Context, f *flow, s store.Session, known bool) (Answer, error) {
	l := f.data.Launch
	traceOf(ctx).about(f)
	source, there := p.source(l.Source)
	issued := time.UnixMicro(l.IssuedAt).UTC()
	w := f // the sign-in that goes on
	if l.Answers != nil {
		var refused Answer
		var err error
		if w, refused, err = p.waiting(ctx, f); w == nil || err != nil {
			return refused, err
		}
		traceOf(ctx).about(w)
	}
	refuse := func(why Why) (Answer, error) { return p.refuseWaiting(ctx, f, w, why) }
	switch {
	case !p.o.Now().Before(f.in.CreatedAt.Add(launchLife)):
		return refuse(Why{Reason: ReasonLaunchLate, Cause: fmt.Sprintf(
			"the page of the launch was opened more than %s after its token came", launchLife)})
	case !there || f.config.sources[l.Source].Refuses(source.Made(issued)):
		return refuse(Why{Reason: claims.ReasonSourceOff})
	case p.older(ctx):
		// That one would take the session for one of a password, in the console too.
		return refuse(Why{Reason: ReasonUnavailable,
			Cause: "a replica of the version before is running, which knows no signed launches",
			Fix:   "bring all replicas to this version"})
	}
	if l.Answers != nil {
		if refused, err := p.demands(ctx, w, source); refused.Page != nil || err != nil {
			return refused, err
		}
	}
	began := traceOf(ctx).begin()
	e, refused, err := p.launchedPerson(ctx, f, source)
	if err != nil {
		return Answer{}, err
	}
	if refused.Page != nil {
		return p.unseen(ctx, w, refused)
	}
	traceOf(ctx).read(began, e, "")
	traceOf(ctx).person(store.PersonID(e.ID))
	other := known && s.Person != store.PersonID(e.ID)
	if (l.Ask || other) && !f.clicked {
		// The browser's own cookie is known by now: what the page sends back is bound to it.
		if _, err := p.seal(f); err != nil {
			return Answer{}, err
		}
		page := ConfirmLaunch{SignIn: f.at(), Provider: w.sp.name(), Person: personName(e),
			Contact: cmp.Or(e.Mail, e.Login), Account: string(w.in.Account)}
		if other {
			page.Instead = s.Login
		}
		return p.unseen(ctx, w, Answer{Page: page})
	}
	token, err := p.startLaunched(ctx, w, e, issued)
	switch {
	case errors.Is(err, store.ErrRequestUsed):
		return refuse(Why{Reason: ReasonRequestUsed})
	case errors.Is(err, store.ErrConflict) && w != f && w.in.RequestID != "":
		// answered meanwhile, in another sign-in
		return p.unseen(ctx, w, Answer{Page: p.replayed(ctx, w)})
	case errors.Is(err, store.ErrTokenUsed), errors.Is(err, store.ErrConflict):
		return refuse(Why{Reason: claims.ReasonUsed})
	case errors.Is(err, store.ErrSignedOut):
		return refuse(Why{Reason: ReasonSignedOut})
	case errors.Is(err, store.ErrRevoked):
		return refuse(Why{Reason: claims.ReasonSourceOff,
			Cause: "the source was disabled, or its tokens or the person's sessions were revoked, while the launch went on"})
	case err != nil:
		return Answer{}, err
	}
	if w.in.ID != "" {
		// It was stored before the person came. Should this be where the program ends, they begin again: the session opens
		// the sign-in that names it, and no other.
		w.in.Session, w.changed = hash(token), true
		if page, err := p.keep(ctx, w); page != nil || err != nil {
			return Answer{Page: page, NewSession: token}, err
		}
	}
	return Answer{Page: GoOn{SignIn: cmp.Or(w.in.ID, w.id)}, NewSession: token}, nil
}

// refuseWaiting refuses what a source has said for the sign-in w that waits for it.
func (p *IdP) refuseWaiting(ctx context.Context, f, w *flow, why Why) (Answer, error) {
	a, err := p.refuseLaunch(ctx, f, why)
	if err != nil {
		return a, err
	}
	return p.unseen(ctx, w, a)
}

// unseen answers a request with IsPassive by a status where there is a page to show: none may be (row REQ-16).
func (p *IdP) unseen(ctx context.Context, w *flow, shown Answer) (Answer, error) {
	if !w.passive() {
		return shown, nil
	}
	page, err := p.answerStatus(ctx, w, ReasonPassive, "")
	return Answer{Page: page}, err
}

// launchedPerson is whom a launch is for: as the token says, or as the directory does, which then decides on state and
// groups as after a password.
func (p *IdP) launchedPerson(ctx context.Context, f *flow, source Source) (directory.Entry, Answer, error) {
	l := f.data.Launch
	id := l.Sub
	switch source.Subject {
	case claims.Own:
		e, outside := source.entry(f.config.forms, l.Person, time.UnixMicro(l.IssuedAt).UTC())
		if outside > 0 {
			traceOf(ctx).step(StepRequest, traceOf(ctx).begin(), "",
				"%d of the token's accounts are outside allow_accounts or allow_roles of source %s, and give nothing", outside,
				source.Name)
		}
		return e, Answer{}, nil
	case claims.DirectoryLogin:
		found, err := p.o.Directory.Lookup(ctx, l.Sub)
		if err != nil {
			a, err := p.notInDirectory(ctx, f, err)
			return directory.Entry{}, a, err
		}
		id = found.Entry.ID
	case claims.DirectoryID:
		id = directory.CanonicalID(l.Sub)
	}
	e, err := p.o.Directory.Read(ctx, id)
	switch {
	case err != nil:
		a, err := p.notInDirectory(ctx, f, err)
		return directory.Entry{}, a, err
	case e.Problem != "":
		a, err := p.refuseLaunch(ctx, f, Why{Reason: string(e.Problem)})
		return directory.Entry{}, a, err
	case e.ID != id || e.ID == "":
		a, err := p.refuseLaunch(ctx, f, Why{Reason: claims.ReasonPerson,
			Cause: "the directory has nobody with the token's sub as " + string(source.Subject)})
		return directory.Entry{}, a, err
	}
	return e, Answer{}, nil
}

// notInDirectory refuses a launch for somebody whom the directory does not have, or that it can't be asked for.
func (p *IdP) notInDirectory(ctx context.Context, f *flow, cause error) (Answer, error) {
	failed, ok := errors.AsType[*directory.Error](cause)
	if !ok || failed.Problem == directory.Unavailable || failed.Problem == "" {
		if ctx.Err() != nil {
			return Answer{}, fmt.Errorf("signed launch: %w", cause)
		}
		return p.refuseLaunch(ctx, f, directoryDown(cause))
	}
	return p.refuseLaunch(ctx, f, Why{Reason: claims.ReasonPerson,
		Cause: "the directory has nobody with the token's sub, or can't use their entry"})
}

// refuseLaunch refuses a signed launch that nothing is stored of.
func (p *IdP) refuseLaunch(ctx context.Context, f *flow, w Why) (Answer, error) {
	p.logRefusal(ctx, f.v, f.sp.EntityID, w)
	status := http.StatusForbidden
	if w.Reason == ReasonDirectoryDown || w.Reason == ReasonUnavailable {
		status = http.StatusServiceUnavailable
	}
	var page Page = Refusal{Provider: f.sp.name(), Reason: w.Reason, Status: status}
	if f.data.Launch != nil {
		page = p.naming(page, f.data.Launch.Source)
	}
	return Answer{Page: page}, nil
}

// startLaunched stores the session of a launch, with its sign-in and the token that it uses up.
func (p *IdP) startLaunched(ctx context.Context, f *flow, e directory.Entry, issued time.Time) (string, error) {
	l, now := f.data.Launch, p.o.Now()
	made := issued
	if source, known := p.source(l.Source); known {
		made = source.Made(issued)
	}
	if e.ReadAt.IsZero() {
		e.ReadAt = now
	}
	reading, err := json.Marshal(e)
	if err != nil {
		return "", fmt.Errorf("encode reading of source %s: %w", l.Source, err)
	}
	token, err := p.token()
	if err != nil {
		return "", err
	}
	person, err := l.sourcePerson(e)
	if err != nil {
		return "", err
	}
	names := l.Names
	if len(names) == 0 {
		names = [][]byte{claims.NameOfPerson(e.ID)}
	}
	kept := *l
	kept.Person, kept.Sub, kept.Names = claims.Person{}, "", nil // the session has it; the sign-in needs it no more
	kept.Answers, kept.Fresh = nil, l.Answers != nil && f.fresh()
	f.data.Launch, f.data.Upstream = &kept, nil
	begins, err := p.begins(f)
	if err != nil {
		return "", err
	}
	switch {
	case begins != nil:
		begins.Session, begins.Browser = hash(token), hash(f.v.Browser)
	case f.in.ID == "":
		return "", fmt.Errorf("signed launch of source %s: the sign-in has no id", l.Source)
	}
	event := p.event(f, "login", store.PersonID(e.ID))
	event.Outcome, event.Detail = "ok", store.DetailOf(map[string]any{"source": l.Source, "key": l.Key})
	if ahead := issued.After(now); ahead {
		issued = now // within the skew
	}
	err = p.o.Sessions.Create(ctx, store.Session{
		TokenHash: hash(token), Person: store.PersonID(e.ID), Login: e.Login, Name: personName(e),
		Browser: hash(f.v.Browser), AuthenticatedAt: issued, Methods: l.methods(),
		Reading: reading, ReadAt: e.ReadAt, SeenAt: now, EndsAt: now.Add(p.o.SessionLife), Mark: l.Mark,
		// Never the login: what a token says must not make this browser known for a login name of the directory.
		KnownAs: store.KnownByToken(store.PersonID(e.ID)),
		Uses: &store.UsedToken{Source: l.Source, Token: l.Used, IssuedAt: made,
			EndsAt:  time.UnixMicro(l.EndsAt).Add(launchLife + replayMargin),
			Request: l.Answers.used(), RequestEndsAt: now.Add(requestLife + replayMargin), Names: names},
		Begins: begins, SourcePerson: person,
	}, hash(f.v.Session), event)
	if err != nil {
		return "", fmt.Errorf("store session of source %s: %w", l.Source, err)
	}
	return token, nil
}

// sourcePerson is what is kept of somebody whom no directory has; nil: the directory has them.
func (l *pendingLaunch) sourcePerson(e directory.Entry) (*store.SourcePerson, error) {
	if e.Source == "" {
		return nil, nil //nolint:nilnil // the directory has them
	}
	said, err := json.Marshal(l.Person)
	if err != nil {
		return nil, fmt.Errorf("encode what source %s says of a person: %w", l.Source, err)
	}
	return &store.SourcePerson{Person: store.PersonID(e.ID), Source: e.Source, Login: e.Login, FirstName: e.FirstName,
		LastName: e.LastName, Mail: e.Mail, Claims: said}, nil
}

// LaunchTest is what a tested token came to.
type LaunchTest struct {
	Steps  []claims.Step
	Fault  *claims.Fault // why it would be refused; nil: it would be taken
	Source string
	// Person is whom the token is for, and Grants what it gives them, with a source whose subject is its own; Outside
	// is how much of what the token gives its source may not give.
	Person  directory.Entry
	Outside int
	Off     bool // the source is disabled, or its tokens of that time were revoked
}

// Reason is why the token would be refused; "": it would be taken.
func (t LaunchTest) Reason() string {
	switch {
	case t.Fault != nil:
		return t.Fault.Reason
	case t.Off:
		return claims.ReasonSourceOff
	}
	return ""
}

// TestLaunch checks a token for an administrator. Nothing is stored or used up, and whether it was used is not looked
// at. live takes one that can still be used.
func (p *IdP) TestLaunch(ctx context.Context, token string, live bool) (t LaunchTest, err error) {
	c, err := p.loadConfig(ctx)
	if err != nil {
		return t, err
	}
	var checked *claims.Checked
	if t.Steps, checked, t.Fault = p.tokens.Test(ctx, token, live); checked == nil {
		return t, nil
	}
	t.Source, t.Off = checked.Source.Name, c.sources[checked.Source.Name].Refuses(checked.Made())
	if source, ok := p.source(t.Source); ok && source.Subject == claims.Own {
		t.Person, t.Outside = source.entry(c.forms, checked.Person, checked.IssuedAt)
	}
	return t, nil
}

// Sources are those of the configuration.
func (p *IdP) Sources() []Source { return p.o.Sources }
