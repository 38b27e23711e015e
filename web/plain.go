package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"ssobridge/store"
)

// metadata serves our EntityDescriptor, and with ?download=1 the copy to hand
// over. Both are public and change seldom.
func (s *Server) metadata(c echo.Context) error {
	f, err := query(c)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	entityID, ok := metadataOf(c.Request().URL)
	if !ok {
		return refuse(http.StatusNotFound, notFound, errors.New("the address names no service provider that can be"))
	}
	var data []byte
	switch {
	case f["download"] == "1":
		h.Set("Content-Disposition", `attachment; filename="idp-metadata.xml"`)
		data, err = s.idp.MetadataFile(c.Request().Context(), entityID, false)
	case entityID != "":
		data, err = s.idp.MetadataFor(c.Request().Context(), entityID)
	default:
		data, err = s.idp.Metadata(c.Request().Context())
	}
	if err != nil {
		h.Del("Content-Disposition")
		if errors.Is(err, store.ErrNotFound) {
			return refuse(http.StatusNotFound, notFound, err)
		}
		return fmt.Errorf("make metadata: %w", err)
	}
	h.Del("Pragma")
	h.Set("Cache-Control", "public, max-age=300")
	const kind = "application/samlmetadata+xml"
	if c.Request().Method == http.MethodHead {
		h.Set("Content-Type", kind)
		return c.NoContent(http.StatusOK)
	}
	return c.Blob(http.StatusOK, kind, data)
}

// metadataPath is the address of our metadata; behind it and a slash, that for one service provider.
const metadataPath = "/saml/metadata"

// metadataOf is the service provider that an address of our metadata names by its entityID, "" for none; ok is false
// for what no entityID can be (saml-core 8.3.6). Proxies decode it, and put its two slashes together.
func metadataOf(u *url.URL) (entityID string, ok bool) {
	_, escaped, _ := strings.Cut(u.EscapedPath(), metadataPath+"/")
	entityID, err := url.PathUnescape(escaped)
	if err != nil || len(entityID) > 1024 {
		return "", false
	}
	for _, scheme := range []string{"https:/", "http:/"} {
		if rest, ok := strings.CutPrefix(entityID, scheme); ok && !strings.HasPrefix(rest, "/") {
			return scheme + "/" + rest, true
		}
	}
	return entityID, true
}

// healthz says that the process serves requests, whatever else is down, and what is wrong with the process itself. A
// note is no reason to end it, so the status is the same.
func (s *Server) healthz(c echo.Context) error {
	text := "ok\n"
	if s.health != nil {
		note, err := s.health()
		if err != nil {
			return refuse(http.StatusServiceUnavailable, internal, fmt.Errorf("not healthy: %w", err))
		}
		if note != "" {
			text += note + "\n"
		}
	}
	return c.String(http.StatusOK, text)
}

// readyz says whether sign-ins can be served. The cause is for the log: whoever
// asks here need not be a friend.
func (s *Server) readyz(c echo.Context) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), readyTimeout)
	defer cancel()
	if err := s.ready(ctx); err != nil {
		return refuse(http.StatusServiceUnavailable, internal, fmt.Errorf("not ready: %w", err))
	}
	return c.String(http.StatusOK, "ready\n")
}
