package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"portreeve/server/metrics"
)

// series are a metric and the labels that are asked of it, in an expression.
var series = regexp.MustCompile(`\b((?:portreeve|process|go)_[a-z0-9_]+)(?:\{([^}]*)\})?`)

// labelAsked is one of these labels.
var labelAsked = regexp.MustCompile(`(\w+)(?:=~|!~|!=|=)"`)

// knownSeries are the names that a scrape may have, with their labels.
func knownSeries() map[string][]string {
	known := map[string][]string{"process_resident_memory_bytes": nil, "process_cpu_seconds_total": nil, "process_open_fds": nil, "process_max_fds": nil,
		"go_memstats_heap_inuse_bytes": nil, "go_goroutines": nil}
	for _, m := range metrics.Table() {
		if m.Kind != metrics.Histogram {
			known[m.Name] = m.Labels
			continue
		}
		for _, part := range []string{"_bucket", "_sum", "_count"} {
			known[m.Name+part] = m.Labels
		}
	}
	return known
}

// unknownIn returns what an expression asks for that nobody tells.
func unknownIn(expr string) (unknown []string) {
	known := knownSeries()
	for _, found := range series.FindAllStringSubmatch(expr, -1) {
		labels, ok := known[found[1]]
		if !ok {
			unknown = append(unknown, found[1])
			continue
		}
		for _, asked := range labelAsked.FindAllStringSubmatch(found[2], -1) {
			if !slices.Contains(append([]string{"job", "instance", "le"}, labels...), asked[1]) {
				unknown = append(unknown, found[1]+"{"+asked[1]+"}")
			}
		}
	}
	return unknown
}

func TestUnknownIn(t *testing.T) {
	for expr, want := range map[string]string{
		`rate(portreeve_replies_total{class="5xx",job="x"}[5m])`:                 "",
		`portreeve_hash_wait_seconds_bucket{le="1"} + go_goroutines`:             "",
		`portreeve_replies{class="5xx"}`:                                         "portreeve_replies",
		`sum(portreeve_replies_total{code=~"500|501"}) / portreeve_hash_seconds`: "portreeve_replies_total{code} portreeve_hash_seconds",
	} {
		if got := strings.Join(unknownIn(expr), " "); got != want {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
	}
}

// The dashboard asks for nothing that nobody tells, and each panel has a place of its own.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile("../../docs/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	type place struct{ X, Y, W, H int }
	var dashboard struct {
		Panels []struct {
			ID          int
			Type, Title string
			GridPos     place
			Targets     []struct{ Expr, RefID string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	ids, shown := make(map[int]bool), make(map[string]bool)
	for i, p := range dashboard.Panels {
		if ids[p.ID] || p.Title == "" || p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %d %q: no id of its own, no title, or shows nothing", p.ID, p.Title)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			if unknown := unknownIn(target.Expr); len(unknown) > 0 {
				t.Errorf("panel %q asks for %q", p.Title, unknown)
			}
			for _, found := range series.FindAllStringSubmatch(target.Expr, -1) {
				shown[strings.TrimSuffix(strings.TrimSuffix(found[1], "_bucket"), "_count")] = true
			}
		}
		for _, other := range dashboard.Panels[:i] {
			a, b := p.GridPos, other.GridPos
			if a.X+a.W > 24 || a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("panel %q lies over %q, or beyond the edge", p.Title, other.Title)
			}
		}
	}
	for _, m := range metrics.Table() {
		if name := strings.TrimSuffix(m.Name, "_sum"); !shown[name] && m.Name != "portreeve_uploads_reader" { // of which only a rule tells
			t.Errorf("no panel shows %s", m.Name)
		}
	}
}

// The rules ask for nothing that nobody tells, and promtool, where that is installed,
// finds nothing wrong with them.
func TestAlerts(t *testing.T) {
	const file = "../../docs/alerts.yml"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if unknown := unknownIn(string(text)); len(unknown) > 0 {
		t.Errorf("the rules ask for %q", unknown)
	}
	rules := strings.Split(string(text), "- alert: ")[1:]
	for _, rule := range rules {
		name, _, _ := strings.Cut(rule, "\n")
		for _, part := range []string{"expr: ", "severity: ", "summary: "} {
			if strings.Count(rule, part) != 1 {
				t.Errorf("%s: %d times %q", name, strings.Count(rule, part), part)
			}
		}
	}
	if len(rules) < 10 {
		t.Errorf("%d rules", len(rules))
	}
	if promtool, err := exec.LookPath("promtool"); err == nil {
		if out, err := exec.Command(promtool, "check", "rules", file).CombinedOutput(); err != nil {
			t.Errorf("promtool: %v\n%s", err, out)
		}
	}
}
