package main

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// manifest is what the Kubernetes example has of each kind.
type manifest struct {
	deployments []apps.Deployment
	services    []core.Service
	configs     []core.ConfigMap
	budgets     []policy.PodDisruptionBudget
	policies    []networking.NetworkPolicy
}

// checkKubernetes decodes each document into the type that Kubernetes itself uses, unknown
// and duplicate fields being errors, and checks what the documents say of each other.
func checkKubernetes(text []byte, settings map[string]bool) []string {
	var m manifest
	problems := m.decode(text)
	if len(m.deployments) != 1 {
		return append(problems, fmt.Sprintf("%d deployments, expected 1", len(m.deployments)))
	}
	d := &m.deployments[0]
	pod := &d.Spec.Template
	problems = append(problems, checkDeployment(d)...)
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		problems = append(problems, prefixed("container "+c.Name+": ", checkContainer(c, &pod.Spec, settings))...)
	}
	problems = append(problems, m.checkServices(pod)...)
	problems = append(problems, m.checkPolicies(pod)...)
	return append(problems, m.checkMetricsPort(pod)...)
}

var documentEnd = []byte("\n---")

func (m *manifest) decode(text []byte) (problems []string) {
	names := map[string]bool{}
	for i, doc := range bytes.Split(text, documentEnd) {
		var head struct {
			meta.TypeMeta   `json:",inline"`
			meta.ObjectMeta `json:"metadata"`
		}
		err := yaml.Unmarshal(doc, &head)
		if err == nil {
			err = m.add(head.APIVersion+" "+head.Kind, doc)
		}
		if err != nil {
			problems = append(problems, fmt.Sprintf("document %d (%s %s): %v", i+1, head.Kind, head.Name, err))
		}
		for _, bad := range validation.IsDNS1123Subdomain(head.Name) {
			problems = append(problems, fmt.Sprintf("document %d: name %q: %s", i+1, head.Name, bad))
		}
		if id := head.Kind + " " + head.Name; names[id] {
			problems = append(problems, id+" occurs twice")
		} else {
			names[id] = true
		}
	}
	return problems
}

func (m *manifest) add(kind string, doc []byte) error {
	switch kind {
	case "apps/v1 Deployment":
		return appendStrictly(&m.deployments, doc)
	case "v1 Service":
		return appendStrictly(&m.services, doc)
	case "v1 ConfigMap":
		return appendStrictly(&m.configs, doc)
	case "policy/v1 PodDisruptionBudget":
		return appendStrictly(&m.budgets, doc)
	case "networking.k8s.io/v1 NetworkPolicy":
		return appendStrictly(&m.policies, doc)
	}
	return fmt.Errorf("unknown kind %q", kind)
}

func appendStrictly[T any](to *[]T, doc []byte) error {
	var object T
	if err := yaml.UnmarshalStrict(doc, &object); err != nil {
		return err
	}
	*to = append(*to, object)
	return nil
}

func selects(selector map[string]string, pod *core.PodTemplateSpec) bool {
	return len(selector) > 0 && labels.SelectorFromSet(selector).Matches(labels.Set(pod.Labels))
}

// selectsBy is the same for selectors that may have expressions, which the example has not.
func selectsBy(selector *meta.LabelSelector, pod *core.PodTemplateSpec) bool {
	return selector != nil && len(selector.MatchExpressions) == 0 && selects(selector.MatchLabels, pod)
}

func checkDeployment(d *apps.Deployment) (problems []string) {
	say := func(text string) { problems = append(problems, text) }
	pod := &d.Spec.Template
	if !selectsBy(d.Spec.Selector, pod) {
		say("the deployment's selector does not match its pods")
	}
	if g := pod.Spec.TerminationGracePeriodSeconds; g == nil || time.Duration(*g)*time.Second < drainTime {
		say("terminationGracePeriodSeconds is shorter than a drain takes, " + drainTime.String())
	}
	if s := pod.Spec.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.SeccompProfile == nil {
		say("the pod's securityContext: expected runAsNonRoot and a seccompProfile")
	}
	if a := pod.Spec.AutomountServiceAccountToken; a == nil || *a {
		say("the pod gets a service account token that it does not need")
	}
	return problems
}

func checkContainer(c *core.Container, pod *core.PodSpec, settings map[string]bool) (problems []string) {
	say := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if !exactTag.MatchString(tagOf(c.Image)) {
		say("image %s: expected a version", c.Image)
	}
	seen := map[string]bool{}
	for _, e := range c.Env {
		problems = append(problems, checkVariable(e.Name, settings)...)
		if seen[e.Name] {
			say("environment variable %s occurs twice", e.Name)
		}
		seen[e.Name] = true
	}
	s := c.SecurityContext
	if s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation ||
		s.Capabilities == nil || !slices.Contains(s.Capabilities.Drop, "ALL") {
		say("securityContext: expected readOnlyRootFilesystem, no privilege escalation, and all capabilities dropped")
	}
	for _, r := range []core.ResourceName{core.ResourceMemory, core.ResourceCPU, core.ResourceEphemeralStorage} {
		limit, limited := c.Resources.Limits[r]
		request, requested := c.Resources.Requests[r]
		if !limited || !requested || request.Cmp(limit) > 0 {
			say("resources: %s: expected a request that is not above a limit", r)
		}
	}
	for _, v := range c.VolumeMounts {
		if !slices.ContainsFunc(pod.Volumes, func(have core.Volume) bool { return have.Name == v.Name }) {
			say("volume %s: no such volume", v.Name)
		}
	}
	for name, p := range map[string]*core.Probe{"startup": c.StartupProbe, "liveness": c.LivenessProbe, "readiness": c.ReadinessProbe} {
		if p == nil || p.HTTPGet == nil || !hasPort(c, p.HTTPGet.Port) {
			say("%s probe: expected an HTTP request to a port of the container", name)
		}
	}
	return problems
}

func hasPort(c *core.Container, port intstr.IntOrString) bool {
	return slices.ContainsFunc(c.Ports, func(p core.ContainerPort) bool {
		return port.Type == intstr.String && p.Name == port.StrVal || port.Type == intstr.Int && p.ContainerPort == port.IntVal
	})
}

func podHasPort(pod *core.PodTemplateSpec, port intstr.IntOrString) bool {
	return slices.ContainsFunc(pod.Spec.Containers, func(c core.Container) bool { return hasPort(&c, port) })
}

func (m *manifest) checkServices(pod *core.PodTemplateSpec) (problems []string) {
	for i := range m.services {
		s := &m.services[i]
		if !selects(s.Spec.Selector, pod) {
			problems = append(problems, "service "+s.Name+" selects no pod")
		}
		for _, p := range s.Spec.Ports {
			if !podHasPort(pod, p.TargetPort) {
				problems = append(problems, fmt.Sprintf("service %s: target port %s: the pod has no such port", s.Name, p.TargetPort.String()))
			}
		}
	}
	return problems
}

func (m *manifest) checkPolicies(pod *core.PodTemplateSpec) (problems []string) {
	if len(m.budgets) == 0 {
		problems = append(problems, "no PodDisruptionBudget")
	}
	for i := range m.budgets {
		if !selectsBy(m.budgets[i].Spec.Selector, pod) {
			problems = append(problems, "PodDisruptionBudget "+m.budgets[i].Name+" selects no pod")
		}
	}
	for i := range m.policies {
		p := &m.policies[i]
		if !selectsBy(&p.Spec.PodSelector, pod) {
			problems = append(problems, "NetworkPolicy "+p.Name+" selects no pod")
		}
		for _, rule := range p.Spec.Ingress {
			for _, port := range rule.Ports {
				if port.Port == nil || !podHasPort(pod, *port.Port) {
					problems = append(problems, "NetworkPolicy "+p.Name+": the pod has no such port")
				}
			}
		}
	}
	return problems
}

// checkMetricsPort reports a metrics port that every pod of the cluster can reach.
func (m *manifest) checkMetricsPort(pod *core.PodTemplateSpec) []string {
	open := false
	for _, c := range pod.Spec.Containers {
		for _, e := range c.Env {
			open = open || e.Name == "KEYWARD_METRICS_LISTEN" && !loopback(e.Value)
		}
	}
	if !open {
		return nil
	}
	guarded := false
	for i := range m.policies {
		for _, rule := range m.policies[i].Spec.Ingress {
			for _, port := range rule.Ports {
				if port.Port == nil || port.Port.String() != "metrics" && port.Port.String() != "9090" {
					continue
				}
				if len(rule.From) == 0 {
					return []string{"NetworkPolicy " + m.policies[i].Name + " opens the metrics port to everyone"}
				}
				guarded = true
			}
		}
	}
	if !guarded {
		return []string{"KEYWARD_METRICS_LISTEN opens the metrics port, and no NetworkPolicy limits who reaches it"}
	}
	return nil
}
