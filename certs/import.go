package certs

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"software.sslmate.com/src/go-pkcs12"
)

// Errors of ReadKey, to be told apart with errors.Is.
var (
	// ErrPassphrase: the file is sealed by another passphrase, or by one at all.
	ErrPassphrase = errors.New("the passphrase is wrong or missing")
	// ErrEncryptedPEM: the private key is encrypted inside PEM, which is not read here.
	ErrEncryptedPEM = errors.New("the private key is encrypted in its PEM form")
	// ErrIterations: the PKCS #12 file would take too long to open.
	ErrIterations = errors.New("the PKCS #12 file names too many iterations")
)

// ReadKey reads a signing key that another program made: its private key and its certificate, in files in whatever
// order, as PEM (PKCS #8, PKCS #1 or SEC 1), DER, or both together in PKCS #12, which passphrase opens. The certificate
// is kept byte for byte: peers compare it. Of a chain, the one that belongs to the key is taken. The checks are those
// of Load.
func ReadKey(passphrase string, files ...[]byte) (*Key, error) {
	var found keyFiles
	for _, data := range files {
		data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
		if err := found.read(data, passphrase); err != nil {
			return nil, err
		}
	}
	switch {
	case len(found.keys) == 0:
		return nil, errors.New("there is no private key in it")
	case len(found.keys) > 1:
		return nil, fmt.Errorf("there are %d private keys in it", len(found.keys))
	case len(found.certificates) == 0:
		return nil, errors.New("there is no certificate in it")
	}
	var err error
	for i, der := range found.certificates {
		var key *Key
		if key, err = FromSigner(der, found.keys[0]); err == nil {
			return key, nil
		}
		if i > 0 {
			continue
		}
		// What is wrong with the key is wrong with every certificate.
		if _, bad := algorithmOf(found.keys[0].Public()); bad != nil {
			return nil, bad
		}
	}
	if len(found.certificates) > 1 {
		return nil, fmt.Errorf("none of the %d certificates belongs to the private key", len(found.certificates))
	}
	return nil, errors.New("the certificate does not belong to the private key")
}

// keyFiles is what was found.
type keyFiles struct {
	keys         []crypto.Signer
	certificates [][]byte
}

// add adds a private key, once.
func (f *keyFiles) add(private any) error {
	signer, ok := private.(crypto.Signer)
	if !ok {
		return fmt.Errorf("a key of type %T can't sign, want RSA or ECDSA", private)
	}
	for _, k := range f.keys {
		if public, ok := k.Public().(interface{ Equal(crypto.PublicKey) bool }); ok && public.Equal(signer.Public()) {
			return nil
		}
	}
	f.keys = append(f.keys, signer)
	return nil
}

func (f *keyFiles) read(data []byte, passphrase string) error {
	if bytes.Contains(data, []byte("-----BEGIN ")) {
		return f.readPEM(data)
	}
	if c, err := ParseHolder(data); err == nil {
		f.certificates = append(f.certificates, c.Raw)
		return nil
	}
	if private, err := readPrivate(data); err == nil {
		return f.add(private)
	}
	if costly(data, 0) {
		return fmt.Errorf("%w: at most %d are taken", ErrIterations, maxIterations)
	}
	private, certificate, chain, err := pkcs12.DecodeChain(data, passphrase)
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return ErrPassphrase
	case err != nil:
		// The cause is left out: what it says about the bytes of a private key belongs in no log.
		return errors.New("it is neither PEM nor PKCS #12 with one private key")
	}
	if certificate != nil {
		f.certificates = append(f.certificates, certificate.Raw)
	}
	for _, c := range chain {
		f.certificates = append(f.certificates, c.Raw)
	}
	return f.add(private)
}

func (f *keyFiles) readPEM(data []byte) error {
	read := 0
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		read++
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
			return ErrEncryptedPEM
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			private, err := readPrivate(block.Bytes)
			if err != nil {
				return err
			}
			if err := f.add(private); err != nil {
				return err
			}
		case block.Type == "TRUSTED CERTIFICATE": // of OpenSSL, which writes what it is trusted for behind it
			var certificate asn1.RawValue
			if _, err := asn1.Unmarshal(block.Bytes, &certificate); err != nil {
				return errors.New("its TRUSTED CERTIFICATE is broken")
			}
			f.certificates = append(f.certificates, certificate.FullBytes)
		case strings.HasSuffix(block.Type, "CERTIFICATE"):
			f.certificates = append(f.certificates, block.Bytes)
		}
	}
	if read == 0 {
		return errors.New("its PEM form is broken")
	}
	return nil
}

// readPrivate reads a private key of any form in DER.
func readPrivate(der []byte) (any, error) {
	if private, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return private, nil
	}
	if private, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return private, nil
	}
	if private, err := x509.ParseECPrivateKey(der); err == nil {
		return private, nil
	}
	// The cause is left out, as above.
	return nil, errors.New("its private key is not in the form of PKCS #8, PKCS #1 or SEC 1")
}
