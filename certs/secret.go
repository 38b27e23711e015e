package certs

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxSecretText bounds what is read as a secret_key: a path to a wrong, large file is a likely mistake.
const maxSecretText = 4096

// NewSecret makes a fresh secret_key of 32 random bytes, as base64 text. A nil random means crypto/rand.
func NewSecret(random io.Reader) (string, error) {
	if random == nil {
		random = rand.Reader
	}
	secret := make([]byte, MinSecret)
	if _, err := io.ReadFull(random, secret); err != nil {
		return "", fmt.Errorf("draw secret_key: %w", err)
	}
	return base64.StdEncoding.EncodeToString(secret), nil
}

// ParseSecret reads a secret_key as it stands in a file or the environment: base64 text (standard alphabet, with or
// without padding), white space around it ignored, of at least MinSecret bytes. No error repeats any of the text.
func ParseSecret(text string) ([]byte, error) {
	if len(text) > maxSecretText {
		return nil, fmt.Errorf("secret_key has %d characters: want base64 text of at most %d", len(text), maxSecretText)
	}
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, errors.New("secret_key is empty: make one with `ssobridge init`, or with `openssl rand -base64 32`")
	}
	secret, err := base64.RawStdEncoding.Strict().DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		// The cause names an offset only, but an error about a secret says as little as it can.
		return nil, errors.New("secret_key is not base64 text: make one with `openssl rand -base64 32`")
	}
	if len(secret) < MinSecret {
		return nil, fmt.Errorf("secret_key has %d bytes: want at least %d, such as from `openssl rand -base64 32`",
			len(secret), MinSecret)
	}
	return secret, nil
}
