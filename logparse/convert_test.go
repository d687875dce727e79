package logparse

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestConvert writes what is in the samples in every other format that has lines
// for it: the time, the user, the amount and the direction come through.
func TestConvert(t *testing.T) {
	p := Parser{Zone: time.UTC, Latest: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)}
	bare := strings.NewReplacer("_", "", "?", "", " ", "") // of what stands for a blank or for nobody
	converted := 0
	for _, s := range samples {
		in, err := os.Open("testdata/" + s.file)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		r := NewReader(in, Format{})
		r.Zone, r.Latest = time.UTC, p.Latest
		for e, err := range r.All() {
			if err != nil {
				t.Fatal(err)
			}
			e.Time = e.Time.In(p.Zone) // where the reader of the new log is
			for i := range Formats {
				f := &Formats[i]
				if f.Name == r.Format.Name {
					continue
				}
				line := string(f.AppendEntry(nil, e))
				if line == "" {
					continue
				}
				converted++
				var got Entry
				if err := p.Parse(f, strings.TrimSuffix(line, "\n"), &got); err != nil {
					t.Fatalf("%s as %s: %v: %s", s.file, f.Name, err, line)
				}
				if got.Event != e.Event || !got.Time.Truncate(time.Second).Equal(e.Time.Truncate(time.Second)) {
					t.Errorf("%s as %s has event %d at %v, not %d at %v: %s", s.file, f.Name, got.Event, got.Time, e.Event, e.Time, line)
				}
				if e.Event == Transfer && e.Status != Failed && (got.Bytes != e.Bytes || got.Direction != e.Direction) {
					t.Errorf("%s as %s has %d bytes %c: %s", s.file, f.Name, got.Bytes, got.Direction, line)
				}
				if e.Event == Transfer && bare.Replace(got.User) != bare.Replace(e.User) && f.Name != "xferlog-vsftpd" && f.Name != "xferlog-glftpd" {
					t.Errorf("%s as %s is of %q: %s", s.file, f.Name, got.User, line)
				}
			}
		}
	}
	if converted < 5000 {
		t.Errorf("only %d lines were written", converted)
	}
}

// TestStyle writes an entry in another format by that format's manners, and in its
// own by its line's.
func TestStyle(t *testing.T) {
	from, _ := Find("xferlog-wu-ftpd")
	e, err := from.Parse("Sat Nov  1 13:54:03 2026 0 h 5 /a b b CT o g bob smith ftp 1 * i")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"xferlog":           "Sun Nov 01 13:54:03 2026 0 h 5 /a_b b CT o g bob_smith ftp 1 * i",
		"xferlog-glftpd":    "Sun Nov  1 13:54:03 2026 0 h 5 /a?b b CT o g bob?smith - 1 *",
		"xferlog-proftpd":   "Sun Nov 01 13:54:03 2026 0 h 5 /a_b b CT o g bob smith ftp 1 * i",
		"xferlog-pure-ftpd": "Sun Nov 01 13:54:03 2026 0 h 5 /a_b b CT o r bob smith ftp 1 * c",
		"xferlog-vsftpd":    "Sun Nov  1 13:54:03 2026 1 h 5 /a_b b CT o g bob_smith ftp 1 * i",
		"xferlog-wu-ftpd":   "Sat Nov  1 13:54:03 2026 0 h 5 /a b b CT o g bob smith ftp 1 * i",
	} {
		f, _ := Find(name)
		if got := string(f.Append(nil, e)); got != want+"\n" {
			t.Errorf("%s is\n%s not\n%s", name, got, want)
		}
	}
}

// TestRawNames parts a line of a server that leaves blanks in names at the last
// place that fits, and one of any other at the first.
func TestRawNames(t *testing.T) {
	const line = "Sun Nov 22 13:54:03 2026 0 h 5 /x b _ o r root ftp 0 * c b _ i g bob ftp 0 * i"
	f, _ := Find("xferlog")
	for _, raw := range []bool{false, true} {
		p := Parser{RawNames: raw}
		var e Entry
		if err := p.Parse(&f, line, &e); err != nil || !e.Style.Ambiguous {
			t.Fatalf("%+v, %v", e, err)
		}
		user, path, direction, status := "root ftp 0 * c b _ i g bob", "/x", Download, Cut
		if raw {
			user, path, direction = "bob", "/x b _ o r root ftp 0 * c", Upload
		}
		if e.User != user || e.Path != path || e.Direction != direction || e.Status != status {
			t.Errorf("it is read as %+v", e)
		}
		if got := string(f.Append(nil, e)); got != line+"\n" {
			t.Errorf("it becomes %s", got)
		}
	}
}

// TestJSON reads what others could have made of our lines.
func TestJSON(t *testing.T) {
	f, _ := Find("json")
	want := Entry{Time: time.Date(2026, 11, 22, 12, 54, 3, 5e8, time.UTC), Direction: Upload, Status: Doubtful, Took: 1500 * time.Millisecond, Bytes: 7, Path: "/a\xff", Host: "h/\U0001f600"}
	for _, line := range []string{
		`{"event":"upload","bytes":7,"host":"h/\ud83d\ude00","path":"?","path_base64":"L2H/","seconds":1.5,"status":"doubtful","time":"2026-11-22T12:54:03.5Z"}`,
		` { "time" : "2026-11-22T13:54:03.500000000+01:00" ,	"event":"upload","bytes":7,"seconds":1.500,"status":"doubtful","host":"h\/😀","path_base64":"L2H/"}`,
		`{"time":"2026-11-22T12:54:03.5Z","event":"upload","new":{"a":[1,-2.5e3,{"b":"\"}"}],"c":null},"bytes":7,"seconds":1.5,"status":"doubtful","host":"h/😀","path_base64":"L2H/","more":"x","most":true,"status":"of later"}`,
	} {
		got, err := f.Parse(line)
		got.Style = Style{}
		if err != nil || got != want {
			t.Errorf("%s is read as\n%+v, %v, not\n%+v", line, got, err, want)
		}
	}
	const head = `{"time":"2026-11-22T12:54:03Z","event":"upload"`
	for _, bad := range []string{"", "{}", `{"event":"upload"}`, `{"time":"2026-11-22T12:54:03Z"}`, head, head + ",}", head + "} x", head + `,"a":}`, head + `,"bytes":-1}`, head + `,"bytes":1.5}`,
		head + `,"bytes":9223372036854775808}`, head + `,"pid":4294967296}`, head + `,"seconds":1.}`, head + `,"rate":-1}`, head + `,"rate":1e999}`, head + `,"path":"\x"}`, head + `,"path":"\u12"}`,
		head + `,"path_base64":"?"}`, head + `,"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + "}", `{"time":"2026-13-22T12:54:03Z","event":"upload"}`, `{"time":"2026-11-22T12:54:03.Z","event":"upload"}`} {
		if e, err := f.Parse(bad); err == nil {
			t.Errorf("%s is read as %+v", bad, e)
		}
	}
}
