package server

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"io"
	"math/rand"
	"strings"
	"testing"
)

// withModeZ is a configuration that offers it.
func withModeZ(c *Config) { c.Compression = 9 }

// zipped and unzip are zlib streams as the standard library has them, which is
// not what the server uses.
func zipped(t testing.TB, content string) string {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func unzip(t testing.TB, stream string) string {
	t.Helper()
	r, err := zlib.NewReader(strings.NewReader(stream))
	if err != nil {
		t.Fatalf("no stream in %.40q: %v", stream, err)
	}
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestModeZT150(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, withModeZ)
		c := r.login()
		c.cmd(200, "TYPE I")
		c.cmd(200, "MODE Z")
		noise := make([]byte, 300<<10)
		rand.New(rand.NewSource(1)).Read(noise)
		for _, content := range []string{"", "x", strings.Repeat("a line of text\n", 10_000), string(noise)} {
			r.put("f", content)
			got, code := c.retr("RETR f")
			if code != 226 || unzip(t, got) != content {
				t.Errorf("RETR of %d bytes: %d, %d bytes", len(content), code, len(got))
			}
			if code := c.stor(zipped(t, content), "STOR g"); code != 226 || r.get("g") != content {
				t.Errorf("STOR of %d bytes: %d", len(content), code)
			}
		}
		got, code := c.retr("LIST")
		if code != 226 || !strings.HasSuffix(unzip(t, got), " g\r\n") {
			t.Errorf("LIST: %d", code)
		}
		if got, code = c.retr("MLSD"); code != 226 || !strings.Contains(unzip(t, got), "type=file;") {
			t.Errorf("MLSD: %d", code)
		}
		c.cmd(200, "MODE S")
		if got, code = c.retr("RETR f"); code != 226 || got != string(noise) {
			t.Errorf("in MODE S again: %d", code)
		}
	})
}

// Markers count what is not compressed, and TYPE comes before MODE.
func TestModeZAndTheRest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, withModeZ)
		r.put("f", "one\ntwo\n")
		c := r.login()
		c.cmd(200, "TYPE I")
		c.cmd(200, "MODE Z")
		c.cmd(350, "REST 4")
		if got, code := c.retr("RETR f"); code != 226 || unzip(t, got) != "two\n" {
			t.Errorf("REST and RETR: %q, %d", got, code)
		}
		c.cmd(350, "REST 4")
		if code := c.stor(zipped(t, "2"), "STOR f"); code != 226 || r.get("f") != "one\n2wo\n" {
			t.Errorf("REST and STOR: %d, %q", code, r.get("f"))
		}
		if code := c.stor(zipped(t, "3"), "APPE f"); code != 226 || r.get("f") != "one\n2wo\n3" {
			t.Errorf("APPE: %d, %q", code, r.get("f"))
		}
		c.cmd(550, "SIZE f")
		c.cmd(501, "RANG 0 1")
		c.cmd(350, "RANG 1 0")
		if text := c.cmd(211, "STAT"); !strings.Contains(text, "MODE Z") {
			t.Errorf("STAT: %s", text)
		}
		c.cmd(200, "TYPE A")
		if code := c.stor(zipped(t, "a\r\nb\rc\r"), "STOR g"); code != 226 || r.get("g") != "a\nb\rc\r" {
			t.Errorf("TYPE A and STOR: %d, %q", code, r.get("g"))
		}
		if got, code := c.retr("RETR g"); code != 226 || unzip(t, got) != "a\r\nb\rc\r" {
			t.Errorf("TYPE A and RETR: %q, %d", got, code)
		}
		c.cmd(220, "REIN")
		c.login("alice")
		if text := c.cmd(211, "STAT"); !strings.Contains(text, "MODE S") {
			t.Errorf("after REIN: %s", text)
		}
	})
}

func TestModeZRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, withModeZ, func(c *Config) { c.MaxFileSize = 2 << 20 })
		r.put("f", "old")
		c := r.login()
		c.cmd(200, "TYPE I")
		c.cmd(200, "MODE Z")
		whole := zipped(t, strings.Repeat("content ", 1000))
		for name, try := range map[string]struct {
			data string
			code int
		}{
			"nothing at all":    {"", 226},
			"no stream":         {"what is this", 451},
			"a byte":            {whole[:1], 426},
			"a part":            {whole[:len(whole)/2], 426},
			"without its sum":   {whole[:len(whole)-4], 426},
			"with another sum":  {whole[:len(whole)-1] + "\x00", 451},
			"with more":         {whole + "x", 451},
			"damaged":           {whole[:4] + "\xff\xff\xff\xff" + whole[8:], 451},
			"more than allowed": {zipped(t, strings.Repeat("0123456789abcdef", 3<<16)), 552},
		} {
			r.put("f", "old")
			if code := c.stor(try.data, "STOR f"); code != try.code {
				t.Errorf("%s: %d, not %d", name, code, try.code)
			}
			if got := r.get("f"); try.code != 226 && got != "old" {
				t.Errorf("%s: the old file is %.20q now", name, got)
			}
		}
	})
}

// Attack 26: a stream of a megabyte that would be a gigabyte on disk.
func TestAttack26BombT310(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, withModeZ)
		c := r.login()
		c.cmd(200, "TYPE I")
		c.cmd(200, "MODE Z")
		conn := c.passive()
		c.cmd(150, "STOR bomb")
		w, err := zlib.NewWriterLevel(conn, zlib.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		zeros, sent := make([]byte, 1<<20), 0
		for ; err == nil && sent < 1<<10; sent++ {
			_, err = w.Write(zeros)
		}
		conn.Close()
		c.want(552)
		if sent > 100 {
			t.Errorf("%d MiB went through before it was stopped", sent)
		}
		if r.exists("bomb") || r.leftovers() != 0 {
			t.Error("something of it is left")
		}
		// A megabyte of zeros is a file like any other.
		if code := c.stor(zipped(t, string(zeros)), "STOR zeros"); code != 226 || r.get("zeros") != string(zeros) {
			t.Errorf("zeros: %d", code)
		}
	})
}

// FuzzModeZ sends streams that are none.
func FuzzModeZ(f *testing.F) {
	r := newRig(f, withModeZ, func(c *Config) { c.MaxFileSize = 4 << 20 })
	f.Add([]byte(zipped(f, "content")))
	f.Add([]byte(zipped(f, strings.Repeat("0", 2<<20))))
	f.Add([]byte("x\x9c"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &rig{t: t, srv: r.srv, net: r.net, home: r.home, logs: r.logs}
		r.put("f", "old")
		c := r.login()
		c.cmd(200, "TYPE I")
		c.cmd(200, "MODE Z")
		code := c.stor(string(data), "STOR f")
		want := "old"
		if std, err := zlib.NewReader(bytes.NewReader(data)); err == nil && code == 226 {
			content, err := io.ReadAll(std)
			if err != nil {
				t.Fatalf("%.40q was stored, and is damaged: %v", data, err)
			}
			want = string(content)
		} else if len(data) == 0 {
			want = ""
		} else if code == 226 {
			t.Fatalf("%.40q was stored, and is no stream", data)
		}
		if got := r.get("f"); got != want {
			t.Fatalf("%d: the file has %d bytes, not %d", code, len(got), len(want))
		}
		c.conn.Close()
		<-c.done
		r.logs.Reset()
	})
}

// In MODE S nothing of all this is on the way.
func BenchmarkModeZ(b *testing.B) {
	text := strings.Repeat("Jan  1 00:00:00 host daemon[123]: a line of a log\n", 200_000)
	for _, level := range []int{1, 6, 9} {
		b.Run(fmt.Sprint("level ", level), func(b *testing.B) {
			r := newRig(b, withModeZ)
			r.put("f", text)
			c := r.login()
			c.cmd(200, "TYPE I")
			c.cmd(200, "MODE Z")
			c.cmd(200, "OPTS MODE Z LEVEL %d", level)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				c.retr("RETR f")
			}
		})
	}
}
