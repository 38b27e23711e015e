package web

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// secure sets the headers of every response (row WEB-06). Handlers change what
// their content needs otherwise.
func (s *Server) secure(h http.Header) {
	if s.hsts {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	// Not no-referrer: browsers would then send "Origin: null" with our own forms, and
	// the cross-origin check would refuse them.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	// saml-bindings 3.5.5.1 asks for both; and nothing else here may be kept either.
	h.Set("Cache-Control", "no-cache, no-store")
	h.Set("Pragma", "no-cache")
}

// policy is what a page may load and do.
type policy struct {
	script    bool // the page has one, with a nonce
	connect   bool // and it asks us how things stand
	postsAway bool // the auto-submit page
	pictures  bool // the page holds pictures in its own text
	alone     bool // nobody who opened this page needs to hear from it
}

// apply sets the page's headers and returns the nonce, "" without script.
func (p policy) apply(h http.Header, random io.Reader) (nonce string, err error) {
	csp := "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'"
	if p.script {
		if nonce, err = newNonce(random); err != nil {
			return "", err
		}
		csp += "; script-src 'nonce-" + nonce + "'"
	}
	if p.pictures {
		csp = strings.Replace(csp, "img-src 'self'", "img-src 'self' data:", 1)
	}
	if p.connect {
		csp += "; connect-src 'self'"
	}
	// The auto-submit page has no form-action. Chromium checks it also against the
	// redirects that follow the post, and where the service provider sends people from
	// its ACS can't be known here. The page's one form goes to the address of the
	// registered provider, and nothing that a person typed stands in it (row WEB-05).
	if !p.postsAway {
		csp += "; form-action 'self'"
	}
	h.Set("Content-Security-Policy", csp)
	// Only off the way of a sign-in: a service provider may have opened the sign-in in
	// a window of its own, and this header would cut the two apart for good.
	if p.alone {
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
	}
	return nonce, nil
}

func newNonce(random io.Reader) (string, error) {
	var raw [16]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return "", fmt.Errorf("draw a nonce: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(raw[:]), nil
}
