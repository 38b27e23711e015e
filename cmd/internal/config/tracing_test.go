package config_test

import (
	"maps"
	"strings"
	"testing"
)

// OPS-07, OPS-08: where spans go, what is sent along, and that a secret stays one.
func TestTracingConfiguration(t *testing.T) {
	folder := initFolder(t)
	const collector = "OTLP_ENDPOINT=https://otel.example.com"
	for name, c := range map[string]struct {
		set  []string
		want string // part of the fault; "": none
	}{
		"off":                  {nil, ""},
		"https":                {[]string{collector, "HEADERS=Authorization=Bearer%20x"}, ""},
		"http without headers": {[]string{"OTLP_ENDPOINT=http://otel-collector:4318"}, ""},
		"http to loopback":     {[]string{"OTLP_ENDPOINT=http://127.0.0.1:4318", "HEADERS=a=b"}, ""},
		"http with headers": {[]string{"OTLP_ENDPOINT=http://otel-collector:4318", "HEADERS=a=b"},
			"would cross the network in clear"},
		"no address":      {[]string{"OTLP_ENDPOINT=otel-collector:4317"}, "is not a plain web address"},
		"with a password": {[]string{"OTLP_ENDPOINT=https://u:p@otel.example.com"}, "is not a plain web address"},
		"with a query":    {[]string{"OTLP_ENDPOINT=https://otel.example.com/?key=x"}, "is not a plain web address"},
		"headers alone":   {[]string{"HEADERS=a=b"}, "tracing.otlp_endpoint: is missing"},
		"no header":       {[]string{collector, "HEADERS=secret-token"}, "header 1 is not NAME=VALUE"},
		"line end":        {[]string{collector, "HEADERS=a=b%0d%0aX:y"}, "header 1 is not NAME=VALUE"},
		"twice":           {[]string{collector, "HEADERS=a=b,A=c"}, "header 2 is not NAME=VALUE"},
		"host":            {[]string{collector, "HEADERS=host=b"}, "sets itself"},
		"ratio of 0":      {[]string{collector, "SAMPLE_RATIO=0"}, "tracing.sample_ratio: 0 is out of range"},
		"ratio above 1":   {[]string{collector, "SAMPLE_RATIO=50"}, "tracing.sample_ratio: 50 is out of range"},
		"queue":           {[]string{collector, "QUEUE=5"}, "tracing.queue: 5 is out of range"},
		"no authorities":  {[]string{collector, "CA_FILE=/nonexistent"}, "tracing.ca_file: /nonexistent can't be used"},
		"anybody's trace": {[]string{collector, "TRUST_CONTEXT=true"}, "there is no proxy whose header could be trusted"},
	} {
		t.Run(name, func(t *testing.T) {
			var set []string
			for _, v := range c.set {
				set = append(set, "SSOBRIDGE_TRACING_"+v)
			}
			_, err := loadFolder(t, folder, set...)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("got %v, want no fault", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %s", err, c.want)
			case err != nil && strings.Contains(err.Error(), "secret-token"):
				t.Errorf("a secret in %v", err)
			}
		})
	}
	for endpoint, want := range map[string]string{
		"https://otel.example.com":        "https://otel.example.com/v1/traces",
		"https://otel.example.com/":       "https://otel.example.com/v1/traces",
		"https://otel.example.com/otlp/x": "https://otel.example.com/otlp/x",
	} {
		cfg, err := loadFolder(t, folder, "SSOBRIDGE_TRACING_OTLP_ENDPOINT="+endpoint,
			"SSOBRIDGE_TRACING_HEADERS=authorization=Bearer%20a%2Bb%3D, x-team = one")
		if err != nil {
			t.Fatal(err)
		}
		if got := cfg.Tracing.Endpoint(); got != want {
			t.Errorf("%s: %s, want %s", endpoint, got, want)
		}
		headers := map[string]string{"Authorization": "Bearer a+b=", "X-Team": "one"}
		if got := cfg.Tracing.HeaderValues(); !maps.Equal(got, headers) {
			t.Errorf("headers %v, want %v", got, headers)
		}
	}
}
