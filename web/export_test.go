package web

import (
	"bytes"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"
)

// FailAhead answers an error that came before anything was known of the request.
func (s *Server) FailAhead(w http.ResponseWriter, r *http.Request, err error) {
	s.fail(err, echo.New().NewContext(r, w))
}

// OwnOfConsole are the routes that the console's own address serves beside the console.
func OwnOfConsole() []string { return slices.Clone(ownOfConsole) }

// DeliveryBothWays is the page that delivers a Response in each language, executed by its template and written from its
// parts; parts is "" for an address that the template alone writes.
func (s *Server) DeliveryBothWays(action, response string, relayState *string, provider, self, nonce string) (executed,
	parts []string, err error) {
	view := deliveryView{Action: action, message: response, RelayState: relayState, Provider: provider, Self: self}
	for i := range s.languages {
		p := s.languages[i].pages
		var page, written bytes.Buffer
		if err := p.byName["deliver"].Execute(&page, frame{Brand: p.brand, Lang: p.lang, Nonce: nonce,
			Page: view}); err != nil {
			return nil, nil, err
		}
		if plainAddress(action) {
			p.delivery.render(&written, view, nonce)
		}
		executed, parts = append(executed, page.String()), append(parts, written.String())
	}
	return executed, parts, nil
}

// NewRef is a reference id.
var NewRef = newRef
