package cert

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// answering is a program that chooses certificates; it gives the answer that it
// holds when it is asked.
type answering struct {
	socket string
	answer atomic.Pointer[string]
	asked  atomic.Pointer[string]
}

func startAnswering(t *testing.T) *answering {
	t.Helper()
	p := &answering{socket: filepath.Join(t.TempDir(), "s")}
	l, err := net.Listen("unix", p.socket)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			lines := bufio.NewScanner(conn)
			asked := ""
			for lines.Scan() && lines.Text() != "end" {
				asked += lines.Text() + "\n"
			}
			p.asked.Store(&asked)
			fmt.Fprint(conn, *p.answer.Load())
			conn.Close()
		}
	}()
	return p
}

// TestExternal lets a program choose, in every way it may answer.
func TestExternal(t *testing.T) {
	p := startAnswering(t)
	own, other := valid(t, "own.test"), valid(t, "other.test")
	missing := filepath.Join(t.TempDir(), "missing")
	s, _ := newStore(t)
	if err := s.Configure(Options{Files: []Pair{own}, External: p.socket}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ answer, want string }{
		{"action:default\nend\n", "own.test"},
		{"action:strict\ncert_file:" + other.Cert + "\nend\n", "other.test"},
		{"action:strict\r\ncert_file: " + other.Cert + "\r\nkey_file:" + other.Cert + "\r\nend\r\n", "other.test"},
		{"action:fallback\ncert_file:" + other.Cert + "\nend\n", "other.test"},
		{"action:fallback\ncert_file:" + missing + "\nend\n", "own.test"},
		{"action:strict\ncert_file:" + missing + "\nend\n", ""},
		{"action:strict\ncert_file:cert.pem\nend\n", ""},
		{"action:strict\nend\n", ""},
		{"action:deny\nend\n", ""},
		{"action:nonsense\nend\n", ""},
		{"end\n", ""},
		{"action:default\n", ""}, // cut off
		{"", ""},
		{strings.Repeat("x:y\n", 16<<10) + "action:default\nend\n", ""},
	} {
		p.answer.Store(&tt.answer)
		c, err := s.Get(&tls.ClientHelloInfo{ServerName: "a.example.org"})
		got := ""
		if err == nil {
			got = c.Leaf.Subject.CommonName
		}
		if got != tt.want {
			t.Errorf("%.60q shows %q (%v), not %q", tt.answer, got, err, tt.want)
		}
		if asked := *p.asked.Load(); asked != "sni_name:a.example.org\n" {
			t.Errorf("it asked %q", asked)
		}
	}
	deny := "action:deny\nend\n"
	p.answer.Store(&deny)
	for _, name := range []string{"", "a b", "a/../b", "a\nb", "$(reboot)", strings.Repeat("a", 256)} {
		if _, err := s.Get(&tls.ClientHelloInfo{ServerName: name}); err != nil {
			t.Errorf("it asked about %q: %v", name, err)
		}
	}
}

// TestExternalGone refuses names when the program cannot be asked, and serves who
// asks for none.
func TestExternalGone(t *testing.T) {
	s, _ := newStore(t)
	if err := s.Configure(Options{Files: []Pair{valid(t, "own.test")}, External: filepath.Join(t.TempDir(), "s")}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(&tls.ClientHelloInfo{ServerName: "own.test"}); err == nil {
		t.Error("nobody was asked")
	}
	if _, err := s.Get(&tls.ClientHelloInfo{}); err != nil {
		t.Error(err)
	}
}
