//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"portreeve/logparse"
	"portreeve/logparse/logtest"
)

// TestStatsMemory pipes a log of 200 MB into the program, or of as many gigabytes as
// PORTREEVE_LOG_GB says. What it takes of memory depends on how many users, hosts and
// files there are, and these are as many as in a log of a million lines.
func TestStatsMemory(t *testing.T) {
	const most = 96 << 20
	size := int64(200e6)
	if text := os.Getenv("PORTREEVE_LOG_GB"); text != "" {
		gigabytes, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		size = int64(gigabytes * 1e9)
	}
	const lineSize = 122.5
	log := logtest.New(int64(math.Ceil(float64(size) / lineSize)))
	xferlog, _ := logparse.Find("xferlog")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute+time.Duration(size/1e6)*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, built.path(t), "stats", "--json", "-")
	cmd.Env = append(os.Environ(), "TZ=UTC")
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	written, err := io.Copy(in, log.Reader(xferlog))
	if err != nil {
		t.Errorf("after %d bytes: %v", written, err)
	}
	// All but what is in the pipe was read by now; the report itself takes little.
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		t.Error(err)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, complaints.Bytes())
	}
	peak, _ := kib(status, "VmHWM")
	if peak <<= 10; peak == 0 || peak > most {
		t.Errorf("it took %d MiB for %d MB", peak>>20, written/1e6)
	}
	var report struct {
		Read struct{ Bytes, Lines, Entries int64 }
	}
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		t.Fatal(err)
	}
	if r := report.Read; r.Bytes != written || r.Lines != log.Lines || r.Entries != log.Lines {
		t.Errorf("of %d lines, %d bytes it read %+v", log.Lines, written, r)
	}
	t.Logf("%d MB in %d MiB", written/1e6, peak>>20)
}

// TestStatsOfFailedLogins has the daemon turn away a wrong password and names that
// nobody has: what it logs tells them apart.
func TestStatsOfFailedLogins(t *testing.T) {
	d := newSite(t, nil)
	log := filepath.Join(d.dir, "ftp.json")
	d.configure(t, "AltLog json:"+log, "LoginDelay 0")
	d.start(t)
	for _, user := range []string{"alice", "root", "oracle", "root"} {
		wrong := migrant{name: user, password: "wrong"}
		if err := wrong.loginAs(d.port4, 530); err != nil {
			t.Fatal(err)
		}
	}
	dialFTP(t, d, "alice")
	var report struct {
		Logins struct {
			Good, Failed, Unknown int64
			Users                 []struct{ Key string }
			Names                 []struct {
				Key    string
				Failed int64
			} `json:"unknown_names"`
		}
	}
	eventually(t, "the log has the logins", func() bool {
		if err := json.Unmarshal([]byte(d.must(t, "stats", "--json", log)), &report); err != nil {
			t.Fatal(err)
		}
		return report.Logins.Good == 1
	})
	l := report.Logins
	if l.Failed != 4 || l.Unknown != 3 || len(l.Users) != 1 || l.Users[0].Key != "alice" || len(l.Names) != 2 || l.Names[0].Key != "root" || l.Names[0].Failed != 2 {
		t.Errorf("the logins are %+v", l)
	}
}
