package web

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
)

// The page that delivers a Response is the one that each launch shows, and executing its template would be most of what
// the web side of a launch costs. So the template is executed when the program starts, with marks in the place of the
// values, and the page is cut there: a launch writes the parts, with its own values escaped between them. A test holds
// what comes of it to the template, octet for octet.

// The values of the page.
const (
	slotAction = iota
	slotResponse
	slotRelayState
	slotProvider
	slotSelf
	slotNonce
	slots
)

// readyDelivery is the page in one language, without and with a RelayState.
type readyDelivery [2]readyPage

// readyPage is a page that is cut at its values.
type readyPage struct {
	parts []string // one more than values
	slots []int    // which value stands behind each part but the last
}

// slotMark stands for a value. It is made of letters that no escaper changes, and is an address.
func slotMark(slot int) string { return fmt.Sprintf("https://value-of-slot-%d.invalid/", slot) }

var deliveryPolicy = policy{script: true, postsAway: true}

// readyDelivery executes the page's template.
func (p *pages) readyDelivery() (ready readyDelivery, err error) {
	relayState := slotMark(slotRelayState)
	for i, with := range []*string{nil, &relayState} {
		var page strings.Builder
		err := p.byName["deliver"].Execute(&page, frame{Brand: p.brand, Lang: p.lang, Nonce: slotMark(slotNonce),
			Page: deliveryView{
				Action: slotMark(slotAction), message: slotMark(slotResponse),
				RelayState: with, Provider: slotMark(slotProvider), Self: slotMark(slotSelf),
			}})
		if err != nil {
			return ready, fmt.Errorf("web: render page deliver: %w", err)
		}
		ready[i] = cutPage(page.String())
	}
	return ready, nil
}

// cutPage cuts a page at its marks.
func cutPage(page string) (r readyPage) {
	for {
		at, slot := len(page), -1
		for i := range slots {
			if found := strings.Index(page, slotMark(i)); found >= 0 && found < at {
				at, slot = found, i
			}
		}
		r.parts = append(r.parts, page[:at])
		if slot < 0 {
			return r
		}
		r.slots = append(r.slots, slot)
		page = page[at+len(slotMark(slot)):]
	}
}

// write writes the page with its values, which have to be escaped.
func (r *readyPage) write(to *bytes.Buffer, values *[slots]string) {
	for i, slot := range r.slots {
		to.WriteString(r.parts[i])
		to.WriteString(values[slot])
	}
	to.WriteString(r.parts[len(r.parts)-1])
}

// deliver shows the page. What the address of the service provider has that html/template would write in another way in
// an address goes through the template itself.
func (s *Server) deliver(c echo.Context, v deliveryView) error {
	if !plainAddress(v.Action) {
		return s.show(c, http.StatusOK, "deliver", deliveryPolicy, v)
	}
	nonce, err := deliveryPolicy.apply(c.Response().Header(), s.random)
	if err != nil {
		return err
	}
	in := s.in(c)
	buf := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(buf) // the writer copies what it is given
	buf.Reset()
	in.pages.delivery.render(buf, v, nonce)
	return in.send(c, http.StatusOK, buf.Bytes())
}

// render writes the page of an address that is plain.
func (r *readyDelivery) render(to *bytes.Buffer, v deliveryView, nonce string) {
	page := &r[0]
	values := [slots]string{
		slotAction: v.Action, slotResponse: v.message,
		slotProvider: escaped(v.Provider), slotSelf: escaped(v.Self), slotNonce: escaped(nonce),
	}
	if v.RelayState != nil {
		page = &r[1]
		values[slotRelayState] = escaped(*v.RelayState)
	}
	page.write(to, &values)
}

// plainAddress tells whether an address is http or https and has no letter that html/template writes in another way in
// an attribute that is an address: then it stands in the page as it is.
func plainAddress(address string) bool {
	if !strings.HasPrefix(address, "https://") && !strings.HasPrefix(address, "http://") {
		return false
	}
	for i := range len(address) {
		if !plainLetter[address[i]] {
			return false
		}
	}
	return true
}

var plainLetter = func() (is [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/:?=,;@") {
		is[c] = true
	}
	return is
}()

// escaped is a value as html/template writes it into text and into attributes in quotes: nothing in it is markup, and
// it can't end the attribute.
func escaped(value string) string {
	if !strings.ContainsAny(value, "\x00\"&'+<>") {
		return value
	}
	return valueEscaper.Replace(value)
}

var valueEscaper = strings.NewReplacer("\x00", "\uFFFD", `"`, "&#34;", "&", "&amp;", "'", "&#39;", "+", "&#43;", "<",
	"&lt;", ">", "&gt;")
