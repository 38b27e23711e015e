package mfa

import (
	"crypto/subtle"
	"errors"
	"slices"
	"time"

	"ssobridge/store"
)

// CheckCode finds the factor of a person that takes a typed code: an app's, or one of the recovery codes. It returns
// the factor as it is to be kept from now on, with the code used up. refused says why none takes it; it is for the log.
func (s *Factors) CheckCode(person store.PersonID, records []store.SecondFactor, typed string,
	now time.Time) (proved store.SecondFactor, refused, err error) {
	code := bareCode(typed)
	if code == "" || len(code) > MaxCode {
		return proved, errors.New("no code"), nil
	}
	refused = errors.New("no factor of the person takes this code")
	for _, r := range records {
		var (
			right bool
			fault error
		)
		switch r.Kind {
		case TOTP:
			right, fault, err = s.checkApp(&r, code, now)
		case RecoveryCode:
			right, fault, err = s.checkRecovery(person, &r, code)
		}
		switch {
		case err != nil:
			return store.SecondFactor{}, nil, err
		case right:
			return r, nil, nil
		case fault != nil:
			refused = fault
		}
	}
	return proved, refused, nil
}

// checkApp checks a code of an authenticator app, and notes its time step: none is taken twice. A fault is of a factor
// that can't be read.
func (s *Factors) checkApp(r *store.SecondFactor, code string, now time.Time) (right bool, fault, err error) {
	var app codeProof
	if err := s.open(*r, &app); err != nil {
		return false, err, nil
	}
	step, right, err := checkCode(app.Secret, code, app.Last, now)
	if err != nil || !right {
		return false, nil, err
	}
	app.Last = step
	return true, nil, s.seal(r, app)
}

// checkRecovery checks a recovery code, and takes it out of its list.
func (s *Factors) checkRecovery(person store.PersonID, r *store.SecondFactor, code string) (right bool,
	fault, err error) {
	var recovery recoveryProof
	if err := s.open(*r, &recovery); err != nil {
		return false, err, nil
	}
	for _, hash := range s.recoveryHashes(person, code) {
		left := slices.DeleteFunc(slices.Clone(recovery.Codes),
			func(c []byte) bool { return subtle.ConstantTimeCompare(c, hash) == 1 })
		if len(left) < len(recovery.Codes) {
			r.Spent = store.CodeObject(r.ID, hash)
			return true, nil, s.seal(r, recoveryProof{left, recovery.Key})
		}
	}
	return false, nil, nil
}

// CheckPasskey checks the browser's answer to Ask. It returns the factor as it is to be kept from now on. refused says
// why the answer is not taken; it is for the log.
func (s *Factors) CheckPasskey(keys *Passkeys, h Holder, ceremony Ceremony, answer string,
	records []store.SecondFactor) (proved store.SecondFactor, refused, err error) {
	credential, refused := keys.proved(h, ceremony, answer)
	if refused != nil {
		return proved, refused, nil
	}
	for _, r := range records {
		var c passkeyProof
		if r.Kind == Passkey && s.open(r, &c) == nil && keys.of(c) && slices.Equal(c.ID, credential.ID) {
			err := s.seal(&r, passkeyProof{*credential, c.Host})
			return r, nil, err
		}
	}
	return proved, errors.New("the passkey is gone"), nil
}

// Holder is a person with their passkeys of one host. One that can't be opened is left out; others reports whether
// there are some of another host.
func (s *Factors) Holder(keys *Passkeys, person store.PersonID, login string,
	records []store.SecondFactor) (h Holder, others bool) {
	h = Holder{person: person, login: login}
	for _, r := range records {
		var c passkeyProof
		switch {
		case r.Kind != Passkey || s.open(r, &c) != nil:
		case keys.of(c):
			h.credentials = append(h.credentials, c.Credential)
		default:
			others = true
		}
	}
	return h, others
}
