//go:build !cgo || !(linux || darwin || freebsd)

package certs

import (
	"crypto/rsa"
	"errors"
)

var errNoLibcrypto = errors.New("this program is built without the means to load it")

type (
	libcrypto  struct{ version string }
	opensslKey struct{}
)

func libcryptoFiles() []string { return []string{""} }

func openLibcrypto(string) (*libcrypto, error)                  { return nil, errNoLibcrypto }
func (*libcrypto) prepare(*rsa.PrivateKey) (*opensslKey, error) { return nil, errNoLibcrypto }
func (*libcrypto) sign(_ *opensslKey, _, _ []byte) error        { return errNoLibcrypto }
func (*libcrypto) free(*opensslKey)                             {}
