package config

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"ssobridge/idp/netname"
	"ssobridge/internal/plaintext"
	"ssobridge/partnerapi"
)

// Tracing is about OpenTelemetry: spans of requests, of directory, store and partner API, sent to a collector. No span
// has a name, login, mail address, DN or id of a person in it, or anything that was typed.
type Tracing struct {
	// The address of an OpenTelemetry collector that takes OTLP over HTTP (protobuf). Without a path, /v1/traces is added.
	// https; http too, where no headers are sent, or to a loopback host. A proxy comes by the environment, as for
	// constant_contact. What the collector does not take in time is dropped, and never makes a sign-in wait.
	// Default none: off.
	// Example: https://otel.example.com:4318
	OTLPEndpoint string `yaml:"otlp_endpoint"`

	// Headers that are sent along, as OpenTelemetry's own OTEL_EXPORTER_OTLP_HEADERS has them: NAME=VALUE, with commas
	// between, in values % and two digits for what is special.
	Headers Secret `yaml:"headers"`

	// The file with those headers, in one line.
	// Default none.
	// Example: otlp_headers
	HeadersFile string `yaml:"headers_file"`

	// Certificates (PEM) of the authorities that may sign that of otlp_endpoint.
	// Default: those of constant_contact.ca_file, or else those that the system trusts.
	// Example: /etc/ssobridge/otel-ca.crt
	CAFile string `yaml:"ca_file"`

	// The part of the requests that is recorded, above 0, at most 1.
	// Default 1.
	// Example: 0.1
	SampleRatio float64 `yaml:"sample_ratio"`

	// How many spans wait to be sent at most, 100 to 100000; a sign-in has some dozens. What comes when so many wait is
	// dropped and counted in ssobridge_spans_total.
	// Default 2048.
	// Example: 2048
	Queue int `yaml:"queue"`

	// Go on with the trace that a proxy in trusted_proxies names in the header traceparent (W3C Trace Context). Whoever
	// sends it chooses what is recorded: a proxy that does not make the header itself has to remove that of browsers.
	// Default false.
	// Example: false
	TrustContext bool `yaml:"trust_context"`
}

// Endpoint is otlp_endpoint, which passed the check, with its path.
func (t Tracing) Endpoint() string {
	u, err := url.Parse(t.OTLPEndpoint)
	if err != nil || t.OTLPEndpoint == "" {
		return t.OTLPEndpoint
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1/traces"
	}
	return u.String()
}

// HeaderValues are the headers, which passed the check.
func (t Tracing) HeaderValues() map[string]string {
	all, err := parseHeaders(string(t.Headers))
	if err != nil {
		return nil
	}
	return all
}

// headerName is a token (RFC 9110 5.6.2).
var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")

// maxHeaders bounds what is sent along.
const maxHeaders = 16

// parseHeaders reads NAME=VALUE,NAME=VALUE. Its errors repeat nothing of the text, which is a secret.
func parseHeaders(text string) (map[string]string, error) {
	all := map[string]string{}
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		name, value, found := strings.Cut(item, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		name = http.CanonicalHeaderKey(strings.TrimSpace(name))
		if _, twice := all[name]; !found || twice || err != nil || value == "" || !headerName.MatchString(name) ||
			strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
			return nil, fmt.Errorf("header %d is not NAME=VALUE, each name once", len(all)+1)
		}
		switch name {
		case "Host", "Content-Type", "Content-Length", "Transfer-Encoding", "Connection":
			return nil, fmt.Errorf("header %d is one that the bridge sets itself", len(all)+1)
		}
		if all[name] = value; len(all) > maxHeaders {
			return nil, errors.New("there are too many")
		}
	}
	return all, nil
}

func checkTracing(c *Config, f *faults) {
	t := c.Tracing
	if _, err := parseHeaders(string(t.Headers)); err != nil {
		key := "tracing.headers"
		if t.HeadersFile != "" {
			key += "_file"
		}
		f.add(key, "can't be used: "+err.Error(), "write for example Authorization=Bearer%20TOKEN")
	}
	if t.SampleRatio <= 0 || t.SampleRatio > 1 {
		f.add("tracing.sample_ratio", fmt.Sprintf("%v is out of range", t.SampleRatio),
			"write a number above 0, at most 1; leave otlp_endpoint out to record nothing")
	}
	if t.Queue < 100 || t.Queue > 100_000 {
		f.add("tracing.queue", fmt.Sprintf("%d is out of range", t.Queue), "write a number from 100 to 100000")
	}
	if t.CAFile != "" {
		data, err := ReadFile(t.CAFile, maxCAFile)
		if err == nil {
			_, err = partnerapi.Authorities(data)
		}
		if err != nil {
			f.add("tracing.ca_file", fmt.Sprintf("%s can't be used: %s", t.CAFile, PlainCause(err)),
				"name a PEM file of certificates that the bridge's user may read")
		}
	}
	if t.TrustContext && len(c.TrustedProxies) == 0 {
		// A stranger would choose what is recorded.
		f.add("tracing.trust_context", "is true, and there is no proxy whose header could be trusted",
			"name the proxy in trusted_proxies, or leave trust_context out")
	}
	if t.OTLPEndpoint == "" {
		if t.Headers != "" {
			f.add("tracing.otlp_endpoint", "is missing, and there are headers for it", "name the collector, or leave them out")
		}
		return
	}
	u, err := url.Parse(t.OTLPEndpoint)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.Fragment != "" ||
		u.User != nil:
		f.add("tracing.otlp_endpoint", plaintext.Quote(t.OTLPEndpoint)+" is not a plain web address",
			"write for example https://otel.example.com:4318; a token belongs in headers_file")
	case u.Scheme == "http" && t.Headers != "" && !netname.LoopbackPeer(u.Hostname()):
		f.add("tracing.otlp_endpoint", "is http, so the headers would cross the network in clear",
			"write https, or leave headers_file out")
	}
}
