package web

import (
	"context"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"
)

// metadata serves our EntityDescriptor, and with ?download=1 the copy to hand
// over. Both are public and change seldom.
func (s *Server) metadata(c echo.Context) error {
	f, err := query(c)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	var data []byte
	if f["download"] == "1" {
		h.Set("Content-Disposition", `attachment; filename="idp-metadata.xml"`)
		data, err = s.idp.MetadataFile(c.Request().Context(), false)
	} else {
		data, err = s.idp.Metadata(c.Request().Context())
	}
	if err != nil {
		h.Del("Content-Disposition")
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
