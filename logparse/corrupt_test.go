package logparse_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"portreeve/logparse"
	"portreeve/logparse/logtest"
)

// TestCorruption damages every third line of a log in one way or another. Each line
// is then read, or said to be bad or too long, and those that are as they were say
// what they said.
func TestCorruption(t *testing.T) {
	for _, f := range logparse.Formats {
		t.Run(f.Name, func(t *testing.T) {
			for seed := range uint64(3) {
				log := logtest.New(3000)
				log.Hosts, log.Users, log.Files, log.Seed, log.Odd = 300, 200, 1000, seed, true
				text, err := io.ReadAll(log.Reader(f))
				if err != nil {
					t.Fatal(err)
				}
				damaged, same := corrupt(text, rand.New(rand.NewPCG(seed, 7)))
				checkDamaged(t, f, log, damaged, same)
			}
		})
	}
}

// corrupt damages lines, but for those of a header. It returns also the lines that
// are as they were, by their numbers.
func corrupt(text []byte, r *rand.Rand) (damaged []byte, same map[int64]string) {
	same = make(map[int64]string)
	number := int64(0)
	for line := range bytes.Lines(text) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		end := "\n"
		whole := r.IntN(3) > 0 || line[0] == '#'
		if !whole {
			line, end = damage(bytes.Clone(line), r)
		}
		joined := len(damaged) > 0 && damaged[len(damaged)-1] != '\n'
		damaged = append(append(damaged, line...), end...)
		if whole && !joined {
			same[number+1] = string(line)
		}
		number += int64(bytes.Count(line, []byte("\n")) + len(end))
	}
	return damaged, same
}

// damage damages a line, which may then be several, or have no end.
func damage(line []byte, r *rand.Rand) (damaged []byte, end string) {
	at := r.IntN(len(line))
	switch r.IntN(7) {
	case 0:
		for range 1 + r.IntN(4) {
			line[r.IntN(len(line))] ^= 1 << r.IntN(8)
		}
	case 1:
		return line[:at], "\n"
	case 2:
		return line[at:], "\n"
	case 3:
		return append(line[:at:at], append(make([]byte, 1+r.IntN(3)), line[at:]...)...), "\n"
	case 4:
		return line, ""
	case 5:
		line[at] = byte(r.IntN(256))
	case 6:
		if r.IntN(20) == 0 {
			return append(line[:at:at], append(bytes.Repeat([]byte("x"), logparse.MaxLine), line[at:]...)...), "\n"
		}
		return line[:at], "" // the disk was full, and then it was not
	}
	return line, "\n"
}

// checkDamaged reads a log of which some lines are as they were.
func checkDamaged(t *testing.T, f logparse.Format, log logtest.Log, text []byte, same map[int64]string) {
	t.Helper()
	latest := log.Start.AddDate(0, 0, log.Days)
	before := logparse.Parser{Zone: time.UTC, Latest: latest}
	r := logparse.NewReader(bytes.NewReader(text), f)
	r.Zone, r.Latest = time.UTC, latest
	var e, want logparse.Entry
	for {
		err := r.Read(&e)
		if err == io.EOF {
			break
		}
		wrong, known := errors.AsType[*logparse.LineError](err)
		if err != nil && (!known || wrong.Line != r.Counts().Lines) {
			t.Fatalf("%v at line %d", err, r.Counts().Lines)
		}
		line, ok := same[r.Counts().Lines]
		if !ok {
			continue
		}
		delete(same, r.Counts().Lines)
		if err := before.Parse(&f, line, &want); err != nil {
			t.Fatal(err)
		}
		if err != nil || !e.Time.Equal(want.Time) || e.Bytes != want.Bytes || e.User != want.User || e.Path != want.Path || e.Direction != want.Direction {
			t.Errorf("%q is %+v: %v", line, e, err)
		}
	}
	silent := int64(0)
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"); line == "" || f.Name == "w3c" && line[0] == '#' {
			silent++
		}
	}
	lines := int64(bytes.Count(text, []byte("\n")))
	if text[len(text)-1] != '\n' {
		lines++
	}
	for number, line := range same {
		if !strings.HasPrefix(line, "#") {
			t.Errorf("line %d is not told: %q", number, line)
		}
	}
	if c := r.Counts(); c.Lines != lines || c.Entries+c.Bad+c.TooLong+c.Foreign+silent != lines || c.Bad == 0 || r.Offset() != int64(len(text)) {
		t.Errorf("of %d lines, %d bytes it has %+v, %d bytes, and %d say nothing", lines, len(text), c, r.Offset(), silent)
	}
}
