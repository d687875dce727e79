//go:build linux

package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"portreeve/userdb"
)

// hostileHome fills a home with everything that may be counted in two ways.
func hostileHome(t *testing.T, home string, uid int) {
	t.Helper()
	for _, dir := range []string{"sub/deep", "sp ace", ".hidden"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i, name := range []string{
		"a", ".dot", ".hidden/x", "new\nline", "\xff\xfe", "sp ace/ -x", "sub/.ftpquota", ".ftpaccess", ".banner",
		".pureftpd-upload.abc", ".pureftpd-rename.x", "sub/deep/f", "-rf", "$(reboot)", ".ftpquota.old", strings.Repeat("n", 255),
	} {
		writeFile(t, filepath.Join(home, name), make([]byte, 1000+i*i))
	}
	for to, names := range map[string][]string{
		"a": {"slink"}, "slink": {"chain"}, "nowhere": {"dangling"}, "sub": {"dirlink"}, "/etc/hosts": {"outside"}, "/": {"root"},
		"..": {"up", "sub/up"}, "loop": {"loop"}, "/sub/deep/f": {"inside"}, "../../../../etc/passwd": {"sub/climbs"},
	} {
		for _, name := range names {
			if err := os.Symlink(to, filepath.Join(home, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range []string{"hard", "sub/hard"} {
		if err := os.Link(filepath.Join(home, "a"), filepath.Join(home, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(home, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	if l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(home, "sock")}); err == nil { // if the path is short enough
		l.SetUnlinkOnClose(false)
		l.Close()
	}
	if err := os.Truncate(filepath.Join(home, "sub/deep/f"), 5<<30); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() != 0 {
		return
	}
	err := filepath.WalkDir(home, func(path string, _ os.DirEntry, err error) error {
		if err == nil {
			err = os.Lchown(path, uid, uid)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// checked runs a pure-quotacheck, and returns its code and the file it leaves.
func checked(t *testing.T, home string, args ...string) string {
	t.Helper()
	file := filepath.Join(home, ".ftpquota")
	os.RemoveAll(file)
	var out bytes.Buffer
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "PORTREEVE_DB="+filepath.Join(home, "../none.db"))
	cmd.Stdout = &out
	_ = cmd.Run() // its code is looked at
	text, _ := os.ReadFile(file)
	said := fmt.Sprintf("code %d, %q, file %q", cmd.ProcessState.ExitCode(), out.String(), text)
	if info, err := os.Lstat(file); err == nil {
		st := info.Sys().(*syscall.Stat_t)
		said += fmt.Sprintf(" %v %d %d", info.Mode(), st.Uid, st.Gid)
	}
	return said
}

// TestQuotaDoor compares what pure-quotacheck counts, writes and answers with
// Debian's, which needs root.
func TestQuotaDoor(t *testing.T) {
	needs(t, "pure-quotacheck")
	ours := filepath.Join(linked(t), "pure-quotacheck")
	dir := t.TempDir()
	publish(t, dir)
	home, uid := filepath.Join(dir, "home"), os.Getuid()
	if uid == 0 {
		uid = ftpUID
	}
	if err := os.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	hostileHome(t, home, uid)
	id := fmt.Sprint(uid)
	got := checked(t, home, ours, "-u", id, "-g", id, "-d", home)
	if !strings.HasPrefix(got, "code 0, \"\", file \"24 ") || !strings.Contains(got, "-rw------- "+id) {
		t.Errorf("it leaves %s", got)
	}
	if os.Getuid() != 0 {
		if alone := checked(t, home, ours, "-d", home); alone != got {
			t.Errorf("without a user it leaves %s, not %s", alone, got)
		}
	}
	lines := [][]string{
		nil, {"-h"}, {"-X"}, {"-u"}, {"-u", "www-data"}, {"-d", home, "x"}, {"-u", "0", "-g", "1", "-d", home}, {"-u", "root", "-d", home},
		{"-u", "1", "-g", "0", "-d", home}, {"-u", "no-such-user", "-g", "1", "-d", home}, {"-u", "1", "-d", home},
	}
	if os.Getuid() == 0 {
		lines = append(lines,
			[]string{"-u", "www-data", "-d", home}, []string{"-u", "www-data", "-d", home, "word"}, []string{"-u", "33", "-g", "33", "-d", home + "/none"},
			[]string{"-u", "33", "-g", "33", "-d", home + "/a"}, []string{"-u", "33", "-g", "33", "-d", ""}, []string{"-u", "33", "-g", "33", "-d", home, "-d", home},
			[]string{"-g", "daemon", "-u", "33", "-d", home})
		if err := os.Chmod(home, 0o777); err != nil { // others count, too
			t.Fatal(err)
		}
	}
	for _, args := range lines {
		if os.Getuid() != 0 && len(args) > 2 { // it takes no group of who is not root
			continue
		}
		got := checked(t, home, append([]string{ours}, args...)...)
		want := checked(t, home, append([]string{"pure-quotacheck"}, args...)...)
		if got != want {
			t.Errorf("%q: %s\nthere: %s", args, got, want)
		}
	}
}

// TestQuotaDoorReachesDaemon counts what came and went otherwise, and the running
// server knows.
func TestQuotaDoorReachesDaemon(t *testing.T) {
	t.Parallel()
	d := startSite(t)
	door := filepath.Join(linked(t), "pure-quotacheck")
	writeFile(t, d.path("old"), make([]byte, 3<<20))
	os.Chown(d.path("old"), d.uid, -1)
	d.must(t, "quota", "set", "alice", "--bytes", "4M")
	c := dialFTP(t, d, "alice")
	if err := c.store("f", bytes.NewReader(make([]byte, 2<<20))); err == nil || !strings.HasPrefix(err.Error(), "552") {
		t.Errorf("more than the quota: %v", err)
	}
	if err := os.Remove(d.path("old")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the daemon has nothing to tell", func() bool { return !d.quota(t, "alice").Writing })
	id := fmt.Sprint(d.uid)
	cmd := exec.Command(door, "-u", id, "-g", id, "-d", d.home, "-F", filepath.Join(d.dir, "users.db"))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v: %s", err, out)
	}
	if text, err := os.ReadFile(d.path(".ftpquota")); string(text) != "0 0\n" {
		t.Errorf(".ftpquota is %q, %v", text, err)
	}
	if err := c.store("g", bytes.NewReader(make([]byte, 2<<20))); err != nil {
		t.Errorf("after it was counted: %v", err)
	}
	eventually(t, "the database has it", func() bool {
		return d.quota(t, "alice").Used == userdb.Usage{Files: 1, Bytes: 2 << 20}
	})
}
