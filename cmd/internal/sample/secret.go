package sample

import (
	"crypto/rand"

	"ssobridge/certs"
)

// NewSecret makes a secret key for the bridge that the directory is for.
func NewSecret() (string, error) { return certs.NewSecret(rand.Reader) }
