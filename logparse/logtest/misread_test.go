package logtest

import (
	"strings"
	"testing"
	"time"

	"portreeve/logparse"
)

// TestMisread reads what others misread, with the last line ended and not.
func TestMisread(t *testing.T) {
	for _, m := range Misreads() {
		t.Run(m.Name, func(t *testing.T) {
			for _, log := range []string{m.Log, strings.TrimSuffix(m.Log, "\n")} {
				r := logparse.NewReader(strings.NewReader(log), logparse.Format{})
				r.Zone = time.UTC
				n := 0
				for e, err := range r.All() {
					if err != nil {
						t.Fatal(err)
					}
					if n == len(m.Lines) {
						t.Fatal("there are more entries than lines")
					}
					got := Truth{Host: e.Host, User: e.User, Path: e.Path, Direction: byte(e.Direction), Bytes: e.Bytes,
						Year: e.Time.Year(), Anonymous: e.Xfer.Mode == 'a'}
					if e.Event == logparse.Delete {
						got.Direction = 'd'
					}
					if got != m.Lines[n] {
						t.Errorf("line %d is %+v,\nand not %+v", n+1, got, m.Lines[n])
					}
					n++
				}
				if n != len(m.Lines) {
					t.Errorf("%d of %d are read", n, len(m.Lines))
				}
			}
		})
	}
}
