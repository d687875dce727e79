package server

import (
	"fmt"
	"math"
	"os"
	"testing"
)

// The system call says what /proc does, which changes every five seconds.
func TestLoadAverage(t *testing.T) {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		t.Fatal(err)
	}
	var one, five float64
	if _, err := fmt.Sscan(string(text), &one, &five); err != nil {
		t.Fatal(err)
	}
	if got, err := loadAverage(); err != nil || math.Abs(got-five) > 0.5 {
		t.Errorf("load %v, %v, and /proc has %v", got, err, five)
	}
}
