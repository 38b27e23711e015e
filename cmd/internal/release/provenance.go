package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

// The statement of provenance: in-toto Statement v1 with SLSA Provenance v1. It is not signed: whoever publishes a
// release signs SHA256SUMS, which covers it.
type (
	statement struct {
		Type          string     `json:"_type"`
		Subject       []resource `json:"subject"`
		PredicateType string     `json:"predicateType"`
		Predicate     predicate  `json:"predicate"`
	}
	resource struct {
		Name        string            `json:"name"`
		Digest      map[string]string `json:"digest,omitempty"`
		Annotations map[string]string `json:"annotations,omitempty"`
	}
	predicate struct {
		BuildDefinition buildDefinition `json:"buildDefinition"`
		RunDetails      runDetails      `json:"runDetails"`
	}
	buildDefinition struct {
		BuildType            string            `json:"buildType"`
		ExternalParameters   map[string]string `json:"externalParameters"`
		ResolvedDependencies []resource        `json:"resolvedDependencies"`
	}
	runDetails struct {
		Builder struct {
			ID string `json:"id"`
		} `json:"builder"`
	}
)

// finish adds the statement of provenance and the checksums of all.
func finish(ctx context.Context, o options, results []file) ([]file, error) {
	s := statement{Type: "https://in-toto.io/Statement/v1", PredicateType: "https://slsa.dev/provenance/v1"}
	for _, f := range results {
		sum := sha256.Sum256(f.data)
		s.Subject = append(s.Subject, resource{Name: f.name, Digest: map[string]string{"sha256": hex.EncodeToString(sum[:])}})
	}
	// Names without a meaning beyond this project: a builder that others trust says who it is by a signature.
	s.Predicate.RunDetails.Builder.ID = "urn:ssobridge:make-release"
	used, err := dependencies(ctx, o)
	if err != nil {
		return nil, err
	}
	s.Predicate.BuildDefinition = buildDefinition{
		BuildType:            "urn:ssobridge:release:1",
		ExternalParameters:   map[string]string{"version": o.version, "sourceDateEpoch": fmt.Sprint(o.date.Unix())},
		ResolvedDependencies: used,
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(s); err != nil {
		return nil, fmt.Errorf("write the statement of provenance: %w", err)
	}
	results = append(results, file{name: "ssobridge-" + o.version + ".provenance.json", data: text.Bytes()})
	return append(results, checksums(results)), nil
}

// dependencies is what the bytes of the release depend on: the sources, the toolchain, the C compilers and the Debian
// packages. The Go modules are in go.sum, which is among the sources.
func dependencies(ctx context.Context, o options) ([]resource, error) {
	var used []resource
	if o.commit != "" {
		used = append(used, resource{Name: "ssobridge", Digest: map[string]string{"gitCommit": o.commit}})
	}
	for i, t := range o.targets {
		if i == 0 {
			version, err := command(ctx, o.root, t.environment(), "go", "env", "GOVERSION")
			if err != nil {
				return nil, err
			}
			used = append(used, resource{Name: "go", Annotations: map[string]string{"version": version}})
		}
		says, err := command(ctx, o.root, []string{"LC_ALL=C"}, t.compiler(), "--version")
		if err != nil {
			return nil, err
		}
		first, _, _ := strings.Cut(says, "\n")
		used = append(used, resource{Name: "C compiler for " + t.arch, Annotations: map[string]string{"version": first}})
		packages, err := locked(lockText, t.arch)
		if err != nil {
			return nil, err
		}
		for _, p := range packages {
			used = append(used, resource{Name: p.name + " " + p.version + " for " + t.arch,
				Digest: map[string]string{"sha256": p.sha256}})
		}
	}
	return used, nil
}
