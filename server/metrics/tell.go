package metrics

import (
	"fmt"
	"runtime"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"portreeve/server/measure"
)

// A teller hands the values of one row to Prometheus.
type teller struct {
	kind Kind
	desc *prometheus.Desc
	to   chan<- prometheus.Metric
}

func (t *teller) value(v float64, labels ...string) {
	t.to <- prometheus.MustNewConstMetric(t.desc, t.kind.value(), v, clean(labels)...)
}

func (t *teller) buckets(b measure.Buckets, unit float64, labels ...string) {
	within := make(map[float64]uint64, len(b.Bounds))
	var sum uint64
	for i, bound := range b.Bounds {
		sum += uint64(b.Counts[i])
		within[float64(bound)/unit] = sum
	}
	t.to <- prometheus.MustNewConstHistogram(t.desc, uint64(b.Count()), float64(b.Sum)/unit, within, clean(labels)...)
}

// What follows makes the tell of a row.

func gauge(of func(*Facts) float64) func(*Facts, *teller) {
	return func(f *Facts, t *teller) { t.value(of(f)) }
}

// limit is a gauge that is left out at 0, which is no limit: a part of it would be
// more than any.
func limit(of func(*Facts) int) func(*Facts, *teller) {
	return func(f *Facts, t *teller) {
		if n := of(f); n > 0 {
			t.value(float64(n))
		}
	}
}

func counts(of func(*Facts) []measure.Count) func(*Facts, *teller) {
	return func(f *Facts, t *teller) {
		for _, c := range of(f) {
			t.value(float64(c.N), c.Labels...)
		}
	}
}

// amounts is counts of what can fall, too.
func amounts(of func(*Facts) []measure.Count) func(*Facts, *teller) { return counts(of) }

func histogram(of func(*Facts) measure.Buckets, unit float64) func(*Facts, *teller) {
	return func(f *Facts, t *teller) { t.buckets(of(f), unit) }
}

func sizes(of func(*Facts) []measure.Sizes, unit float64) func(*Facts, *teller) {
	return func(f *Facts, t *teller) {
		for _, s := range of(f) {
			t.buckets(s.Buckets, unit, s.Labels...)
		}
	}
}

// top tells of the users who move most: two names that are shown the same are
// one series, and the first of them has it.
func top(of func(measure.Share) int64) func(*Facts, *teller) {
	return func(f *Facts, t *teller) {
		seen := make(map[string]bool)
		for _, s := range f.TopUsers {
			if key := Visible(s.Host) + "\x00" + Visible(s.User); !seen[key] {
				seen[key] = true
				t.value(float64(of(s)), s.Host, s.User)
			}
		}
	}
}

func uploads(of func(*Facts) int64) func(*Facts, *teller) {
	return func(f *Facts, t *teller) {
		if f.NotesUploads {
			t.value(float64(of(f)))
		}
	}
}

func tellBuild(f *Facts, t *teller) { t.value(1, f.Version, runtime.Version()) }

func tellLost(f *Facts, t *teller) {
	for log, n := range f.LogLost {
		t.value(float64(n), log)
	}
}

func tellCertificates(f *Facts, t *teller) {
	seen := make(map[Certificate]bool)
	for _, c := range f.Certificates {
		key := Certificate{File: c.File, Name: c.Name}
		if !seen[key] {
			seen[key] = true
			t.value(seconds(c.Expires), c.File, c.Name)
		}
	}
}

func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// lower returns the lower of two limits, of which 0 is none.
func lower(a, b int) int {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

func clean(labels []string) []string {
	all := make([]string, len(labels))
	for i, l := range labels {
		all[i] = Visible(l)
	}
	return all
}

// longest is how long the value of a label may be.
const longest = 200

// Visible returns text as a label may show it: what is no UTF-8, steers a terminal or
// turns the direction of writing is shown as an escape, and so is the backslash that
// begins one.
func Visible(text string) string {
	if !strings.ContainsFunc(text, odd) && len(text) <= longest {
		return text
	}
	var b strings.Builder
	for len(text) > 0 && b.Len() < longest {
		r, n := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case r == '\\':
			b.WriteString(`\\`)
		case !odd(r):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		text = text[n:]
	}
	return b.String()
}

// odd tells whether a letter is to be shown as an escape. What is no UTF-8 is
// decoded as a letter that is odd, too.
func odd(r rune) bool {
	return r == '\\' || r == utf8.RuneError || unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
}
