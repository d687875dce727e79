package stats

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
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

// Escaped shows a name that a log told: text as it is, and every other byte and all
// that steers a terminal or the direction of writing as escapes.
func Escaped(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < utf8.RuneSelf:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		i += n
	}
	return b.String()
}
