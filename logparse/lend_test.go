package logparse

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// TestLend reads what servers have written line by line, each over the one before,
// from a reader that lends: what an entry says while it is the last one is what it
// says where everything is kept.
func TestLend(t *testing.T) {
	files, err := filepath.Glob("testdata/*.log")
	if err != nil || len(files) == 0 {
		t.Fatal("no samples: ", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		f, ok := Detect(string(text))
		if !ok {
			continue
		}
		for name, text := range map[string][]byte{"": text, " damaged": bytes.ReplaceAll(text, []byte("1"), []byte("x"))} {
			t.Run(filepath.Base(file)+name, func(t *testing.T) {
				kept, lent := NewReader(bytes.NewReader(text), f), NewReader(iotest.OneByteReader(bytes.NewReader(text)), f)
				lent.Lend = true
				for _, r := range []*Reader{kept, lent} {
					r.Zone, r.Latest = time.UTC, time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
				}
				var wrong [2][]error
				for {
					var one, other Entry
					err, err2 := kept.Read(&one), lent.Read(&other)
					if !reflect.DeepEqual(one, other) && err == nil {
						t.Fatalf("line %d: lent is\n%+v, kept\n%+v", kept.Counts().Lines, other, one)
					}
					wrong[0], wrong[1] = append(wrong[0], err), append(wrong[1], err2)
					if err == io.EOF {
						break
					}
				}
				// Errors are worded in the end, when the lines are gone.
				for i := range wrong[0] {
					if a, b := textOf(wrong[0][i]), textOf(wrong[1][i]); a != b {
						t.Errorf("an error is %q, kept %q", b, a)
					}
				}
				if !strings.HasSuffix(name, "damaged") && lent.Counts() != kept.Counts() {
					t.Errorf("counts are %+v, kept %+v", lent.Counts(), kept.Counts())
				}
			})
		}
	}
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
