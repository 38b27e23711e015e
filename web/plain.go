package web

import (
	"context"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"
)

// metadata serves our EntityDescriptor. It is public and changes seldom.
func (s *Server) metadata(c echo.Context) error {
	f, err := query(c)
	if err != nil {
		return err
	}
	data, err := s.idp.Metadata(c.Request().Context())
	if err != nil {
		return fmt.Errorf("make metadata: %w", err)
	}
	h := c.Response().Header()
	h.Del("Pragma")
	h.Set("Cache-Control", "public, max-age=300")
	if f["download"] == "1" {
		h.Set("Content-Disposition", `attachment; filename="idp-metadata.xml"`)
	}
	const kind = "application/samlmetadata+xml"
	if c.Request().Method == http.MethodHead {
		h.Set("Content-Type", kind)
		return c.NoContent(http.StatusOK)
	}
	return c.Blob(http.StatusOK, kind, data)
}

// healthz says that the process serves requests, and nothing else.
func (s *Server) healthz(c echo.Context) error {
	return c.String(http.StatusOK, "ok\n")
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
