package mfa

import (
	"bytes"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"image/png"
	"io"
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

// Secret is that of an authenticator app, which the person types or scans.
type Secret struct {
	Text    string // base32
	Picture string // a QR code: a data: address of a PNG
	Address string // what the QR code says: an otpauth: address, which opens an app on the device that shows it
}

// NewSecret makes the secret of an authenticator app for a login. issuer names this sign-in in the app, which takes a
// colon for the end of the name.
func NewSecret(random io.Reader, issuer, login string) (Secret, error) {
	return secretOf(totp.GenerateOpts{Issuer: issuer, AccountName: login, SecretSize: codeSecret, Rand: random})
}

// Again is a secret that was made before.
func Again(text, issuer, login string) (Secret, error) {
	raw, err := base32Secret.DecodeString(text)
	if err != nil {
		return Secret{}, fmt.Errorf("read the secret of an authenticator app: %w", err)
	}
	return secretOf(totp.GenerateOpts{Issuer: issuer, AccountName: login, Secret: raw})
}

func secretOf(o totp.GenerateOpts) (Secret, error) {
	o.Issuer = strings.ReplaceAll(o.Issuer, ":", " ")
	o.Period, o.Digits, o.Algorithm = uint(codeStep/time.Second), otp.DigitsSix, otp.AlgorithmSHA1
	key, err := totp.Generate(o)
	if err != nil {
		return Secret{}, fmt.Errorf("make the secret of an authenticator app: %w", err)
	}
	img, err := key.Image(240, 240)
	if err != nil {
		return Secret{}, fmt.Errorf("draw a QR code: %w", err)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return Secret{}, fmt.Errorf("draw a QR code: %w", err)
	}
	return Secret{Text: key.Secret(), Picture: "data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes()),
		Address: key.URL()}, nil
}

// CheckNewCode checks the first code of an app that has this secret; right is false for a wrong one.
func CheckNewCode(secret, typed string, now time.Time) (proof Proof, right bool, err error) {
	if len(typed) > MaxCode {
		return proof, false, nil
	}
	step, right, err := checkCode(secret, bareCode(typed), 0, now)
	return Proof{codeProof{Secret: secret, Last: step}}, right, err
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
