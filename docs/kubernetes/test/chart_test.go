// Package kubernetes_test renders the Helm chart of docs/kubernetes and reads every object strictly by the types of
// Kubernetes. It is a module of its own, so that the bridge does not depend on Helm.
package kubernetes_test

import (
	"flag"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "rewrite manifests.yaml")

// generated are the files that are the chart with its own values, and with init.
var generated = map[string]string{"../manifests.yaml": "", "../init-job.yaml": "init: true"}

const head = "# docs/kubernetes/chart with its own values. Rewritten by go test ./... -update in docs/kubernetes/test.\n"

// render is what helm install sends.
func render(t *testing.T, values string) string {
	t.Helper()
	c, err := loader.Load("../chart")
	if err != nil {
		t.Fatal(err)
	}
	text, err := renderChart(c, values)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func renderChart(c *chart.Chart, values string) (string, error) {
	mine, err := chartutil.ReadValues([]byte(values))
	if err != nil {
		return "", err
	}
	release := chartutil.ReleaseOptions{Name: "sso", Namespace: "sso", IsInstall: true}
	all, err := chartutil.ToRenderValues(c, mine, release, nil)
	if err != nil {
		return "", err
	}
	files, err := engine.Engine{Strict: true}.Render(c, all)
	if err != nil {
		return "", err
	}
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	var out strings.Builder
	for _, name := range names {
		if text := strings.TrimSpace(files[name]); text != "" && path.Ext(name) == ".yaml" {
			out.WriteString("---\n" + text + "\n")
		}
	}
	return out.String(), nil
}

// object is the type of a kind.
func object(apiVersion, kind string) any {
	switch apiVersion + " " + kind {
	case "v1 ConfigMap":
		return &corev1.ConfigMap{}
	case "v1 Service":
		return &corev1.Service{}
	case "apps/v1 StatefulSet":
		return &appsv1.StatefulSet{}
	case "batch/v1 Job":
		return &batchv1.Job{}
	case "networking.k8s.io/v1 Ingress":
		return &networkingv1.Ingress{}
	case "networking.k8s.io/v1 NetworkPolicy":
		return &networkingv1.NetworkPolicy{}
	case "policy/v1 PodDisruptionBudget":
		return &policyv1.PodDisruptionBudget{}
	}
	return nil
}

// read decodes each object; a field that its type does not have is a fault.
func read(t *testing.T, text string) (all []any) {
	t.Helper()
	for document := range strings.SplitSeq(text, "\n---\n") {
		document = strings.TrimPrefix(document, "---\n")
		var head struct{ APIVersion, Kind string }
		if err := yaml.Unmarshal([]byte(document), &head); err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		o := object(head.APIVersion, head.Kind)
		if o == nil {
			t.Errorf("%s %s: an object that this test does not know", head.APIVersion, head.Kind)
			continue
		}
		if err := yaml.UnmarshalStrict([]byte(document), o); err != nil {
			t.Errorf("%s: %v\n%s", head.Kind, err, document)
		}
		all = append(all, o)
	}
	return all
}

// TestChart: the chart renders, its objects are what Kubernetes takes, and the manifests are the chart (row DOC-06).
func TestChart(t *testing.T) {
	page, err := os.ReadFile("../../kubernetes.md")
	if err != nil {
		t.Fatal(err)
	}
	_, mine, found := strings.Cut(string(page), "<!-- checked: TestChart -->\n```yaml\n")
	mine, _, closed := strings.Cut(mine, "```\n")
	if !found || !closed {
		t.Fatal("kubernetes.md shows no values")
	}
	for name, values := range generated {
		text := head
		for document := range strings.SplitSeq(strings.TrimPrefix(render(t, values), "---\n"), "\n---\n") {
			if values == "" || strings.Contains(document, "kind: Job") { // the other objects are in the first file
				text += "---\n" + strings.TrimSpace(document) + "\n"
			}
		}
		if *update {
			if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		kept, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if string(kept) != text {
			t.Errorf("%s is not what the chart says: go test ./... -update in docs/kubernetes/test", name)
		}
	}
	for name, c := range map[string]struct {
		values string
		kinds  int
	}{
		"its own values":         {"", 7},
		"the values of the page": {mine, 7},
		"first installation":     {"init: true", 8},
		"no monitoring":          {`monitoringNamespace: ""`, 7},
		"a class of storage":     {"state: {storageClassName: fast}", 7},
		"annotations":            {"ingress: {annotations: {a.example.com/b: c}}", 7},
	} {
		t.Run(name, func(t *testing.T) {
			all := read(t, render(t, c.values))
			if len(all) != c.kinds {
				t.Errorf("%d objects, want %d", len(all), c.kinds)
			}
			for _, o := range all {
				switch o := o.(type) {
				case *appsv1.StatefulSet:
					hardened(t, o.Spec.Template.Spec)
					matches(t, o.Spec.Selector.MatchLabels, o.Spec.Template.Labels)
					if o.Spec.Template.Spec.Containers[0].LivenessProbe.HTTPGet.Path != "/healthz" ||
						o.Spec.Template.Spec.Containers[0].ReadinessProbe.HTTPGet.Path != "/readyz" {
						t.Error("the probes ask other paths")
					}
					if *o.Spec.Template.Spec.TerminationGracePeriodSeconds < 10+25 {
						t.Error("the pod is killed before the bridge has ended")
					}
				case *batchv1.Job:
					hardened(t, o.Spec.Template.Spec)
				case *corev1.Service:
					if o.Spec.Selector["app.kubernetes.io/component"] != "server" {
						t.Error("the service leads to the pod of init")
					}
				}
			}
		})
	}
	c, err := loader.Load("../chart")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := renderChart(c, "ingress: null"); err == nil {
		t.Error("a chart without ingress renders")
	}
}

// TestStrict: a mistyped field is found.
func TestStrict(t *testing.T) {
	err := yaml.UnmarshalStrict([]byte("spec: {template: {spec: {containers: [{readinesProbe: {}}]}}}"), &appsv1.StatefulSet{})
	if err == nil {
		t.Error("a mistyped field passes")
	}
}

func matches(t *testing.T, selector, labels map[string]string) {
	t.Helper()
	for key, value := range selector {
		if labels[key] != value {
			t.Errorf("the selector wants %s=%s, the pod has %q", key, value, labels[key])
		}
	}
}

// hardened: what a cluster of the policy "restricted" asks of a pod.
func hardened(t *testing.T, pod corev1.PodSpec) {
	t.Helper()
	p := pod.SecurityContext
	if !*p.RunAsNonRoot || *p.RunAsUser != 10001 || *p.FSGroup != 10001 ||
		p.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault || *pod.AutomountServiceAccountToken {
		t.Errorf("the pod is less than restricted: %+v", p)
	}
	volumes := map[string]bool{"state": true}
	for _, v := range pod.Volumes {
		volumes[v.Name] = true
	}
	for _, c := range pod.Containers {
		s := c.SecurityContext
		if !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation ||
			!slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
			t.Errorf("container %s is less than restricted: %+v", c.Name, s)
		}
		for _, m := range c.VolumeMounts {
			if !volumes[m.Name] {
				t.Errorf("container %s mounts %s, which is no volume", c.Name, m.Name)
			}
		}
	}
}
