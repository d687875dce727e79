package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"portreeve/userdb"
)

// A terminal is a pseudo-terminal with a program at its other end.
type terminal struct {
	t      *testing.T
	master *os.File
	slave  *os.File
	seen   strings.Builder
	output chan string
}

// openTerminal makes a terminal of that many columns.
func openTerminal(t *testing.T, width uint16) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: width})
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	tty := &terminal{t: t, master: master, slave: slave, output: make(chan string)}
	go func() {
		defer close(tty.output)
		for {
			b := make([]byte, 4096)
			n, err := master.Read(b)
			if err != nil {
				return
			}
			tty.output <- string(b[:n])
		}
	}()
	t.Cleanup(func() {
		slave.Close()
		master.Close()
		for range tty.output { //nolint:revive // until its reader is gone
		}
	})
	return tty
}

// start runs the program with the terminal as its own.
func (tty *terminal) start(db string, args ...string) *exec.Cmd {
	tty.t.Helper()
	cmd := exec.Command("portreeve", args...)
	cmd.Env = append(os.Environ(), "PORTREEVE_DB="+db, "GORACE=atexit_sleep_ms=0")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty.slave, tty.slave, tty.slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		tty.t.Fatal(err)
	}
	return cmd
}

// expect waits until the terminal shows text that it did not show before.
func (tty *terminal) expect(text string) {
	tty.t.Helper()
	deadline := time.After(30 * time.Second)
	from := tty.seen.Len()
	for !strings.Contains(tty.seen.String()[from:], text) {
		select {
		case s := <-tty.output:
			tty.seen.WriteString(s)
		case <-deadline:
			tty.t.Fatalf("the terminal shows no %q, but %q", text, tty.seen.String())
		}
	}
}

// echoes tells whether the terminal shows what is typed.
func (tty *terminal) echoes() bool {
	state, err := unix.IoctlGetTermios(int(tty.slave.Fd()), unix.TCGETS)
	if err != nil {
		tty.t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// typeBlind types text as soon as the terminal has stopped showing it.
func (tty *terminal) typeBlind(text string) {
	tty.t.Helper()
	deadline, tick := time.After(30*time.Second), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for tty.echoes() {
		select {
		case <-tick.C:
		case <-deadline:
			tty.t.Fatal("the terminal still shows what is typed")
		}
	}
	if _, err := tty.master.WriteString(text); err != nil {
		tty.t.Fatal(err)
	}
}

// rest waits for the program's end and returns all that was shown.
func (tty *terminal) rest(cmd *exec.Cmd) (shown string, code int) {
	tty.t.Helper()
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case s := <-tty.output:
			tty.seen.WriteString(s)
			continue
		case err := <-done:
			if failed, ok := errors.AsType[*exec.ExitError](err); ok {
				code = failed.ExitCode()
			} else if err != nil {
				tty.t.Fatal(err)
			}
		}
		// What was shown last may still be on its way: mark its end.
		fmt.Fprint(tty.slave, "\x04end")
		tty.expect("\x04end")
		return strings.ReplaceAll(tty.seen.String(), "\x04end", ""), code
	}
}

func TestPasswordOnATerminal(t *testing.T) {
	db := filepath.Join(t.TempDir(), "users.db")
	tty := openTerminal(t, 80)
	cmd := tty.start(db, "pw", "useradd", "alice", "-u", "1001", "-g", "1001", "-d", "/", "--cost", "10,8,1")
	for _, step := range []struct{ prompt, typed string }{
		{"Password: ", "swordfish\n"}, {"Enter it again: ", "xyzzy\n"},
		{"Password: ", "swordfish\n"}, {"Enter it again: ", "swordfish\n"},
	} {
		tty.expect(step.prompt)
		tty.typeBlind(step.typed)
	}
	shown, code := tty.rest(cmd)
	if code != exitDone || !strings.Contains(shown, "user alice added") {
		t.Fatalf("exit code %d, and the terminal shows %q", code, shown)
	}
	if strings.Contains(shown, "swordfish") || strings.Contains(shown, "xyzzy") {
		t.Errorf("the terminal shows the password: %q", shown)
	}
	if strings.Count(shown, "You didn't enter the same password") != 1 {
		t.Errorf("the mismatch is not told once: %q", shown)
	}
	if !tty.echoes() {
		t.Error("the terminal is left without echo")
	}
	u, err := userdb.At(db).Get("alice")
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := userdb.Verify(u.Password, "swordfish", 1<<30); !ok || err != nil {
		t.Errorf("the password does not verify: %v", err)
	}
}

func TestPasswordIsInterruptedOnATerminal(t *testing.T) {
	db := filepath.Join(t.TempDir(), "users.db")
	tty := openTerminal(t, 80)
	cmd := tty.start(db, "pw", "useradd", "alice", "-u", "1001", "-g", "1001", "-d", "/")
	tty.expect("Password: ")
	tty.typeBlind("\x03") // Ctrl-C
	shown, code := tty.rest(cmd)
	if code != exitFailed || !strings.Contains(shown, "interrupted; nothing was changed") {
		t.Errorf("exit code %d, and the terminal shows %q", code, shown)
	}
	if !tty.echoes() {
		t.Error("the terminal is left without echo")
	}
	if _, err := os.Stat(db); err == nil {
		t.Error("a database was made")
	}
}

func TestListOnATerminal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.db")
	for _, u := range []userdb.User{
		{Name: "alice", Home: "/home/alice", Gecos: "Alice"},
		{Name: "bob", Home: "/srv/a/very/long/path/that/is/wider/than/its/column", Gecos: "A full name that does not fit on the line"},
		{Name: "許功蓋", Home: "/srv/檔案", Gecos: "許"},
	} {
		u.UID, u.GID = 1001, 1001
		if err := userdb.At(path).Add(u); err != nil {
			t.Fatal(err)
		}
	}
	tty := openTerminal(t, 80)
	shown, code := tty.rest(tty.start(path, "pw", "list"))
	want := "alice               /home/alice                             Alice\r\n" +
		"bob                 /srv/a/very/long/path/that/is/wider/than/its/column A full …\r\n" +
		"許功蓋              /srv/檔案                               許\r\n"
	if code != exitDone || shown != want {
		t.Errorf("exit code %d, shown\n%swant\n%s", code, shown, want)
	}
	for line := range strings.Lines(shown) {
		if n := columns(strings.TrimRight(line, "\r\n")); n > 80 {
			t.Errorf("a line of %d columns: %s", n, line)
		}
	}
}
