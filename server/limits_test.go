package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Limits on the size of a file hold over real sockets too, where the kernel moves
// the data, in each of the ways in which it does.
func TestLimitsOverSocketsT172(t *testing.T) {
	for _, limit := range []int{1, smallest - 1, smallest, smallest + 1, bulkFrom, 4*bulkFrom + 3} {
		r := newRig(t, func(c *Config) { c.MaxFileSize = int64(limit) })
		c := r.greet()
		for _, size := range []int{limit - 1, limit, limit + 1, limit + 3*bulkFrom} {
			t.Run(fmt.Sprintf("T147 %d of %d", size, limit), func(t *testing.T) {
				content := strings.Repeat("x", size)
				want := 226
				if size > limit {
					want = 552
				}
				if code := c.upload(c.epsv(), content, "STOR f"); code != want {
					t.Errorf("STOR: %d, not %d", code, want)
				}
				if want == 226 && r.get("f") != content || want != 226 && r.exists("f") {
					t.Error("STOR left something else")
				}
				// A range that would be as large as a file may be begins one byte late.
				if want = 226; size > limit-1 {
					want = 552
				}
				r.put("g", strings.Repeat("g", limit+2))
				c.cmd(350, "RANG 1 %d", limit)
				if code := c.upload(c.epsv(), content, "STOR g"); code != want {
					t.Errorf("RANG and STOR: %d, not %d", code, want)
				}
				got := r.get("g")
				if len(got) != limit+2 || got[0] != 'g' || got[limit+1] != 'g' {
					t.Errorf("RANG and STOR wrote outside of the range: %d bytes", len(got))
				}
				if err := os.RemoveAll(filepath.Join(r.home, "f")); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
