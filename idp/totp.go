package idp

import (
	"bytes"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"image/png"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
)

// The parameters that every authenticator app takes, whatever it says of others (RFC 6238).
const (
	codeStep   = 30 * time.Second
	codeDigits = 6
	codeSkew   = 1  // steps to either side, for clocks and slow fingers (RFC 6238 5.2)
	codeSecret = 20 // bytes (RFC 4226 4)
)

// newCode makes the secret of an authenticator app for a login.
func (p *Provider) newCode(login string) (*otp.Key, error) {
	key, err := totp.Generate(totp.GenerateOpts{
		Issuer: p.codeIssuer(), AccountName: login, SecretSize: codeSecret, Rand: p.o.Random,
		Period: uint(codeStep / time.Second), Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1,
	})
	if err != nil {
		return nil, fmt.Errorf("make the secret of an authenticator app: %w", err)
	}
	return key, nil
}

// codeKey is the key of a secret that was made before.
func (p *Provider) codeKey(secret, login string) (*otp.Key, error) {
	raw, err := base32Secret.DecodeString(secret)
	if err != nil {
		return nil, fmt.Errorf("read the secret of an authenticator app: %w", err)
	}
	key, err := totp.Generate(totp.GenerateOpts{
		Issuer: p.codeIssuer(), AccountName: login, Secret: raw,
		Period: uint(codeStep / time.Second), Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1,
	})
	if err != nil {
		return nil, fmt.Errorf("make the key of an authenticator app: %w", err)
	}
	return key, nil
}

// pictureOf is the QR code of a key, as the address of a picture that holds itself.
func pictureOf(key *otp.Key) (string, error) {
	img, err := key.Image(240, 240)
	if err != nil {
		return "", fmt.Errorf("draw a QR code: %w", err)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return "", fmt.Errorf("draw a QR code: %w", err)
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes()), nil
}

// checkCode returns the time step of a code that is right and later than the last one
// taken. All steps are compared, each in constant time.
func checkCode(secret, typed string, last int64, now time.Time) (step int64, ok bool, err error) {
	current := now.Unix() / int64(codeStep/time.Second)
	for at := current - codeSkew; at <= current+codeSkew; at++ {
		want, err := totp.GenerateCodeCustom(secret, time.Unix(at*int64(codeStep/time.Second), 0),
			totp.ValidateOpts{Period: uint(codeStep / time.Second), Digits: codeDigits, Algorithm: otp.AlgorithmSHA1})
		if err != nil {
			return 0, false, fmt.Errorf("work out a one-time code: %w", err)
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(typed)) == 1 && at > last {
			step, ok = at, true
		}
	}
	return step, ok, nil
}

// base32Secret is how authenticator apps take a secret.
var base32Secret = base32.StdEncoding.WithPadding(base32.NoPadding)

// codeIssuer names this sign-in in the app, which takes a colon for the end of the name.
func (p *Provider) codeIssuer() string { return strings.ReplaceAll(p.o.SecondFactor.Issuer, ":", " ") }
