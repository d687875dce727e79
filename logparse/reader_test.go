package logparse

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// clfLine is a line whose path has a number, and whose size is that.
func clfLine(n int) string {
	return fmt.Sprintf("h - u [22/Nov/2026:13:54:03 +0000] \"PUT /%d\" 200 %d\n", n, n)
}

// drain reads all, and returns the sum of the sizes and the errors.
func drain(r *Reader) (sum int64, errs []string) {
	for e, err := range r.All() {
		if err != nil {
			errs = append(errs, err.Error())
			continue
		}
		sum += e.Bytes
	}
	return sum, errs
}

// TestReader reads good lines between bad ones, in pieces of any size.
func TestReader(t *testing.T) {
	long := `h - u [22/Nov/2026:13:54:03 +0000] "PUT /` + strings.Repeat("x", MaxLine) + "\" 200 100\n"
	fits := clfLine(64)
	fits = strings.Replace(fits, "PUT /", "PUT /"+strings.Repeat("y", MaxLine-len(fits)+1), 1)
	text := clfLine(1) + "nonsense\n" + clfLine(2) + "\n" + long + strings.TrimSuffix(clfLine(4), "\n") + "\r\n" +
		strings.Repeat("z", 5*block) + "\n" + fits + clfLine(8) + strings.TrimSuffix(clfLine(16), "\n")
	want := "log:2: not a line of this format|log:5: longer than 64 KiB|log:7: longer than 64 KiB"
	for name, from := range map[string]io.Reader{
		"at once":       strings.NewReader(text),
		"halves":        iotest.HalfReader(strings.NewReader(text)),
		"with its end":  iotest.DataErrReader(strings.NewReader(text)),
		"byte for byte": iotest.OneByteReader(strings.NewReader(text)),
	} {
		r := NewReader(from, Format{})
		r.Name = "log"
		sum, errs := drain(r)
		if sum != 1+2+4+64+8+16 || strings.Join(errs, "|") != want {
			t.Errorf("%s: %d, %q", name, sum, errs)
		}
		if got := r.Counts(); got != (Counts{Lines: 10, Entries: 6, Bad: 1, TooLong: 2}) || r.Offset() != int64(len(text)) {
			t.Errorf("%s: %+v, %d bytes of %d", name, got, r.Offset(), len(text))
		}
		if err := r.Read(&Entry{}); err != io.EOF {
			t.Errorf("%s: behind the end is %v", name, err)
		}
	}
}

// TestGrowing reads a log while it is written: a line that has no end is left.
func TestGrowing(t *testing.T) {
	whole := clfLine(1) + clfLine(2)
	for _, tail := range []string{"", clfLine(4)[:20], strings.Repeat("x", 3*MaxLine)} {
		r := NewReader(strings.NewReader(whole+tail), Format{})
		r.Growing = true
		if sum, errs := drain(r); sum != 3 || errs != nil || r.Offset() != int64(len(whole)) {
			t.Errorf("with %d bytes behind: %d, %q, %d bytes", len(tail), sum, errs, r.Offset())
		}
	}
}

// TestSlowly finds out the format of what comes line by line, also where the first
// lines tell nothing.
func TestSlowly(t *testing.T) {
	for want, text := range map[string]string{
		"1 log:1: not a line of this format|log:2: not a line of this format": "nonsense\nmore\n" + clfLine(1),
		"3":                                   clfLine(1) + clfLine(2),
		"0 log is in no format that is known": strings.Repeat("nonsense\n", 100) + clfLine(1),
		"1 log:1: not a line of this format":  "nonsense\n" + strings.TrimSuffix(clfLine(1), "\n"),
	} {
		for name, from := range map[string]io.Reader{"byte for byte": iotest.OneByteReader(strings.NewReader(text)), "at once": strings.NewReader(text)} {
			r := NewReader(from, Format{})
			r.Name = "log"
			sum, errs := drain(r)
			if got := strings.TrimSpace(fmt.Sprint(sum, " ", strings.Join(errs, "|"))); got != want && (name != "at once" || sum != 0) {
				t.Errorf("%s: %s, not %s", name, got, want)
			}
			if sum > 0 && r.Offset() != int64(len(text)) {
				t.Errorf("%s: %d bytes of %d", name, r.Offset(), len(text))
			}
		}
	}
}

// TestBeforeTheFirst has bytes before the first line that are no part of it.
func TestBeforeTheFirst(t *testing.T) {
	for name, before := range map[string]string{"hole": strings.Repeat("\x00", 1000), "long hole": strings.Repeat("\x00", 3*block+7), "mark": "\uFEFF"} {
		for _, format := range []string{"", "clf"} {
			text := before + clfLine(1) + clfLine(2)
			f, _ := Find(format)
			r := NewReader(strings.NewReader(text), f)
			if sum, errs := drain(r); sum != 3 || errs != nil || r.Offset() != int64(len(text)) || r.Counts().Lines != 2 {
				t.Errorf("%s: %d, %q, %d bytes of %d", name, sum, errs, r.Offset(), len(text))
			}
		}
	}
}

// TestReaderFails passes on what its source says, also behind a good line.
func TestReaderFails(t *testing.T) {
	broken := errors.New("broken")
	r := NewReader(io.MultiReader(strings.NewReader(clfLine(1)), iotest.ErrReader(broken)), Format{})
	var e Entry
	if err := r.Read(&e); err != nil || e.Bytes != 1 {
		t.Errorf("the line is %+v, %v", e, err)
	}
	if err := r.Read(&e); err != broken {
		t.Errorf("the source is %v", err)
	}
	r = NewReader(strings.NewReader("what is this\nand that\n"), Format{})
	if _, errs := drain(r); len(errs) != 1 || errs[0] != ErrUnknown.Error() {
		t.Errorf("an unknown format is %q", errs)
	}
	r = NewReader(stuck{}, Format{})
	if err := r.Read(&e); err != io.ErrNoProgress {
		t.Errorf("what gives nothing is %v", err)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

// TestDetect finds the format of each sample from any of its lines, but where a
// line is of two.
func TestDetect(t *testing.T) {
	for _, s := range samples {
		text, err := os.ReadFile("testdata/" + s.file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			f, ok := Detect(line)
			if bare := strings.Contains(line, "pam_listfile") || strings.Contains(line, " blob data]"); ok == bare || ok && f.Name != s.format {
				t.Errorf("%s is taken for %q: %s", s.file, f.Name, line)
			}
		}
	}
	for file := range unread {
		text, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if f, ok := Detect(string(text)); ok {
			t.Errorf("%s is taken for %s", file, f.Name)
		}
	}
	glftpd := lines["xferlog-glftpd"][0] + "\n"
	const cron = "Nov 22 13:54:03 ftp1 cron[7]: (root) CMD (true)\n"
	for text, want := range map[string]string{
		strings.Repeat(cron, sample):          "syslog",
		glftpd:                                "xferlog-glftpd",
		"nonsense\n" + clfLine(1):             "clf",
		headW3C(time.Now()):                   "w3c",
		lines["json"][0]:                      "json",
		`{"time":"2026-11-22T13:54:03Z"}`:     "",
		`{"log":"x","stream":"out","time":1}`: "",
		"":                                    "",
		strings.Repeat("nonsense\n", sample) + glftpd: "",
	} {
		if f, _ := Detect(text); f.Name != want {
			t.Errorf("%.60q is taken for %q", text, f.Name)
		}
	}
}

// TestHeaders reads lines by the fields that their header names.
func TestHeaders(t *testing.T) {
	text := "#Version: 1.0\n#Fields: time date cs-username x-more c-ip cs-method cs-uri-stem sc-bytes\n" +
		"13:54:03 2026-11-22 bob smith 9 h []sent /a%20b 7\n" +
		"13:54:03 2026-11-22 9 h []sent /a 7\n" +
		"#Fields: nothing\n" +
		headW3C(time.Unix(0, 0)) + "2026-11-22 13:54:03 h []created /a 226 al 1\n"
	r := NewReader(strings.NewReader(text), Format{})
	var got []string
	for e, err := range r.All() {
		if err != nil {
			got = append(got, err.Error())
			continue
		}
		got = append(got, fmt.Sprintf("%d %s %s %s %d", e.Time.Unix(), e.User, e.Host, e.Path, e.Bytes))
	}
	want := `1795355643 bob smith h /a b 7|line 4: not a line of this format|line 5: "nothing" is no list of fields with a date and a time|1795355643 al h /a 1`
	if strings.Join(got, "|") != want {
		t.Errorf("read is %q", got)
	}
}

// TestFlatMemory reads sixty megabytes of lines, some of them hostile, and counts
// what is held at the end.
func TestFlatMemory(t *testing.T) {
	held := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := held()
	r := NewReader(&hostile{left: 60 << 20}, Format{})
	drain(r)
	if after := held(); after > before+4<<20 {
		t.Errorf("%d KiB are held", (after-before)>>10)
	}
	if c := r.Counts(); c.Entries < 1000 || c.Bad < 100 || c.TooLong < 10 {
		t.Errorf("it was %+v", c)
	}
	runtime.KeepAlive(r)
}

// hostile gives good lines, noise and lines without an end.
type hostile struct {
	left int
	rest string
	n    int
}

func (h *hostile) Read(p []byte) (int, error) {
	if h.left <= 0 {
		return 0, io.EOF
	}
	if h.rest == "" {
		switch h.n++; {
		case h.n%500 == 499:
			h.rest = strings.Repeat("x", 2*MaxLine+rand.IntN(MaxLine)) + "\n"
		case h.n%10 == 9:
			h.rest = fmt.Sprintf("%x\n", rand.Uint64())
		default:
			h.rest = clfLine(h.n)
		}
	}
	n := copy(p, h.rest)
	h.rest, h.left = h.rest[n:], h.left-n
	return n, nil
}

// TestCut ends a log at each of its last bytes: at most one line is less.
func TestCut(t *testing.T) {
	for _, s := range samples {
		text, err := os.ReadFile("testdata/" + s.file)
		if err != nil {
			t.Fatal(err)
		}
		for cut := range min(300, len(text)) {
			end := len(text) - cut
			f, _ := Find(s.format)
			r := NewReader(strings.NewReader(string(text[:end])), f)
			drain(r)
			whole := int64(s.entries - strings.Count(string(text[end:]), "\n"))
			if c := r.Counts(); c.Entries < whole || c.Entries > whole+1 || c.Bad > 1 {
				t.Fatalf("%s without %d bytes: %+v", s.file, cut, c)
			}
		}
	}
}
