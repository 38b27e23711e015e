package web_test

import (
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"

	"ssobridge/idp"
	"ssobridge/web"
)

func answerOf(p idp.Page) idp.Answer { return idp.Answer{Page: p} }

// recorded asks a server that listens nowhere.
func recorded(s *web.Server, path string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	s.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
	return rec
}

// srgb is the linear value of each byte of a colour.
var srgb = func() (table [256]float64) {
	for i := range table {
		x := float64(i) / 255
		if x > 0.04045 {
			table[i] = math.Exp(2.4 * math.Log((x+0.055)/1.055))
		} else {
			table[i] = x / 12.92
		}
	}
	return table
}()

// quiet is a logger for tests that don't read the log.
var quiet = slog.New(slog.DiscardHandler)
