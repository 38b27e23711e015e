package main

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync/atomic"
	"time"
)

const (
	floodRate = 1000 // AuthnRequests a second, each from an address of its own
	quietRate = 10   // fresh sign-ins a second beside them
)

// measureFlood sends fresh AuthnRequests of nobody, while people sign in. Each claims
// an address of its own (the bridge trusts the proxy that this process plays), which is
// the worst that a flood can do: no share of an address holds it.
func (b *bench) measureFlood(ctx context.Context) error {
	br, err := b.running(ctx, "flood", "rsa-2048", set{"trusted_proxies": "127.0.0.1"}, b.o.people)
	if err != nil {
		return err
	}
	calm, err := br.quietly(ctx, b.o.span(5))
	if err != nil {
		return err
	}
	sizeBefore, err := br.size()
	if err != nil {
		return err
	}
	f := &flood{br: br}
	ended := make(chan error, 1)
	flooding, stop := context.WithCancel(ctx)
	defer stop()
	go func() { ended <- f.run(flooding, b.o.flood) }()
	beside, err := br.quietly(ctx, b.o.flood)
	if err != nil {
		stop()
		return errors.Join(err, <-ended)
	}
	if err := <-ended; err != nil {
		return err
	}
	memory, most, err := br.memory()
	if err != nil {
		return err
	}
	sizeAfter, err := br.size()
	if err != nil {
		return err
	}
	b.report.note("flood of AuthnRequests without a session", "%.0f a second for %s: %d taken, %d refused", f.rate,
		b.o.flood, f.taken.Load(), f.refused.Load())
	b.report.figure(floodGrowth, sizeAfter-sizeBefore)
	b.report.note("resident memory after the flood / at its highest", "%s / %s", mb(memory), mb(most))
	b.report.note("fresh sign-in before / beside the flood", "p50 %s / %s, p99 %s / %s",
		ms(calm.at(0.5)), ms(beside.at(0.5)), ms(calm.at(0.99)), ms(beside.at(0.99)))
	return br.stop()
}

// quietly signs people in at fixed moments.
func (br *bridge) quietly(ctx context.Context, run time.Duration) (times, error) {
	open := &opened{}
	defer open.close()
	took, err := schedule(ctx, connections, quietRate, run, open.signer(ctx, br))
	if err != nil {
		return nil, fmt.Errorf("sign in afresh: %w", err)
	}
	return took, nil
}

// flood sends AuthnRequests by the HTTP-Redirect binding.
type flood struct {
	br             *bridge
	taken, refused atomic.Int64
	rate           float64 // as it was reached
}

func (f *flood) run(ctx context.Context, run time.Duration) error {
	open := &opened{}
	defer open.close()
	began := time.Now()
	_, err := schedule(ctx, 4*connections, floodRate, run, func(int) (step, error) {
		c, err := open.dial(ctx, f.br)
		if err != nil {
			return nil, err
		}
		v := &visitor{br: f.br, c: c}
		packer, err := flate.NewWriter(nil, flate.BestSpeed)
		if err != nil {
			return nil, err
		}
		return func() error {
			v.address = fmt.Sprintf("10.%d.%d.%d", rand.IntN(256), rand.IntN(256), 1+rand.IntN(254))
			path, err := f.request(packer)
			if err != nil {
				return err
			}
			a, err := v.send("GET", path, "")
			switch {
			case err != nil:
				return err
			case a.status == 303:
				f.taken.Add(1)
			case a.status == 429 || a.status == 503:
				f.refused.Add(1)
			default:
				return fmt.Errorf("an AuthnRequest got status %d, want 303, or 429 or 503 where there are too many", a.status)
			}
			return nil
		}, nil
	})
	if err != nil {
		return fmt.Errorf("flood with AuthnRequests: %w", err)
	}
	f.rate = float64(f.taken.Load()+f.refused.Load()) / time.Since(began).Seconds()
	return nil
}

// request is the path of a fresh AuthnRequest.
func (f *flood) request(packer *flate.Writer) (string, error) {
	text := fmt.Sprintf(
		`<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" `+
			`Version="2.0" ID="_%016x%016x" IssueInstant="%s" Destination="http://%s/saml/sso" AssertionConsumerServiceURL="%s" `+
			`ProtocolBinding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"><saml:Issuer>%s</saml:Issuer></samlp:AuthnRequest>`,
		rand.Uint64(), rand.Uint64(), time.Now().UTC().Format("2006-01-02T15:04:05Z"), f.br.host, f.br.box.ACS(),
		f.br.box.EntityID())
	var packed bytes.Buffer
	packer.Reset(&packed)
	if _, err := packer.Write([]byte(text)); err != nil {
		return "", err
	}
	if err := packer.Close(); err != nil {
		return "", err
	}
	return "/saml/sso?SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString(packed.Bytes())), nil
}
