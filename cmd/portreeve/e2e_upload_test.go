//go:build linux

package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"portreeve/server/control"
)

// A teller is a running portreeve uploadscript, or a program in its place.
type teller struct {
	t    *testing.T
	dir  string
	cmd  *exec.Cmd
	log  *logBuffer
	done chan struct{}
}

// tellUploads starts what runs a script for uploads; the script has the folder of
// the site as $D. It is ended with the test.
func (d *site) tellUploads(t *testing.T, script string, cmd *exec.Cmd) *teller {
	t.Helper()
	path := filepath.Join(d.dir, "script")
	writeFile(t, path+".new", []byte("#!/bin/sh\nD="+d.dir+"\n"+script+"\n"))
	if err := os.Chmod(path+".new", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	u := &teller{t: t, dir: d.dir, cmd: cmd, log: new(logBuffer), done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = u.log, u.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(u.done)
		_ = cmd.Wait() // it is ended in any way
	}()
	t.Cleanup(func() {
		u.end(syscall.SIGKILL)
		if t.Failed() {
			t.Logf("what tells of uploads said:\n%s", u.log.tail(20))
		}
	})
	return u
}

// end sends a signal and waits for the end.
func (u *teller) end(sig os.Signal) {
	_ = u.cmd.Process.Signal(sig)
	<-u.done
}

func (d *site) uploadScript(t *testing.T, script string, args ...string) *teller {
	t.Helper()
	return d.tellUploads(t, script, d.program(t, append([]string{"uploadscript", "-r", filepath.Join(d.dir, "script")}, args...)...))
}

// told is what a script wrote into a file.
func (d *site) told(name string) string {
	text, _ := os.ReadFile(filepath.Join(d.dir, name))
	return string(text)
}

// waits returns how the spool fares.
func (d *site) waits(t *testing.T) control.Uploads {
	t.Helper()
	st, err := d.status(t.Context())
	if err != nil || st.Uploads == nil {
		t.Fatalf("status: %v, %+v", err, st.Uploads)
	}
	return *st.Uploads
}

func (d *site) allTold(t *testing.T) {
	t.Helper()
	eventually(t, "every upload is told", func() bool { return d.waits(t).Waiting == 0 })
}

// TestUploadScript stores files with curl, whose names are no names to a shell,
// and then runs the program for them: as somebody else, if that can be.
func TestUploadScript(t *testing.T) {
	t.Parallel()
	d := newSite(t, nil)
	spool := filepath.Join(d.dir, "elsewhere", "spool")
	d.configure(t, "CallUploadScript yes", "UploadSpool "+spool)
	d.start(t)
	const script = `{ id -u; printf '%s\0' "$#" "$1" "$UPLOAD_VUSER" "$UPLOAD_SIZE" "$UPLOAD_PERMS" "$UPLOAD_UID" "$UPLOAD_STATUS" "$PWD"; } >>$D/out/told`
	out := filepath.Join(d.dir, "out")
	if err := os.Mkdir(out, 0o777); err != nil {
		t.Fatal(err)
	}
	args, uid := []string{"--spool", spool}, os.Getuid()
	if uid == 0 {
		uid = 12345
		args = append(args, "-u", "12345")
	}
	if err := os.Chown(out, uid, -1); err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	local := filepath.Join(t.TempDir(), "local")
	writeFile(t, local, []byte("12345"))
	for _, name := range []string{"a b", `"a'b"`, "$(touch x)`touch y`", "-rf", ";exit 1", "ünï", `\n%s`, " lead", "*", "~root"} {
		j := d.job(t, epsv, "alice", name, local)
		if out, err := curlArgs(j, "-T", local, j.url()).run(t); err != nil {
			t.Fatalf("curl: %v\n%s", err, out)
		}
		fmt.Fprintf(&want, "%d\n", uid)
		for _, field := range []any{1, d.path(name), "alice", 5, 644, d.uid, "complete", "/"} {
			fmt.Fprintf(&want, "%v\x00", field)
		}
	}
	if w := d.waits(t); w != (control.Uploads{Spool: spool, Waiting: 10}) {
		t.Errorf("the status has %+v", w)
	}
	if said := d.must(t, "status"); !strings.Contains(said, "upload script  10 uploads wait; portreeve uploadscript does not run\n") {
		t.Errorf("portreeve status prints\n%s", said)
	}
	u := d.uploadScript(t, script, args...)
	d.allTold(t)
	if got := d.told("out/told"); got != want.String() {
		t.Errorf("told\n%q\nnot\n%q", got, want.String())
	}
	if w := d.waits(t); !w.Read {
		t.Errorf("the status has %+v", w)
	}
	// A second one would tell everything twice.
	if said, err := d.run(t, "", append([]string{"uploadscript", "-r", filepath.Join(d.dir, "script")}, args...)...); err == nil ||
		!strings.Contains(said, "another process uses it") || !strings.Contains(said, "hint: ") {
		t.Errorf("a second one: %v, %s", err, said)
	}
	// What breaks off is not told, and is not there.
	c := dialFTP(t, d, "alice")
	conn, err := c.data()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.cmd(150, "STOR broken"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "1"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.cmd(426, "ABOR"); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if w := d.waits(t); w.Waiting != 0 {
		t.Errorf("a broken upload waits: %+v", w)
	}
	u.end(syscall.SIGTERM)
	if code := u.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("SIGTERM: it ended with %d", code)
	}
}

// TestSlowUploadScript: while the program stands still, sixteen sessions are
// served to the end, and all they stored is told once it goes on.
func TestSlowUploadScript(t *testing.T) {
	t.Parallel()
	d := startSite(t, "CallUploadScript yes")
	gate := filepath.Join(d.dir, "gate")
	if err := syscall.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	d.uploadScript(t, `echo "$1" >>$D/begun; read x <$D/gate; echo "$1" >>$D/told`)
	const sessions, each = 16, 12
	var all sync.WaitGroup
	for w := range sessions {
		all.Go(func() {
			c, err := loginFTP(d.port4, "alice")
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for i := range each {
				if err := c.store(fmt.Sprintf("%d-%d", w, i), strings.NewReader("x")); err != nil {
					t.Errorf("while the program stands still: %v", err)
				}
			}
		})
	}
	all.Wait() // every one has its 226
	eventually(t, "the program stands", func() bool { return d.told("begun") != "" })
	if w := d.waits(t); w.Waiting != sessions*each || w.Lost != 0 || !w.Read || d.told("told") != "" {
		t.Errorf("the status has %+v, and told is %q", w, d.told("told"))
	}
	open, err := os.OpenFile(gate, os.O_RDWR, 0) // from now on it reads at once
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if _, err := io.WriteString(open, strings.Repeat("\n", sessions*each)); err != nil {
		t.Fatal(err)
	}
	d.allTold(t)
	if got := strings.Count(d.told("told"), "\n"); got != sessions*each {
		t.Errorf("%d are told", got)
	}
}

// TestUploadsAreTold kills daemon and uploadscript again and again while sixteen
// sessions store. Each upload that a client was told is there is told to the
// program.
func TestUploadsAreTold(t *testing.T) {
	t.Parallel()
	d := startSite(t, "CallUploadScript yes")
	const script = `echo "$1" >>$D/told`
	u := d.uploadScript(t, script)
	const rounds, sessions, each = 4, 16, 12
	acked := make(map[string]bool)
	for round := range rounds {
		var mu sync.Mutex
		var acks atomic.Int64
		var all sync.WaitGroup
		killed := make(chan struct{})
		for w := range sessions {
			all.Go(func() {
				c, err := loginFTP(d.port4, "alice")
				if err != nil {
					return // the daemon is gone
				}
				defer c.Close()
				for i := range each {
					name := fmt.Sprintf("%d-%d-%d", round, w, i)
					if c.store(name, strings.NewReader(name)) != nil {
						return
					}
					mu.Lock()
					acked[d.path(name)] = true
					mu.Unlock()
					switch acks.Add(1) {
					case sessions:
						_ = u.cmd.Process.Kill()
						close(killed)
					case sessions * each / 2:
						_ = d.cmd.Process.Kill()
					}
				}
			})
		}
		<-killed
		<-u.done
		u = d.uploadScript(t, script)
		all.Wait()
		<-d.exited
		d.start(t)
	}
	if len(acked) < rounds*sessions*each/2 {
		t.Errorf("only %d uploads came to an end", len(acked))
	}
	d.allTold(t)
	told := make(map[string]bool)
	twice := 0
	for path := range strings.Lines(d.told("told")) {
		path = strings.TrimSuffix(path, "\n")
		if told[path] {
			twice++
		}
		told[path] = true
	}
	for _, path := range slices.Sorted(maps.Keys(acked)) {
		if !told[path] {
			t.Errorf("%s was stored, and nobody is told", path)
		}
	}
	if twice > 2*rounds {
		t.Errorf("%d are told more than once; only what is under way at a kill may be", twice)
	}
	t.Logf("%d acknowledged, %d told, %d of them twice", len(acked), len(told), twice)
}

// pureUploadScript runs Debian's program, which has its files at fixed places:
// for it, those are in the folder of the site.
func (d *site) pureUploadScript(t *testing.T, script string) *teller {
	t.Helper()
	needs(t, "unshare", "pure-uploadscript")
	cmd := exec.Command("unshare", "-m", "sh", "-c", `mount --bind "$1" /var/run && exec pure-uploadscript -r "$1/script"`, "sh", d.dir)
	return d.tellUploads(t, script, cmd)
}

// TestUploadPipe has Debian's pure-uploadscript read from this server, and lets
// either of them end and come back.
func TestUploadPipe(t *testing.T) {
	t.Parallel()
	d := newSite(t, nil)
	pipe := filepath.Join(d.dir, "pure-ftpd.upload.pipe")
	d.configure(t, "CallUploadScript yes", "UploadPipe "+pipe)
	d.start(t)
	c := dialFTP(t, d, "alice")
	store := func(names ...string) (want string) {
		t.Helper()
		for _, name := range names {
			if err := c.store(name, strings.NewReader("12345")); err != nil {
				t.Fatal(err)
			}
			want += d.path(name) + " alice 5 644\n"
		}
		return want
	}
	const script = `echo "$1 $UPLOAD_VUSER $UPLOAD_SIZE $UPLOAD_PERMS" >>$D/told`
	want := store("a b", "$(x)", "-c") // nobody is there, and nobody waits
	if os.Getuid() != 0 {
		// Only root can start that program. What anybody can see is what it would read.
		f, err := os.Open(pipe)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		want := "\x02alice\x01" + d.path("a b") + "\x00\x02alice\x01" + d.path("$(x)") + "\x00\x02alice\x01" + d.path("-c") + "\x00"
		got := make([]byte, len(want))
		if _, err := io.ReadFull(f, got); err != nil || string(got) != want {
			t.Errorf("the pipe has %q, %v", got, err)
		}
		d.allTold(t)
		return
	}
	u := d.pureUploadScript(t, script)
	came := func() bool { return d.told("told") == want }
	eventually(t, "all are told", came)
	d.allTold(t)
	u.end(syscall.SIGKILL)
	want += store("d", "e")
	c.Close()
	d.cmd.Process.Kill()
	<-d.exited
	d.start(t)
	c = dialFTP(t, d, "alice")
	want += store("f")
	d.pureUploadScript(t, script)
	eventually(t, "all are told by another one", came)
	want += store("g")
	eventually(t, "and what comes then", came)
	d.allTold(t)
}

// TestUploadDoor runs pure-uploadscript of ours as Pure-FTPd's is run, in the
// background.
func TestUploadDoor(t *testing.T) {
	t.Parallel()
	d := startSite(t, "CallUploadScript yes")
	door := filepath.Join(linked(t), "pure-uploadscript")
	script, pidFile := filepath.Join(d.dir, "script"), filepath.Join(d.dir, "pid")
	writeFile(t, script, []byte("#!/bin/sh\necho \"$1 $"+readyVariable+"\" >>"+d.dir+"/told\n"))
	if err := os.Chmod(script, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := d.program(t)
	run := func(args ...string) *exec.Cmd {
		run := exec.Command(door, args...)
		run.Dir, run.Env = cmd.Dir, cmd.Env
		return run
	}
	if out, err := run("-B", "-r", script, "-p", pidFile).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	pid := strings.TrimSpace(d.told("pid"))
	t.Cleanup(func() { _ = exec.Command("kill", "-9", pid).Run() })
	if err := dialFTP(t, d, "alice").store("a", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is told", func() bool { return d.told("told") != "" })
	if told := d.told("told"); told != d.path("a")+" \n" { // and no more: the variable is ours
		t.Errorf("it is told %q", told)
	}
	second := run("-B", "-r", script, "-p", pidFile)
	if out, err := second.CombinedOutput(); second.ProcessState.ExitCode() != exitUploadScript {
		t.Errorf("a second one: %v: %s", err, out)
	}
	if out, err := exec.Command("kill", pid).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	eventually(t, "the file with its process id is gone", func() bool { _, err := os.Stat(pidFile); return err != nil })
}
