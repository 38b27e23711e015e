package idp

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/beevik/etree"

	"ssobridge/idp/saml"
	"ssobridge/store"
)

// maxCapture is how long the assertions of one person can be captured by one order.
const maxCapture = time.Hour

// harmlessAfter is when no service provider takes an assertion any more: five minutes of life, and
// clocks that differ.
const harmlessAfter = saml.MaxLifetime + 10*time.Minute

// CapturedAssertion is an assertion as it was signed, before it was encrypted.
type CapturedAssertion struct {
	Person store.PersonID
	Ref    string
	At     time.Time
	XML    string
}

// CaptureFor has the assertions of one person captured for a while, at most an hour: to look
// what a service provider got. They are sealed with secret_key, and kept for a day.
func (p *IdP) CaptureFor(ctx context.Context, person store.PersonID, life time.Duration,
	e store.Event) (until time.Time, err error) {
	if life <= 0 || life > maxCapture {
		return time.Time{}, fmt.Errorf("capture sign-ins of %s for %s: want at most %s", person, life, maxCapture)
	}
	until = p.o.Now().Add(life)
	e.Action, e.Subject, e.Outcome = "capture-begin", string(person), "ok"
	e.Reason = life.String()
	if err := p.o.Captures.Set(ctx, store.Capture{Person: person, Until: until, By: e.Actor}, e); err != nil {
		return time.Time{}, fmt.Errorf("capture sign-ins of %s: %w", person, err)
	}
	return until, nil
}

// EndCapture ends a capture. What was captured stays for its day.
func (p *IdP) EndCapture(ctx context.Context, person store.PersonID, e store.Event) error {
	e.Action, e.Subject, e.Outcome = "capture-end", string(person), "ok"
	if err := p.o.Captures.End(ctx, person, e); err != nil {
		return fmt.Errorf("end the capture of sign-ins of %s: %w", person, err)
	}
	return nil
}

// CapturedUntil tells until when a person's sign-ins are captured; zero: they are not.
func (p *IdP) CapturedUntil(ctx context.Context, person store.PersonID) (time.Time, error) {
	c, err := p.loadConfig(ctx)
	if err != nil || !p.captures(c, person) {
		return time.Time{}, err
	}
	return c.captured[person], nil
}

// CapturedAssertions opens what was captured under a reference. As long as it could be used, its
// signature is left out. Each look leaves an audit
// event. store.ErrNotFound: nothing was, or it is over its day.
func (p *IdP) CapturedAssertions(ctx context.Context, ref string, e store.Event) ([]CapturedAssertion, error) {
	e.Action, e.Outcome = "capture-read", "ok"
	records, err := p.o.Captures.Of(ctx, ref, e)
	if err != nil {
		return nil, fmt.Errorf("captured under %.40q: %w", ref, err)
	}
	var all []CapturedAssertion
	for _, r := range records {
		plain, err := p.o.Sealer.Open(r.Sealed, capturedOf(r.Person, r.Ref))
		if err != nil {
			return nil, fmt.Errorf("captured under %.40q: %w", ref, err)
		}
		if p.o.Now().Before(r.At.Add(harmlessAfter)) {
			if plain, err = withoutSignature(plain); err != nil {
				return nil, fmt.Errorf("captured under %.40q: %w", ref, err)
			}
		}
		all = append(all, CapturedAssertion{Person: r.Person, Ref: r.Ref, At: r.At, XML: string(plain)})
	}
	return all, nil
}

// withoutSignature leaves the signature out of an assertion: with it, whoever looks could sign in as the
// person for as long as it is valid.
func withoutSignature(assertion []byte) ([]byte, error) {
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(assertion); err != nil {
		return nil, fmt.Errorf("read a captured assertion: %w", err)
	}
	for _, value := range doc.FindElements("//SignatureValue") {
		value.SetText("left out as long as the assertion could be used")
	}
	text, err := doc.WriteToBytes()
	if err != nil {
		return nil, fmt.Errorf("write a captured assertion: %w", err)
	}
	return text, nil
}

// captures tells whether assertions of this person are captured now.
func (p *IdP) captures(c *config, person store.PersonID) bool {
	return p.o.Now().Before(c.captured[person])
}

// capture keeps an assertion that went out. That it could not be kept is no reason not to
// sign somebody in.
func (p *IdP) capture(ctx context.Context, f *flow, person store.PersonID, assertion []byte) {
	if len(assertion) == 0 {
		return
	}
	sealed, err := p.o.Sealer.Seal(assertion, capturedOf(person, f.v.Ref))
	if err == nil {
		err = p.o.Captures.Keep(ctx, store.Captured{Person: person, Ref: f.v.Ref, At: p.o.Now(), Sealed: sealed})
	}
	if err != nil {
		p.o.Logger.LogAttrs(ctx, slog.LevelWarn, "an assertion could not be captured", slog.String("ref", f.v.Ref),
			slog.Any("cause", err))
	}
}

// CapturedBy counts the captured assertions by the id of the secret key that has sealed each; "" for what no known one
// opens.
func (p *IdP) CapturedBy(ctx context.Context) (map[string]int, error) {
	count := map[string]int{}
	err := p.o.Captures.Each(ctx, func(r store.Captured) {
		if id, ok := p.o.Sealer.SealedBy(r.Sealed, capturedOf(r.Person, r.Ref)); ok {
			count[id.String()]++
		} else {
			count[""]++
		}
	})
	if err != nil {
		return nil, fmt.Errorf("captured assertions: %w", err)
	}
	return count, nil
}

func capturedOf(person store.PersonID, ref string) string {
	return "captured-assertion:" + ref + ":" + string(person)
}

func (p *IdP) readCaptures(ctx context.Context) (map[store.PersonID]time.Time, error) {
	running, err := p.o.Captures.Running(ctx)
	if err != nil {
		return nil, fmt.Errorf("read whose sign-ins are captured: %w", err)
	}
	captured := make(map[store.PersonID]time.Time, len(running))
	for _, c := range running {
		captured[c.Person] = c.Until
	}
	return captured, nil
}
