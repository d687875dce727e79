package page

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"portreeve/stats"
)

// mostName is how many signs of a name are shown; of a longer one the beginning and
// the end.
const (
	mostName = 240
	tailName = 60
)

// visible shows what a log told: text as it is, and every other byte and all that
// steers a terminal or the direction of writing as escapes.
func visible(s string) string {
	if len(s) > mostName*utf8.UTFMax {
		s = s[:mostName] + "…" + s[len(s)-tailName:] + " (" + stats.Grouped(int64(len(s))) + " bytes)"
	}
	return stats.Escaped(s)
}

// size writes bytes as the program's other outputs do, in steps of 1024.
func size(n float64) string {
	if n < 1024 {
		return fmt.Sprintf("%.0f B", n)
	}
	units := []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	for n /= 1024; n >= 1023.95 && len(units) > 1; n /= 1024 {
		units = units[1:]
	}
	return fmt.Sprintf("%.1f %s", n, units[0])
}

func rate(n float64) string { return size(n) + "/s" }

// bound writes a bound of a class, which is a power of two.
func bound(n float64) string { return strings.Replace(size(n), ".0 ", " ", 1) }

func exactBytes(n int64) string { return stats.NumberOf(n, "byte") }

func percent(share float64) string {
	switch {
	case share > 0 && share < 0.0005:
		return "< 0.1%"
	case math.IsNaN(share) || math.IsInf(share, 0):
		return "–"
	}
	return fmt.Sprintf("%.1f%%", share*100)
}

func share(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// change tells what became of a number, with a true minus.
func change(now, before int64) string {
	return strings.Replace(stats.Change(now, before), "-", "−", 1)
}

// span writes seconds with the two greatest units that they fill.
func span(seconds float64) string {
	n := int64(math.Round(seconds))
	d, h, m, s := n/86400, n/3600%24, n/60%60, n%60
	switch {
	case d > 0:
		return fmt.Sprintf("%dd %dh", d, h)
	case h > 0:
		return fmt.Sprintf("%dh %dm", h, m)
	case m > 0:
		return fmt.Sprintf("%dm %ds", m, s)
	case seconds < 10 && seconds != float64(n):
		return fmt.Sprintf("%.2f s", seconds)
	}
	return fmt.Sprintf("%d s", n)
}

func exactSeconds(seconds float64) string {
	return strconv.FormatFloat(seconds, 'f', -1, 64) + " seconds"
}

func stamp(t stats.Stamp) string {
	if t.IsZero() {
		return "–"
	}
	return t.Format("2006-01-02 15:04")
}

func exactStamp(t stats.Stamp) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

func day(t stats.Stamp) string { return t.Format("2 January 2006") }

// decimal writes a number with one digit after the point.
func decimal(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }
