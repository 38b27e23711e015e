package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"ssobridge/store"
	"ssobridge/web/admin"
)

// Path is where the API is served.
const Path = "/api/v1"

// Options for New. All are required but Logger.
type Options struct {
	Tokens     admin.Tokens
	TokenURL   string // the URL of the token endpoint, to which assertions of clients are addressed
	Status     admin.Status
	Plans      admin.Plans
	Accounts   admin.ClientAccounts
	SelfOrders admin.SelfOrders
	Mappings   admin.Mappings
	People     admin.People
	Users      admin.Users
	Sessions   admin.Sessions
	Lockouts   admin.Lockouts
	Providers  admin.Providers
	Keys       admin.Keys
	Factors    admin.Factors
	Notices    admin.Notices
	Traces     admin.Traces
	Audit      admin.Audit

	Ordered func()            // called when a client account was ordered, so that the call is made soon
	Answers *store.APIAnswers // to requests with an Idempotency-Key
	Sealer  Sealer
	Now     func() time.Time
	Logger  *slog.Logger
}

// API serves the REST API. It is safe for concurrent use.
type API struct {
	o     Options
	mux   *http.ServeMux
	doc   []byte // the OpenAPI document
	page  []byte
	slots *slots
	rates rates

	strangers strangers
	replays   strangers     // clients whose assertions came again
	tries     tries         // refused requests at the token endpoint
	proofs    chan struct{} // those whose signature is looked at
}

// New makes the API.
func New(o Options) (*API, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	a := &API{o: o, mux: http.NewServeMux(), slots: newSlots(), proofs: make(chan struct{}, maxProofs)}
	a.rates.buckets, a.tries.blocks = map[string]*bucket{}, map[string]*bucket{}
	a.strangers.uses, a.replays.uses = map[string]*strangerUses{}, map[string]*strangerUses{}
	all := operations()
	var err error
	if a.doc, err = Document(); err != nil {
		return nil, fmt.Errorf("api: make the document: %w", err)
	}
	if a.page, err = readablePage(all); err != nil {
		return nil, fmt.Errorf("api: make the page: %w", err)
	}
	for _, one := range all {
		a.mux.HandleFunc(one.method+" "+Path+one.path, func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, &one) })
	}
	a.mux.HandleFunc("POST "+Path+TokenPath, a.token)
	static := func(path, kind string, content []byte) {
		a.mux.HandleFunc("GET "+Path+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			// The page has one style sheet, of its own.
			w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; frame-ancestors 'none'; "+
				"base-uri 'none'; form-action 'none'")
			_, _ = w.Write(content) // whoever asked is gone
		})
	}
	static("/openapi.json", "application/json", a.doc)
	static("/docs", "text/html; charset=utf-8", a.page)
	static("/docs.css", "text/css; charset=utf-8", pageStyle)
	return a, nil
}

// ServeHTTP answers a request below Path.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, pattern := a.mux.Handler(r)
	if pattern == "" {
		probe := &statusOnly{header: http.Header{}}
		h.ServeHTTP(probe, r) // says whether the path is there with another method
		if probe.status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", probe.header.Get("Allow"))
			bad(http.StatusMethodNotAllowed, "method", "this path has no such method", "take one of Allow").send(w, r)
			return
		}
		bad(http.StatusNotFound, "no_such_path", "the API has no such path", "see "+Path+"/docs").send(w, r)
		return
	}
	// The mux sets the values of the path.
	a.mux.ServeHTTP(w, r)
}

type statusOnly struct {
	header http.Header
	status int
}

func (s *statusOnly) Header() http.Header         { return s.header }
func (s *statusOnly) Write(b []byte) (int, error) { return len(b), nil }
func (s *statusOnly) WriteHeader(status int)      { s.status = status }

// call is one request that was let in.
type call struct {
	api    *API
	ctx    context.Context
	r      *http.Request
	caller admin.Caller
	header http.Header // of the answer
	status int         // of the answer; 0: the operation's
	key    []byte      // a hash of its Idempotency-Key and who asks; nil: it has none
	// made is what another process has made of the same request before it died, see [store.APIClaim]; "": nothing.
	made string
	rest func() // gives the slot back, for whoever only waits
}

func (c *call) scope() admin.Scope { return c.caller.Scope }

// confined tells whether the token may see some client accounts alone.
func (c *call) confined() bool { return len(c.caller.Token.Accounts) > 0 }

// event begins the audit event of a change: it is by the token. Reference and address come with the context.
func (c *call) event() store.Event {
	return store.Event{At: c.api.o.Now(), Actor: c.caller.Actor(), Outcome: "ok"}
}

// serve lets a request in, works on it and answers.
func (a *API) serve(w http.ResponseWriter, r *http.Request, o *operation) {
	began := a.o.Now()
	c := &call{api: a, ctx: r.Context(), r: r, header: w.Header()}
	status, err := a.answer(w, c, o)
	if err != nil {
		p := problemOf(r.Context(), c.caller, err)
		status = p.Status
		p.send(w, r)
	}
	level := slog.LevelInfo
	attrs := []slog.Attr{slog.String("ref", store.OriginOf(r.Context()).Ref), slog.String("operation", o.id),
		slog.String("token", c.caller.Token.ID), slog.Int("status", status), slog.Duration("duration",
			a.o.Now().Sub(began))}
	if status >= http.StatusInternalServerError {
		level = slog.LevelError
		attrs = append(attrs, slog.Any("error", err))
	}
	a.o.Logger.LogAttrs(r.Context(), level, "API request", attrs...)
}

// answer returns the status of the answer that it wrote, or an error where it wrote none.
func (a *API) answer(w http.ResponseWriter, c *call, o *operation) (status int, err error) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares this very value
				panic(p)
			}
			err = fmt.Errorf("panic: %.500v\n%.8000s", p, debug.Stack())
		}
	}()
	if err := a.admit(c, o); err != nil {
		return 0, err
	}
	if c.rest, err = a.slots.take(c.ctx, c.caller.Token.ID); err != nil {
		return 0, err
	}
	defer c.rest()
	body, err := o.read(w, c.r)
	if err != nil {
		return 0, err
	}
	key, err := keyOf(c, o)
	if err != nil {
		return 0, err
	}
	if key == "" {
		return a.run(w, c, o, body)
	}
	return a.runKeyed(w, c, o, key, body)
}

// run works on a request and writes its answer.
func (a *API) run(w http.ResponseWriter, c *call, o *operation, body []byte) (int, error) {
	answer, err := a.work(c, o, body)
	if err != nil {
		return 0, err
	}
	answer.write(w, c.r)
	return answer.Status, nil
}

// work is the operation itself.
func (a *API) work(c *call, o *operation, body []byte) (*answer, error) {
	in, err := o.input(c.r, body)
	if err != nil {
		return nil, err
	}
	if o.edits && c.r.Header.Get("If-Match") == "" {
		return nil, bad(http.StatusPreconditionRequired, "if_match", "what is changed is not named by its ETag",
			"read it, and send its ETag as If-Match")
	}
	out, err := o.handle(c, in)
	if err != nil {
		return nil, err
	}
	answer := &answer{Status: o.status, Header: map[string]string{}}
	if c.status != 0 {
		answer.Status = c.status
	}
	switch out := out.(type) {
	case none:
		answer.Status = http.StatusNoContent
	case document:
		answer.Header["Content-Type"], answer.Body = out.kind, out.content
	default:
		var b bytes.Buffer
		if err := encode(&b, out); err != nil {
			return nil, fmt.Errorf("write the answer: %w", err)
		}
		answer.Header["Content-Type"], answer.Body = "application/json", b.Bytes()
	}
	for _, name := range []string{"Etag", "Location"} {
		if value := c.header.Get(name); value != "" {
			answer.Header[name] = value
		}
	}
	return answer, nil
}

// answer is an answer as it is written, and as it is kept for a key.
type answer struct {
	Status int               `json:"s"`
	Header map[string]string `json:"h"`
	Body   []byte            `json:"b"`
}

// document is an answer that is no JSON.
type document struct {
	kind    string
	content []byte
}

func (n *answer) write(w http.ResponseWriter, r *http.Request) {
	for name, value := range n.Header {
		w.Header().Set(name, value)
	}
	if tag := w.Header().Get("ETag"); tag != "" && r.Method == http.MethodGet && r.Header.Get("If-None-Match") == tag {
		w.Header().Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.WriteHeader(n.Status)
	_, _ = w.Write(n.Body) // whoever asked is gone
}

// etag names a state of something, by all that is shown of it.
func etag(v any) (string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return `"` + hex.EncodeToString(sum[:16]) + `"`, nil
}

// tagged sets the ETag of an answer.
func tagged[T any](c *call, v T) (T, error) {
	tag, err := etag(v)
	c.header.Set("ETag", tag)
	return v, err
}

// matches refuses a change of something that is not as its changer has read it.
func (c *call) matches(v any) error {
	tag, err := etag(v)
	if err != nil {
		return err
	}
	for _, given := range strings.Split(c.r.Header.Get("If-Match"), ",") {
		if strings.TrimSpace(given) == tag {
			return nil
		}
	}
	return bad(http.StatusPreconditionFailed, "changed", "it is not as you have read it",
		"read it again, and look at what has changed")
}
