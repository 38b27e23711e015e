package config

import (
	"bytes"
	"errors"
	"net/http"
)

const maxLogo = 256 << 10

// ReadLogo reads the branding picture and tells its media type by its content, so
// that a wrong file name can't make a browser take it for something else.
func ReadLogo(file string) (data []byte, mediaType string, err error) {
	data, err = ReadFile(file, maxLogo)
	if err != nil {
		return nil, "", errors.New(PlainCause(err))
	}
	switch t := http.DetectContentType(data); t {
	case "image/png", "image/jpeg", "image/webp":
		return data, t, nil
	}
	head := data[:min(len(data), 1024)]
	if bytes.Contains(head, []byte("<svg")) {
		return data, "image/svg+xml", nil
	}
	return nil, "", errors.New("it is neither PNG, JPEG, WebP nor SVG")
}
