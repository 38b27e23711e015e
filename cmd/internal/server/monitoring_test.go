package server_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"ssobridge/cmd/internal/config"
	"ssobridge/cmd/internal/server"
	"ssobridge/idp"
	"ssobridge/store"
	"ssobridge/web/admin"
)

var (
	descPattern    = regexp.MustCompile(`fqName: "(\w+)".*variableLabels: \{([^}]*)\}`)
	metricPattern  = regexp.MustCompile(`\b(ssobridge_\w+)(?:\{([^}]*)\})?`)
	matcherPattern = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"`)
	byPattern      = regexp.MustCompile(`\bby \(([^)]*)\)`)
	wordPattern    = regexp.MustCompile("`([^`]*)`")
)

// exported are the metrics that the program has, with their labels.
func exported(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, d := range server.DescribeMetrics() {
		m := descPattern.FindStringSubmatch(d)
		if m == nil {
			t.Fatalf("not understood: %s", d)
		}
		all[m[1]] = strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' || r == ' ' })
	}
	if len(all) < 30 {
		t.Fatalf("only %d metrics", len(all))
	}
	return all
}

// values are those that labels with fixed words can have.
func values() map[string][]string {
	all := map[string][]string{"cause": {"credentials", "outage"}}
	for outcome, reasons := range idp.Outcomes() {
		all["outcome"], all["reason"] = append(all["outcome"], outcome), append(all["reason"], reasons...)
	}
	for _, part := range admin.Parts() {
		all["part"] = append(all["part"], string(part))
	}
	for _, s := range []store.State{store.Wanted, store.Sending, store.Unknown, store.Active, store.Assumed,
		store.Conflict, store.Refused, store.Suspended} {
		all["state"] = append(all["state"], string(s))
	}
	return all
}

// checkExpression wants every metric, label and fixed value of an expression of Prometheus to be one of ours.
func checkExpression(t *testing.T, where, expr string, metrics map[string][]string) {
	t.Helper()
	labels := []string{"instance", "job"}
	for _, m := range metricPattern.FindAllStringSubmatch(expr, -1) {
		name := m[1]
		of, known := metrics[name]
		for _, tail := range []string{"_bucket", "_sum", "_count"} {
			if base, is := strings.CutSuffix(name, tail); is && !known {
				of, known = metrics[base]
				labels = append(labels, "le")
			}
		}
		if !known {
			t.Errorf("%s: there is no metric %s", where, name)
		}
		labels = append(labels, of...)
		for _, match := range matcherPattern.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(of, match[1]) {
				t.Errorf("%s: %s has no label %s", where, name, match[1])
			}
			for value := range strings.SplitSeq(match[2], "|") {
				if fixed := values()[match[1]]; fixed != nil && !slices.Contains(fixed, value) {
					t.Errorf("%s: %s is never %q", where, match[1], value)
				}
			}
		}
	}
	for _, by := range byPattern.FindAllStringSubmatch(expr, -1) {
		for label := range strings.SplitSeq(by[1], ",") {
			if !slices.Contains(labels, strings.TrimSpace(label)) {
				t.Errorf("%s: nothing in it has the label %s", where, label)
			}
		}
	}
}

type alertRule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func readDoc(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestAlertsAndDashboardNameMetrics: what alerts and dashboard ask for is there, down to the values of labels, and each
// alert has its meaning and fix in the docs (OPS-03).
func TestAlertsAndDashboardNameMetrics(t *testing.T) {
	metrics, monitoring := exported(t), readDoc(t, "monitoring.md")
	var file struct {
		Groups []struct {
			Name  string      `yaml:"name"`
			Rules []alertRule `yaml:"rules"`
		} `yaml:"groups"`
	}
	decoder := yaml.NewDecoder(strings.NewReader(readDoc(t, "alerts.yaml")))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			names = append(names, r.Alert)
			checkExpression(t, r.Alert, r.Expr, metrics)
			if !strings.Contains(monitoring, "\n### "+r.Alert+"\n") {
				t.Errorf("monitoring.md has no section about %s", r.Alert)
			}
			if want := "docs/monitoring.md#" + strings.ToLower(r.Alert); r.Annotations["runbook"] != want {
				t.Errorf("%s: runbook %s, want %s", r.Alert, r.Annotations["runbook"], want)
			}
			if r.Annotations["summary"] == "" || r.Labels["severity"] == "" {
				t.Errorf("%s has no summary or severity", r.Alert)
			}
		}
	}
	if len(names) < 20 {
		t.Errorf("only %d alerts were looked at", len(names))
	}
	_, sections, _ := strings.Cut(monitoring, "\n## Answer an alert\n")
	for _, m := range regexp.MustCompile(`(?m)^### (\w+)$`).FindAllStringSubmatch(sections, -1) {
		if !slices.Contains(names, m[1]) {
			t.Errorf("monitoring.md tells of the alert %s, which is not in alerts.yaml", m[1])
		}
	}
	var dashboard struct {
		Panels []struct {
			Title   string `json:"title"`
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal([]byte(readDoc(t, "grafana.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	looked := 0
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			checkExpression(t, "panel "+p.Title, target.Expr, metrics)
			looked++
		}
	}
	if looked < 15 {
		t.Errorf("only %d expressions of the dashboard were looked at", looked)
	}
}

// TestMetricsAreDocumented: monitoring.md has every metric with its labels, every part, and every outcome with its
// reasons, and none that there is not (OPS-03).
func TestMetricsAreDocumented(t *testing.T) {
	metrics, monitoring := exported(t), readDoc(t, "monitoring.md")
	_, table, _ := strings.Cut(monitoring, "\n## Collect metrics\n")
	documented := map[string]bool{}
	for _, word := range wordPattern.FindAllStringSubmatch(table, -1) {
		m := metricPattern.FindStringSubmatch(word[1])
		if m == nil || m[0] != word[1] {
			continue
		}
		labels, known := metrics[m[1]]
		if !known {
			t.Errorf("monitoring.md has %s, which there is not", m[1])
			continue
		}
		documented[m[1]] = true
		if said := strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' }); strings.Contains(word[1], "{") &&
			!slices.Equal(said, labels) || !strings.Contains(word[1], "{") && len(labels) > 0 {
			t.Errorf("%s has the labels %v, and monitoring.md says %v", m[1], labels, said)
		}
	}
	for name := range metrics {
		if !documented[name] {
			t.Errorf("monitoring.md does not have %s", name)
		}
	}
	for _, part := range admin.Parts() {
		if !strings.Contains(monitoring, "\n| `"+string(part)+"` | ") {
			t.Errorf("monitoring.md does not have the part %s", part)
		}
	}
	for outcome, reasons := range idp.Outcomes() {
		line := regexp.MustCompile("(?m)^\\| `" + outcome + "` \\|.*\\|(.*)\\|$").FindStringSubmatch(monitoring)
		if line == nil {
			t.Errorf("monitoring.md does not have the outcome %s", outcome)
			continue
		}
		var said []string
		for _, word := range wordPattern.FindAllStringSubmatch(line[1], -1) {
			said = append(said, word[1])
		}
		reasons = slices.DeleteFunc(slices.Clone(reasons), func(r string) bool { return r == "" })
		slices.Sort(reasons)
		slices.Sort(said)
		if !slices.Equal(said, reasons) {
			t.Errorf("%s has the reasons %q, and monitoring.md says %q", outcome, reasons, said)
		}
	}
}

// TestLogDurations: whatever room logs a duration, it is in milliseconds and says so (OPS-04).
func TestLogDurations(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		var b bytes.Buffer
		log := server.NewLogger(config.Log{Format: format, Level: "info"}, &b)
		log.Info("x", "duration", 1234567*time.Nanosecond, slog.Group("g", "again_in", time.Minute))
		for _, want := range []string{`duration_ms`, `1.235`, `again_in_ms`, `60000`} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s has no %s", b.String(), want)
			}
		}
	}
	// Strings are not seen there: no duration may be made one on its way into the log.
	found := regexp.MustCompile(`(?:log|Logger|slog)\.[A-Z]\w*\([^;{}]*"(?:\w*duration|took|after|age|within|again_in)",[^;{}]*\.String\(\)`)
	for _, room := range []string{"cmd/internal", "idp", "web", "store", "provisioning", "partnerapi", "certs"} {
		err := filepath.WalkDir(filepath.Join("..", "..", "..", room), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			if m := found.Find(text); m != nil {
				t.Errorf("%s logs a duration as text: %s", path, m)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
