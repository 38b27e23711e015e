//go:build !openssl

package certs

import (
	"crypto"
	"crypto/rsa"
)

func accelerated(*rsa.PrivateKey) (crypto.Signer, error) { return nil, nil }

func engine() string { return "Go" }
