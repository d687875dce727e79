package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLogTailFollows follows logs whose names tell nothing, or too much, and ones
// that are not there yet. Each line comes once.
func TestLogTailFollows(t *testing.T) {
	xfer := func(path string) string {
		return "Mon Nov  2 10:00:00 2026 2 192.0.2.1 100 " + path + " b _ i r ann ftp 0 * c\n"
	}
	w3c := func(path string) string {
		return "10:00:00 2026-11-02 ann 192.0.2.1 []created " + path + " 226 5\n"
	}
	// A step writes to a file and expects the line; with a second name it renames
	// the file, and with no line it makes a link.
	type step struct{ file, line, to string }
	for name, tt := range map[string]struct {
		before []step
		args   []string
		shown  string // of what is there before
		then   []step
	}{
		"fields of a header": {
			before: []step{{file: "w3c", line: "#Fields: time date cs-username c-ip cs-method cs-uri-stem sc-status sc-bytes\n" + w3c("/1")}},
			args:   []string{"w3c"}, shown: "/1",
			then: []step{{file: "w3c", line: w3c("/2")}},
		},
		"dates in names": {
			before: []step{{file: "ftp-2026-11-22.log", line: xfer("/1")}, {file: "ftp-2026-11-23.log", line: strings.Replace(xfer("/2"), "10:00", "11:00", 1)}},
			args:   []string{"ftp-*.log"}, shown: "/1 /2",
			then: []step{{file: "ftp-2026-11-23.log", line: xfer("/3")}, {file: "ftp-2026-11-24.log", line: xfer("/4")}, {file: "ftp-2026-11-23.log", line: xfer("/5")}, {file: "ftp-2026-11-24.log", line: xfer("/6")}},
		},
		"one with a date": {
			before: []step{{file: "ftp-2026-11-22.log", line: xfer("/1")}, {file: "ftp.log", line: xfer("/9")}},
			args:   []string{"ftp-2026-11-22.log"}, shown: "/1",
			then: []step{{file: "ftp-2026-11-22.log", line: xfer("/2")}},
		},
		"rotated away": {
			before: []step{{file: "log.1", line: xfer("/1")}, {file: "log", line: xfer("/9")}},
			args:   []string{"log.1"}, shown: "/1",
			then: []step{{file: "log.1", line: xfer("/2")}},
		},
		"here, with the rotated ones": {
			before: []step{{file: "log.1", line: xfer("/1")}, {file: "log", line: strings.Replace(xfer("/2"), "10:00", "11:00", 1)}},
			args:   []string{"--rotated", "./log"}, shown: "/1 /2",
			then: []step{{file: "log", line: xfer("/3")}, {file: "log.1", to: "log.2"}, {file: "log", to: "log.1"}, {file: "log", line: xfer("/4")}},
		},
		"by two names": {
			before: []step{{file: "log", line: xfer("/1")}, {file: "log", to: "link"}},
			args:   []string{"log", "link", "l*"}, shown: "/1",
			then: []step{{file: "log", line: xfer("/2")}, {file: "log", line: xfer("/3")}},
		},
		"a pattern that matches more": {
			before: []step{{file: "a.log", line: xfer("/1")}},
			args:   []string{"*.log"}, shown: "/1",
			then: []step{{file: "b.log", line: xfer("/2")}, {file: "a.log", to: "a-20261123.log"}, {file: "a.log", line: xfer("/3")}, {file: "c.log", line: xfer("/4")}},
		},
		"a pattern that matches nothing": {
			args: []string{"*.log"},
			then: []step{{file: "b.log", line: xfer("/1")}, {file: "b.log", line: xfer("/2")}},
		},
		"a log that is not there": {
			args: []string{"log"},
			then: []step{{file: "log", line: xfer("/1")}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			do := func(s step) {
				path, err := filepath.Join(dir, s.file), error(nil)
				switch {
				case s.to == "link":
					err = os.Symlink(s.file, filepath.Join(dir, s.to))
				case s.to != "":
					err = os.Rename(path, filepath.Join(dir, s.to))
				default:
					err = appendFile(path, s.line)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			for _, s := range tt.before {
				do(s)
			}
			args := []string{"log", "tail", "-f", "--csv", "--zone", "UTC"}
			for _, arg := range tt.args {
				if !strings.HasPrefix(arg, "-") {
					arg = dir + "/" + arg
				}
				args = append(args, arg)
			}
			ctx, cancel := context.WithCancel(t.Context())
			from, to := io.Pipe()
			var said bytes.Buffer
			code := make(chan int, 1)
			go func() {
				code <- run(ctx, &env{in: strings.NewReader(""), out: to, err: &said, getenv: func(string) string { return "" }}, args)
				to.Close()
			}()
			in := bufio.NewScanner(from)
			expect := func(path string) {
				if in.Scan(); !strings.Contains(in.Text(), ","+path+",") {
					t.Fatalf("%q is told, and not %s: %s", in.Text(), path, said.String())
				}
			}
			if in.Scan(); tt.shown != "" {
				for path := range strings.FieldsSeq(tt.shown) {
					expect(path)
				}
			}
			n := 0
			for _, s := range tt.then {
				if do(s); s.line != "" {
					n++
					expect(fmt.Sprint("/", n+len(strings.Fields(tt.shown))))
				}
			}
			cancel()
			for in.Scan() {
				t.Errorf("there is a line too many: %s", in.Text())
			}
			if c := <-code; c != exitDone || said.Len() > 0 {
				t.Errorf("it ended with %d: %s", c, said.String())
			}
		})
	}
}

// appendFile adds to a file.
func appendFile(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(text)
	return err
}
