package session

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

// sample has something in every field.
func sample() Info {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return Info{
		ID: 7, Remote: netip.MustParseAddrPort("[2001:db8::1]:40000"), Local: ftpd, Started: at, TLS: "TLS 1.3",
		Name: "client.example.org", Client: "lftp", Host: "ftp.example.org", User: "joe", State: Downloading, Since: at.Add(time.Second), Cwd: "/a", Command: "RETR b",
		Active: at.Add(1500 * time.Millisecond), Path: "/a/b", Offset: 1, Size: 2, Moved: 3, Rate1s: 4, Rate10s: 5,
		RateAvg: 6, TotalUp: 7, TotalDown: 8, Uploads: 9, Downloads: 10, FilesUp: 11, FilesDown: 12,
	}
}

// TestJSONNames holds the names that scripts rely on.
func TestJSONNames(t *testing.T) {
	i := sample()
	got := string(i.AppendJSON(nil))
	want := `{"id":7,"remote":"[2001:db8::1]:40000","name":"client.example.org","local":"192.0.2.9:21","started":"2026-03-01T12:00:00Z",` +
		`"tls":"TLS 1.3","client":"lftp","vhost":"ftp.example.org","user":"joe","state":"downloading","since":"2026-03-01T12:00:01Z",` +
		`"cwd":"/a","command":"RETR b","active":"2026-03-01T12:00:01.5Z","path":"/a/b","offset":1,"size":2,"moved":3,` +
		`"rate_1s":4,"rate_10s":5,"rate_avg":6,"total_up":7,"total_down":8,"uploads":9,"downloads":10,` +
		`"files_up":11,"files_down":12}`
	if got != want {
		t.Errorf("JSON is\n%s\nwant\n%s", got, want)
	}
}

// standard is what encoding/json makes of a value.
func standard(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(b.Bytes())
}

func checkJSON(t *testing.T, i Info) {
	t.Helper()
	text := i.AppendJSON([]byte("x"))[1:]
	if want := standard(t, i); !bytes.Equal(text, want) {
		t.Errorf("written as\n%s\nencoding/json writes\n%s", text, want)
	}
	var got, want Info
	if err := got.ParseJSON(text); err != nil {
		t.Errorf("ParseJSON(%s): %v", text, err)
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read back as\n%+v\nencoding/json reads\n%+v", got, want)
	}
}

func TestJSONIsEncodingJSONs(t *testing.T) {
	checkJSON(t, Info{})
	checkJSON(t, sample())
	for _, text := range []string{
		"", " ", `"`, `\`, `a"b\c`, "tab\there", "nul\x00", "del\x7f", "ü", "日本", "\xff\xfe", "<&>", "\u2028", "a\nb",
		strings.Repeat("x", 5000), `","path":"`, `}`, "{", "😀",
	} {
		i := sample()
		i.Path, i.User, i.Command, i.Cwd, i.Client, i.TLS, i.Host, i.Name = text, text, text, text, text, text, text, text
		checkJSON(t, i)
	}
	i := sample()
	i.Remote = netip.MustParseAddrPort(`[fe80::1%"\]:5`) // a zone may be any text
	i.Started = time.Date(2026, 7, 1, 0, 0, 0, 123456789, time.FixedZone("", -12600))
	i.Offset, i.Size, i.Moved, i.ID = -1<<63, 1<<63-1, -1, 1<<64-1
	text := i.AppendJSON(nil)
	if want := standard(t, i); !bytes.Equal(text, want) {
		t.Errorf("written as\n%s\nencoding/json writes\n%s", text, want)
	}
}

// TestParseJSONRefuses what encoding/json refuses.
func TestParseJSONRefuses(t *testing.T) {
	i := sample()
	good := string(i.AppendJSON(nil))
	for _, bad := range []string{
		"", "{", "null x", "[]", good + "}", good + good, good[:len(good)-1],
		strings.Replace(good, `"offset":1`, `"offset":+1`, 1),
		strings.Replace(good, `"offset":1`, `"offset":01`, 1),
		strings.Replace(good, `"offset":1`, `"offset":-`, 1),
		strings.Replace(good, `"offset":1`, `"offset":`, 1),
		strings.Replace(good, `"offset":1`, `"offset":"1"`, 1),
		strings.Replace(good, `"offset":1`, `"offset":1e99`, 1),
		strings.Replace(good, `"offset":1`, `"offset":9223372036854775808`, 1),
		strings.Replace(good, `"user":"joe"`, `"user":7`, 1),
		strings.Replace(good, `"user":"joe"`, "\"user\":\"a\tb\"", 1),
		strings.Replace(good, `downloading`, `dreaming`, 1),
		strings.Replace(good, `2026-03-01`, `2026-13-01`, 1),
		strings.Replace(good, `:40000"`, `:x"`, 1),
	} {
		if err := new(Info).ParseJSON([]byte(bad)); err == nil {
			t.Errorf("read %s", bad)
		}
	}
	// Another order, spaces and unknown fields are JSON as good.
	var got Info
	if err := got.ParseJSON([]byte(` { "user" : "joe", "news": [1], "id": 9 } `)); err != nil || got.User != "joe" || got.ID != 9 {
		t.Errorf("read %+v, %v", got, err)
	}
}

// FuzzParseJSON has encoding/json as its oracle: both read the same or neither does.
func FuzzParseJSON(f *testing.F) {
	i := sample()
	f.Add(i.AppendJSON(nil))
	f.Add(new(Info).AppendJSON(nil))
	f.Add([]byte(`{"id":01}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var got, want Info
		gotErr, wantErr := got.ParseJSON(text), json.Unmarshal(text, &want)
		if (gotErr == nil) != (wantErr == nil) || gotErr == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("%s\nread as %+v, %v\n by json %+v, %v", text, got, gotErr, want, wantErr)
		}
	})
}

// FuzzAppendJSON has it as the oracle for writing.
func FuzzAppendJSON(f *testing.F) {
	f.Add("joe", "/pub/ü", int64(7), int64(1772366400))
	f.Add("\xff", `"\`, int64(-1), int64(0))
	f.Fuzz(func(t *testing.T, user, path string, n, at int64) {
		i := sample()
		i.User, i.Path, i.Moved = user, path, n
		i.Started = time.Unix(at&(1<<37-1), n&(1<<29-1)).UTC()
		checkJSON(t, i)
	})
}

func BenchmarkAppendJSON(b *testing.B) {
	i := sample()
	var text []byte
	b.ReportAllocs()
	for b.Loop() {
		text = i.AppendJSON(text[:0])
	}
}

func BenchmarkParseJSON(b *testing.B) {
	i := sample()
	text := i.AppendJSON(nil)
	b.ReportAllocs()
	for b.Loop() {
		if err := i.ParseJSON(text); err != nil {
			b.Fatal(err)
		}
	}
}
