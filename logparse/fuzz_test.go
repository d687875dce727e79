package logparse

import (
	"encoding/json"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// fields are what there is to compare, by what says it.
var fields = []struct {
	says  Fields
	event Events // in which it means something; 0 is all
	name  string
	of    func(e *Entry) any
}{
	{SaysDirection, events(Transfer), "direction", func(e *Entry) any { return e.Direction }},
	{SaysStatus, 0, "status", func(e *Entry) any { return e.Status }},
	{SaysTook, 0, "duration", func(e *Entry) any { return e.Took }},
	{SaysBytes, events(Transfer), "bytes", func(e *Entry) any { return e.Bytes }},
	{SaysHost, 0, "host", func(e *Entry) any { return e.Host }},
	{SaysUser, 0, "user", func(e *Entry) any { return e.User }},
	{SaysPath, events(Transfer, Delete, Rename, Mkdir, Rmdir), "path", func(e *Entry) any { return e.Path }},
	{SaysTo, events(Rename), "to", func(e *Entry) any { return e.To }},
	{SaysSession, 0, "session", func(e *Entry) any { return e.Session }},
	{SaysPID, 0, "process", func(e *Entry) any { return e.PID }},
	{SaysOffset, 0, "offset", func(e *Entry) any { return e.Offset }},
	{SaysSize, 0, "size", func(e *Entry) any { return e.Size }},
	{SaysRate, events(Transfer), "rate", func(e *Entry) any { return strconv.FormatFloat(e.Rate/1024, 'f', 2, 64) }},
	{SaysTLS, events(TLS), "TLS", func(e *Entry) any { return e.TLS }},
	{SaysClient, 0, "client", func(e *Entry) any { return e.Client }},
	{SaysText, events(Chmod, Login, Command, Reply, Message), "text", func(e *Entry) any { return e.Text }},
	{SaysASCII, 0, "type", func(e *Entry) any { return e.Xfer.ASCII }},
	{SaysMode, 0, "mode", func(e *Entry) any { return e.Xfer.Mode }},
	{SaysXfer, 0, "service", func(e *Entry) any { return e.Xfer.Service }},
}

// loose tells of what line it may be that it is read and not written so: JSON.
func loose(f Format, line string) bool {
	return f.Name == "json" || f.Name == "syslog" && strings.HasPrefix(line, "{")
}

// check reads a line, and writes it again.
func check(t *testing.T, f Format, line string) {
	t.Helper()
	p := Parser{Zone: time.UTC, Latest: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)}
	var e Entry
	if p.Parse(&f, line, &e) != nil {
		return
	}
	got := string(f.Append(nil, e))
	if got == line+"\n" {
		return
	}
	if !loose(f, line) {
		t.Fatalf("%s: %q becomes %q: %+v", f.Name, line, got, e)
	}
	var again Entry
	if err := p.Parse(&f, strings.TrimSuffix(got, "\n"), &again); err != nil || again.comparable() != e.comparable() {
		t.Fatalf("%s: %q becomes %q and then %+v, not %+v: %v", f.Name, line, got, again, e, err)
	}
}

// comparable is an entry that can be compared with ==.
func (e Entry) comparable() Entry {
	e.Time = time.Unix(e.Time.Unix(), int64(e.Time.Nanosecond())).UTC()
	e.Rate = e.Speed()
	return e
}

// FuzzLine reads any line: what is taken is written again as it was.
func FuzzLine(f *testing.F) {
	for i, format := range Formats {
		for _, line := range lines[format.Name] {
			f.Add(i, line)
		}
		for _, s := range samples {
			if s.format != format.Name && !strings.HasPrefix(format.Name, s.format+"-") {
				continue
			}
			text, err := os.ReadFile("testdata/" + s.file)
			if err != nil {
				f.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				f.Add(i, strings.TrimSuffix(line, "\n"))
			}
		}
	}
	journal, err := os.ReadFile("testdata/pureftpd-journal.json")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(journal)) {
		f.Add(len(Formats)-1, strings.TrimSuffix(line, "\n"))
	}
	f.Fuzz(func(t *testing.T, i int, line string) {
		if i < 0 || i >= len(Formats) {
			return
		}
		check(t, Formats[i], line)
	})
}

// FuzzEntry writes any entry in every format that has lines for it: what is read
// is what the oracle expects, and one line.
func FuzzEntry(f *testing.F) {
	f.Add(int64(1795355722), int64(2e9), uint32(0), "127.0.0.1", "alice", "/srv/a b", "ftps", int64(5), 1.5)
	f.Add(int64(0), int64(0), uint32(0x10), "", "x b _ o r root ftp 0 * c", "/\xff\n", "", int64(0), 0.0)
	f.Add(int64(0), int64(15e8), uint32(0x20), "::1", "a h U 1 2 /x", "/", "] ", int64(0), 1e9)
	f.Add(int64(1e9), int64(0), uint32(0x133), `a" b`, `x] OK LOGIN: Client "h"`, `/a /b", 5 bytes`, "/x: y", int64(7), 2048.0)
	f.Add(int64(1e9), int64(0), uint32(0x207), "h", "(x@y) [INFO] Logout.", ") [INFO] /x uploaded  (5 bytes, 1.00KB/sec)", " [01/Jan/2026:00:00:00 +0000] \"", int64(7), 2048.0)
	f.Add(int64(1e9), int64(0), uint32(0x200), "h", "x@y) [INFO] Logout.", "/a", "ftp", int64(7), 2048.0)
	f.Fuzz(func(t *testing.T, unix, took int64, kind uint32, host, user, path, more string, bytes int64, rate float64) {
		if unix < 0 || unix > lastSecond || math.IsNaN(rate) || rate < 0 || rate > 1e9 || len(host)+len(user)+len(path)+len(more) > 2000 {
			return
		}
		e := Entry{Time: time.Unix(unix, int64(kind)%1e9).UTC(), Took: time.Duration(took), Host: host, User: user, Path: path, To: more, Bytes: bytes,
			Event: allEvents[int(kind)&15%len(allEvents)], Status: Status(kind >> 4 & 7 % 5), Session: more, PID: int(kind>>8&0xff) + 1, Text: more, Reason: user,
			Command: "XYZ", Rate: rate, TLS: "TLSv1.3", Cipher: more, Client: path, Offset: max(bytes, 0) / 2, Size: max(bytes, 0),
			Xfer: Xfer{ASCII: kind>>16&1 == 1, Mode: "rag\x00"[kind>>17&3], Service: more, Ident: user, Flags: more}}
		if e.Event == Transfer {
			e.Direction = []Direction{0, Upload, Download, Upload}[kind>>19&3]
		}
		for i := range Formats {
			compare(t, &Formats[i], e)
		}
	})
}

func compare(t *testing.T, f *Format, e Entry) {
	t.Helper()
	line := string(f.AppendEntry(nil, &e))
	if line == "" {
		return
	}
	p := Parser{Zone: time.UTC, Latest: e.Time}
	var got Entry
	if strings.Count(line, "\n") != 1 {
		t.Fatalf("%s: %q is not one line", f.Name, line)
	}
	if err := p.Parse(f, strings.TrimSuffix(line, "\n"), &got); err != nil {
		t.Fatalf("%s: %q: %v", f.Name, line, err)
	}
	if again := string(f.AppendEntry(nil, &got)); again != line {
		t.Fatalf("%s: %q becomes %q", f.Name, line, again)
	}
	if e.Event == Message && f.Name == "syslog" && got.Event != Message { // it looks like something else: so it is
		return
	}
	if f.Name == "json" {
		checkJSON(t, line, e)
	}
	want := expect(*f, e)
	if got.Event != e.Event || !got.Time.Equal(want.Time) {
		t.Fatalf("%s: %q is read as event %d at %v, not %d at %v", f.Name, line, got.Event, got.Time, e.Event, want.Time)
	}
	for _, c := range fields {
		if f.Says&c.says == 0 || c.event != 0 && !c.event.Has(e.Event) {
			continue
		}
		if a, b := c.of(&got), c.of(&want); a != b {
			t.Errorf("%s: %q has %s %v, not %v", f.Name, line, c.name, a, b)
		}
	}
}

// checkJSON has the library read a line.
func checkJSON(t *testing.T, line string, e Entry) {
	t.Helper()
	var got struct {
		Time  time.Time
		Path  string
		Raw   []byte `json:"path_base64"`
		Bytes int64
	}
	if err := json.Unmarshal([]byte(line), &got); err != nil || !utf8.ValidString(line) {
		t.Fatalf("%q is no JSON: %v", line, err)
	}
	path := got.Path
	if got.Raw != nil {
		path = string(got.Raw)
	}
	if path != e.Path || got.Bytes != max(e.Bytes, 0) || !got.Time.Equal(e.Time) {
		t.Fatalf("%q is read as %+v", line, got)
	}
}
