package query

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	question = []Line{{"account", "joe"}, {"password", "pass word:with $signs"}, {"nothing", ""}}
	protocol = Protocol{Prefix: "TRY_", Subject: "account", Refusal: "ok:no",
		Variables: map[string]string{"account": "TRY_ACCOUNT", "password": "TRY_PASSWORD", "nothing": "TRY_NOTHING"}}
)

func TestAsk(t *testing.T) {
	for _, tt := range []struct {
		text string
		want map[string]string // nil: it has no end
	}{
		{"a:1\nend\n", map[string]string{"a": "1"}},
		{"a: 1 \r\nno colon\nb:\n:c\na:2:3\nend\r\na:4\n", map[string]string{"a": "2:3", "b": "", "": "c"}},
		{"end", map[string]string{}},
		{"", nil},
		{"a:1\n", nil},
		{"a:1\n end\n", nil},
		{"a:1\nendless\n", nil},
		{strings.Repeat("x:y\n", maxText) + "end\n", nil},
		{strings.Repeat("x", maxText) + "\nend\n", nil},
	} {
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			asked := make([]byte, 4096)
			n, _ := there.Read(asked)
			if want := "account:joe\npassword:pass word:with $signs\nnothing:\nend\n"; string(asked[:n]) != want {
				t.Errorf("asked\n%s", asked[:n])
			}
			_, _ = io.WriteString(there, tt.text)
		}()
		got, err := Ask(t.Context(), here, question)
		here.Close()
		if tt.want == nil {
			if !errors.Is(err, ErrNoEnd) || got != nil {
				t.Errorf("%.40q: %v, %v", tt.text, got, err)
			}
			continue
		}
		if err != nil || !maps.Equal(got, tt.want) {
			t.Errorf("%.40q: %q, %v", tt.text, got, err)
		}
	}
	for _, bad := range []string{"joe\nadmin:1", "joe\r", "jo\x00e"} {
		if _, err := Ask(t.Context(), nil, []Line{{"account", bad}}); err == nil {
			t.Errorf("%q is asked about", bad)
		}
	}
}

// serve runs a server of a shell script until the test ends.
func serve(t *testing.T, s *Server, script string) (ask func() (map[string]string, error), stop func()) {
	t.Helper()
	s.Protocol = protocol
	dir := t.TempDir()
	s.Program = filepath.Join(dir, "program")
	if err := os.WriteFile(s.Program, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	if s.AtOnce == 0 {
		s.AtOnce = 4
	}
	if s.TimeLimit == 0 {
		s.TimeLimit = time.Minute
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		done <- nil
	}
	t.Cleanup(stop)
	return func() (map[string]string, error) {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		return Ask(context.Background(), conn, question)
	}, stop
}

// The program sees the question, what it is not about, and nobody else's.
func TestEnvironment(t *testing.T) {
	t.Setenv("TRY_ACCOUNT", "forged")
	t.Setenv("TRY_NOTHING", "forged")
	t.Setenv("TRY_MORE", "forged")
	t.Setenv("INHERITED", "yes")
	seen := filepath.Join(t.TempDir(), "env")
	ask, _ := serve(t, &Server{}, `env | grep -E '^(TRY|INHERITED)' | sort >`+seen+`; echo $# $PWD >>`+seen+`
echo ok:yes
echo end
exit 3`)
	if got, err := ask(); err != nil || got["ok"] != "yes" {
		t.Errorf("%+v, %v", got, err)
	}
	got, err := os.ReadFile(seen)
	if want := "INHERITED=yes\nTRY_ACCOUNT=joe\nTRY_PASSWORD=pass word:with $signs\n0 /\n"; string(got) != want || err != nil {
		t.Errorf("the program sees (%v)\n%s", err, got)
	}
}

// Whatever a program does but answer refuses, in time, and says why in the log
// without the password.
func TestBadPrograms(t *testing.T) {
	for what, script := range map[string]string{
		"says nothing": "", "fails": "exit 1", "says half": "echo ok:yes; echo uid:1", "sleeps": "exec sleep 600",
		"leaves a child that sleeps": "sleep 600 2>/dev/null & wait", "never stops talking": "while :; do echo uid:1; done", "cannot run": "#",
	} {
		t.Run(what, func(t *testing.T) {
			var log bytes.Buffer
			s := &Server{TimeLimit: 300 * time.Millisecond, Log: slog.New(slog.NewTextHandler(&log, nil))}
			ask, stop := serve(t, s, script)
			if what == "cannot run" {
				os.Remove(s.Program)
			}
			if got, err := ask(); err != nil || got["ok"] != "no" {
				t.Errorf("%+v, %v", got, err)
			}
			stop()
			if said := log.String(); !strings.Contains(said, "account=joe") || strings.Contains(said, "pass word") {
				t.Errorf("the log says %q", said)
			}
		})
	}
	// Its child may stay, if it has let its output go or not.
	ask, _ := serve(t, &Server{}, "sleep 5 2>/dev/null & echo ok:unknown; echo end")
	if got, err := ask(); err != nil || got["ok"] != "unknown" {
		t.Errorf("with a child that stays: %+v, %v", got, err)
	}
}

// Several run at a time, as many as may, and a server that is stopped answers all.
func TestAtOnce(t *testing.T) {
	dir := t.TempDir()
	// Each waits for another one to be there.
	ask, stop := serve(t, &Server{AtOnce: 2}, `mkdir `+dir+`/first 2>/dev/null && { mkfifo `+dir+`/meet; read x <`+dir+`/meet; } || {
until [ -p `+dir+`/meet ]; do :; done; echo >`+dir+`/meet; }
echo ok:unknown; echo end`)
	done := make(chan error, 2)
	for range 2 {
		go func() {
			got, err := ask()
			if err == nil && got["ok"] != "unknown" {
				err = fmt.Errorf("%+v", got)
			}
			done <- err
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	stop()
	if _, err := ask(); err == nil {
		t.Error("it answers when it is stopped")
	}
}

// Who sends no request is not waited for by others.
func TestSilentClients(t *testing.T) {
	s := &Server{AtOnce: 1}
	ask, _ := serve(t, s, "echo ok:unknown; echo end")
	for range 20 {
		conn, err := net.Dial("unix", filepath.Join(filepath.Dir(s.Program), "s"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "account:joe\n")
	}
	if got, err := ask(); err != nil || got["ok"] != "unknown" {
		t.Errorf("%+v, %v", got, err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("a:1\nb\nend\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		values, end, err := readLines(bytes.NewReader(text))
		var out output
		_, _ = out.Write(text)
		if _, printed := out.answer(); err == nil && printed && !end && bytes.IndexByte(text, '\r') < 0 {
			t.Errorf("%q has an end for who prints it, and none for who reads it", text)
		}
		for key, value := range values {
			if strings.ContainsRune(key, ':') || strings.ContainsRune(key+value, '\n') {
				t.Errorf("%q: %q: %q", text, key, value)
			}
		}
	})
}
