package vfs

import (
	"strings"
	"unicode/utf8"
)

// IsPattern reports whether name holds a byte that Match treats specially.
func IsPattern(name string) bool { return strings.ContainsAny(name, "*?[") }

// Match reports whether name matches the shell pattern: '*' is any run of
// characters, '?' is one, "[a-z]" is one of a set and "[!a-z]" or "[^a-z]"
// one that is not in it. A '[' without its ']' is itself. Backslash is an
// ordinary byte, as in paths. A byte that is not UTF-8 is one character.
//
// Only the last '*' seen is ever tried again, so the time is bounded by the
// product of the two lengths, whatever the number of stars.
func Match(pattern, name string) bool {
	sets := strings.LastIndexByte(pattern, ']') // behind it no '[' has its ']', and nobody need look for it
	star, mark := -1, 0                         // pattern after the last star; where in name it was tried
	p, n := 0, 0
	for n < len(name) {
		if p < len(pattern) && pattern[p] == '*' {
			p++
			star, mark = p, n
			continue
		}
		if p < len(pattern) {
			r, size := utf8.DecodeRuneInString(name[n:])
			if next, ok := matchOne(pattern, p, r, p < sets); ok {
				p, n = next, n+size
				continue
			}
		}
		if star < 0 {
			return false
		}
		_, size := utf8.DecodeRuneInString(name[mark:])
		mark += size
		p, n = star, mark
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// matchOne matches r with the item of pattern at p, where a set can be closed, and
// returns where the next one begins.
func matchOne(pattern string, p int, r rune, closed bool) (next int, ok bool) {
	switch {
	case pattern[p] == '?':
		return p + 1, true
	case pattern[p] == '[' && closed:
		if next, ok, set := matchSet(pattern, p, r); set {
			return next, ok
		}
	}
	c, size := utf8.DecodeRuneInString(pattern[p:])
	return p + size, c == r
}

// matchSet matches r with the bracket expression at p; set is false if there
// is no closing bracket.
func matchSet(pattern string, p int, r rune) (next int, ok, set bool) {
	i := p + 1
	negated := i < len(pattern) && (pattern[i] == '!' || pattern[i] == '^')
	if negated {
		i++
	}
	for first := true; i < len(pattern); first = false {
		if pattern[i] == ']' && !first {
			return i + 1, ok != negated, true
		}
		lo, size := utf8.DecodeRuneInString(pattern[i:])
		i += size
		hi := lo
		if i+1 < len(pattern) && pattern[i] == '-' && pattern[i+1] != ']' {
			hi, size = utf8.DecodeRuneInString(pattern[i+1:])
			i += 1 + size
		}
		ok = ok || lo <= r && r <= hi
	}
	return 0, false, false
}
