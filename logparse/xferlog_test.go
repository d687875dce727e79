package logparse

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestUsual makes lines of the words that lines are parted by. What is read in the
// quick way is read so in the other, and there is no second way to read it.
func TestUsual(t *testing.T) {
	words := []string{"a", "b", "_", "C", "CT", "i", "o", "d", "g", "r", "ftp", "sftp", "0", "1", "*", "c", "x", "-", ""}
	r := rand.New(rand.NewPCG(3, 4))
	plain, group := dialect{raw: true}, dialect{group: true}
	quick := 0
	for range 400_000 {
		parts := []string{words[r.IntN(len(words))], "b", "_", "o", "r", "x", "ftp", "0", "*", "c"}
		for range r.IntN(4) {
			parts[r.IntN(len(parts))] = words[r.IntN(len(words))]
		}
		for range r.IntN(3) {
			at := r.IntN(len(parts))
			parts = append(parts[:at:at], append([]string{words[r.IntN(len(words))]}, parts[at:]...)...)
		}
		text := strings.Join(parts[:len(parts)-r.IntN(2)], " ")
		for _, d := range []*dialect{&plain, &group} {
			for _, raw := range []bool{false, true} {
				p := Parser{RawNames: raw}
				var e, other Entry
				if !d.usual(text, &e) {
					if e != (Entry{}) {
						t.Fatalf("%q leaves %+v", text, e)
					}
					continue
				}
				quick++
				if err := d.anywhere(&p, text, &other); err != nil || e != other {
					t.Fatalf("%q is %+v,\nand %+v in the other way: %v", text, e, other, err)
				}
			}
		}
	}
	if quick < 10_000 {
		t.Errorf("only %d were read so", quick)
	}
}
