package stats

import (
	"fmt"
	"math"
	"strconv"
)

// How numbers are written for people, in texts and on pages.

// Grouped writes a number with commas.
func Grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// NumberOf writes how many there are of something.
func NumberOf(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return Grouped(n) + " " + what + "s"
}

// Change tells what became of a number: +12%, -3%, ×25, = or new.
func Change(now, before int64) string {
	switch {
	case before == 0 && now == 0:
		return "="
	case before == 0:
		return "new"
	}
	percent := (float64(now)/float64(before) - 1) * 100
	switch {
	case math.Abs(percent) >= 1000:
		return fmt.Sprintf("×%.0f", float64(now)/float64(before))
	case math.Abs(percent) < 0.5:
		return "="
	}
	return fmt.Sprintf("%+.0f%%", percent)
}

// bytesText writes bytes for people.
func bytesText(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d bytes", n)
	}
	f, units := float64(n)/1024, []string{"KiB", "MiB", "GiB", "TiB", "PiB"}
	for f >= 1023.95 && len(units) > 1 {
		f, units = f/1024, units[1:]
	}
	return fmt.Sprintf("%.1f %s", f, units[0])
}
