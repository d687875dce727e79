package page

import (
	"math"

	"portreeve/stats"
)

// A percentile of a distribution.
type percentile struct {
	name  string
	value float64
}

func percentiles(d stats.Distribution) []percentile {
	return []percentile{{"p50", d.P50}, {"p90", d.P90}, {"p95", d.P95}, {"p99", d.P99}}
}

// between tells how far a value is from one bound to the other, as the classes
// grow: by factors.
func between(v, low, high float64) float64 {
	if low <= 0 {
		return v / high
	}
	return math.Log(v/low) / math.Log(high/low)
}
