package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"html"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ssobridge/cmd/internal/sample"
	"ssobridge/idp/claims"
	"ssobridge/store"
)

// portalOrigin is where the application of the signed launches says that it is. Nobody asks it anything.
const portalOrigin = "http://localhost"

// measureSigned compares signed launches of known people of a source (ES256, subject "own") with launches of people of
// the directory who have a live session, on one bridge and in turns; and the check of a token with the verification of
// its signature alone.
func (b *bench) measureSigned(ctx context.Context) error {
	e, err := b.usualEngine(ctx)
	if err != nil {
		return err
	}
	br, err := b.newBridge(ctx, "signed", "rsa-2048", e.more)
	if err != nil {
		return fmt.Errorf("set up a bridge: %w", err)
	}
	portal, err := br.addPortal()
	if err != nil {
		return err
	}
	if _, err := br.start(ctx); err != nil {
		return err
	}
	if err := br.introduce(ctx, launchers, true); err != nil {
		return fmt.Errorf("sign people in for the first time: %w", err)
	}
	if err := br.introduceCustomers(ctx, portal, launchers); err != nil {
		return fmt.Errorf("launch for the first time: %w", err)
	}
	type turn struct{ signed, launch pace }
	turns, again, why, err := inTurns(ctx, b.o.rounds, b.cores, func() (t turn, err error) {
		if t.launch, err = br.launches(ctx, b.o.span(1), b.o.span(5)); err != nil {
			return t, err
		}
		open := &opened{}
		defer open.close()
		t.signed, err = br.pace(ctx, b.o.span(1), b.o.span(5), open.customers(ctx, br, portal))
		b.progress("  a launch %s, a signed one %s", ms(t.launch.each), ms(t.signed.each))
		return t, err
	})
	if err != nil {
		return err
	}
	times := func(t turn) float64 { return float64(t.signed.each) / float64(t.launch.each) }
	m := median(turns, times)
	b.report.note("processor time of a signed launch, own subject, ES256",
		"%s (of a launch: %s; %.0f a second; %d turns, %d repeated)",
		ms(m.signed.each), ms(m.launch.each), m.signed.rate, len(turns), again)
	from := len(b.report.lines)
	b.report.figure(signedLaunch, times(m))
	if why != "" {
		b.report.doubt(from, why)
	}
	if err := br.stop(); err != nil {
		return err
	}
	return b.measureToken(ctx, portal)
}

// addPortal adds a source to the configuration, as an administrator does.
func (br *bridge) addPortal() (*sample.Portal, error) {
	portal, err := sample.NewPortal(portalOrigin, "http://"+br.host)
	if err != nil {
		return nil, err
	}
	key, err := portal.PublicKey()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(br.config())
	if err != nil {
		return nil, fmt.Errorf("add a source: %w", err)
	}
	text = fmt.Appendf(text, "\nsources:\n  portal:\n    issuer: %[1]s\n    keys: [portal.pem]\n    origins: [%[1]s]\n"+
		"    allow_accounts: [%[2]s]\n    allow_roles: [account_manager]\n", portalOrigin, account)
	for name, data := range map[string][]byte{br.config(): text, filepath.Join(br.dir, "portal.pem"): key} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			return nil, fmt.Errorf("add a source: %w", err)
		}
	}
	return portal, nil
}

func customer(i int) sample.Customer {
	return sample.Customer{ID: fmt.Sprintf("customer-%06d", i), FirstName: "Jo", LastName: fmt.Sprintf("Doe %d", i),
		Mail: fmt.Sprintf("jo%d@example.com", i), Account: account}
}

// introduceCustomers has the SSO users of customers created.
func (br *bridge) introduceCustomers(ctx context.Context, portal *sample.Portal, customers int) error {
	return br.each(ctx, customers, func(v *visitor, i int) error {
		err := v.signedLaunch(portal, customer(i))
		for deadline := time.Now().Add(patience); errors.Is(err, errWaits) && time.Now().Before(deadline); {
			if err := pause(ctx, 100*time.Millisecond, nil); err != nil {
				return err
			}
			err = v.signedLaunch(portal, customer(i))
		}
		return err
	})
}

// customers makes workers that come by signed launches, on connections of their own.
func (o *opened) customers(ctx context.Context, br *bridge, portal *sample.Portal) func(int) (step, error) {
	return func(worker int) (step, error) {
		c, err := o.dial(ctx, br)
		if err != nil {
			return nil, err
		}
		v, n := &visitor{br: br, c: c}, worker*launchers/connections
		return func() error {
			n = (n + 1) % launchers
			return v.signedLaunch(portal, customer(n))
		}, nil
	}
}

// signedLaunch posts a fresh token from the application's page in a browser without cookies, and goes where the bridge
// leads until that is a Response.
func (v *visitor) signedLaunch(portal *sample.Portal, c sample.Customer) error {
	token, err := portal.TokenOf(c)
	if err != nil {
		return err
	}
	cookies := map[string]string{}
	form := url.Values{"token": {token}}.Encode()
	method, path := "POST", "/launch"
	for range 4 {
		v.request = fmt.Appendf(v.request[:0], "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) bench\r\n"+
			"Accept: text/html\r\nAccept-Language: en\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n"+
			"Sec-Fetch-Dest: document\r\n", method, path, v.br.host)
		if len(cookies) > 0 {
			var all []string
			for name, value := range cookies {
				all = append(all, name+"="+value)
			}
			v.request = fmt.Appendf(v.request, "Cookie: %s\r\n", strings.Join(all, "; "))
		}
		if form != "" {
			v.request = fmt.Appendf(v.request, "Origin: %s\r\nContent-Type: application/x-www-form-urlencoded\r\n"+
				"Content-Length: %d\r\n", portalOrigin, len(form))
		}
		v.request = append(append(v.request, "\r\n"...), form...)
		a, err := v.c.do(v.request)
		if err != nil {
			return fmt.Errorf("signed launch: %s %s: %w", method, strings.SplitN(path, "?", 2)[0], err)
		}
		for line := range bytes.Lines(a.head) {
			if cookie, ok := bytes.CutPrefix(line, []byte("Set-Cookie: ")); ok {
				name, value, _ := strings.Cut(string(cookie), "=")
				value, _, _ = strings.Cut(value, ";")
				cookies[name] = value
			}
		}
		to := string(field(a.head, "Location: "))
		if a.status != 303 || to == "" {
			return delivered(a)
		}
		method, path, form = "GET", html.UnescapeString(to), ""
	}
	return errors.New("signed launch: the bridge leads on and on")
}

// measureToken compares the check of a launch token, in this process and with nothing of the store, with the plain
// verification of its signature.
func (b *bench) measureToken(ctx context.Context, portal *sample.Portal) error {
	key, err := portal.PublicKey()
	if err != nil {
		return err
	}
	keys, err := claims.ParseKeys(key)
	if err != nil {
		return fmt.Errorf("read the key of the source: %w", err)
	}
	source := &claims.Source{Name: "portal", Issuer: portal.URL, Subject: claims.Own, Keys: keys,
		AllowAccounts: []string{account}, AllowRoles: []string{string(store.AccountManager)},
		Claims: claims.Names{FirstName: "given_name", LastName: "family_name", Mail: "email", Groups: "groups",
			Accounts: "accounts"}, Skew: time.Minute}
	if err := source.Check(); err != nil {
		return fmt.Errorf("make a source: %w", err)
	}
	v := &claims.Verifier{Sources: []*claims.Source{source}, Audience: portal.Bridge, Now: time.Now,
		Keys: claims.NewKeys(claims.KeysOptions{Now: time.Now})}
	token, err := portal.TokenOf(customer(0))
	if err != nil {
		return err
	}
	plain, err := plainCheck(key, token)
	if err != nil {
		return err
	}
	turns := max(200, int(3000*b.o.seconds/5))
	var over []float64
	var checked, alone time.Duration
	for range b.o.rounds {
		if alone, err = ownTime(turns, plain); err != nil {
			return err
		}
		if checked, err = ownTime(turns, func() error {
			if _, bad := v.Verify(ctx, token, claims.TypeLaunch, nil); bad != nil {
				return fmt.Errorf("check a token: %w", bad)
			}
			return nil
		}); err != nil {
			return err
		}
		over = append(over, float64(checked-alone))
	}
	b.report.note("check of a launch token, ES256", "%s (its signature alone: %s; %d turns)", ms(checked), ms(alone),
		turns)
	b.report.figure(tokenOverSignature, median(over, func(v float64) float64 { return v }))
	return nil
}

// plainCheck verifies the signature of a token and does nothing else.
func plainCheck(key []byte, token string) (func() error, error) {
	block, _ := pem.Decode(key)
	if block == nil {
		return nil, errors.New("the key of the source is no PEM")
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read the key of the source: %w", err)
	}
	ec, ok := public.(*ecdsa.PublicKey)
	at := strings.LastIndexByte(token, '.')
	raw, err := base64.RawURLEncoding.DecodeString(token[at+1:])
	if !ok || err != nil || len(raw) != 64 {
		return nil, errors.New("the token of the source is not signed by ES256")
	}
	r, s := new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])
	return func() error {
		sum := sha256.Sum256([]byte(token[:at]))
		if !ecdsa.Verify(ec, sum[:], r, s) {
			return errors.New("the signature of the token does not hold")
		}
		return nil
	}, nil
}

// ownTime is the processor time that this process needs for one of many turns.
func ownTime(turns int, do func() error) (time.Duration, error) {
	began, err := processorTime(os.Getpid())
	if err != nil {
		return 0, err
	}
	for range turns {
		if err := do(); err != nil {
			return 0, err
		}
	}
	ended, err := processorTime(os.Getpid())
	return (ended - began) / time.Duration(turns), err
}
