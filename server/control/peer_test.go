package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
)

func TestAccess(t *testing.T) {
	own := os.Geteuid()
	a := Access{
		Read:   Who{Users: []int{501}, Groups: []int{60}},
		Change: Who{Users: []int{502}, Groups: []int{70}},
	}
	for _, test := range []struct {
		name         string
		peer         Peer
		read, change bool
	}{
		{"root", Peer{UID: 0, Groups: []int{0}}, true, true},
		{"own user", Peer{UID: own, Groups: []int{999}}, true, true},
		{"reading user", Peer{UID: 501, Groups: []int{501}}, true, false},
		{"reading group", Peer{UID: 600, Groups: []int{60}}, true, false},
		{"reading group among others", Peer{UID: 600, Groups: []int{1, 2, 60}}, true, false},
		{"changing user", Peer{UID: 502}, true, true},
		{"changing group", Peer{UID: 600, Groups: []int{5, 70}}, true, true},
		{"stranger", Peer{UID: 600, Groups: []int{600, 61, 71}}, false, false},
		{"group of a user's number", Peer{UID: 600, Groups: []int{501, 502}}, false, false},
		{"group root is not root", Peer{UID: 600, Groups: []int{0}}, false, false},
	} {
		if r, c := a.mayRead(test.peer), a.mayChange(test.peer); r != test.read || c != test.change {
			t.Errorf("%s: reads %v, changes %v, want %v, %v", test.name, r, c, test.read, test.change)
		}
	}
	if (Access{}).mayRead(Peer{UID: own + 1}) {
		t.Error("without rules a stranger may read")
	}
}

// A visit is what one process was told, by its errors' texts.
type visit struct{ Read, Kick, KickAll, Abort, Reload string }

func visitAs(c *Client) (v visit) {
	text := func(err error) string {
		switch {
		case err == nil:
			return "ok"
		case errors.Is(err, ErrDenied):
			return "denied"
		}
		return err.Error()
	}
	ctx := context.Background()
	_, err := c.Sessions(ctx, Filter{})
	v.Read = text(err)
	v.Kick = text(c.Kick(ctx, 1, ""))
	_, err = c.KickAll(ctx, Filter{User: "ann"}, "")
	v.KickAll = text(err)
	v.Abort = text(c.Abort(ctx, 3))
	_, err = c.Reload(ctx)
	v.Reload = text(err)
	return v
}

// TestMain lets the test binary be the client that another user runs.
func TestMain(m *testing.M) {
	if socket := os.Getenv("VISIT_SOCKET"); socket != "" {
		if json.NewEncoder(os.Stdout).Encode(visitAs(&Client{Socket: socket})) != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestPeers asks as several users. Only root can become them; anybody else finds
// that he is let in to his own daemon.
func TestPeers(t *testing.T) {
	const group, changers, stranger = 54001, 54002, 54003
	all := visit{"ok", "ok", "ok", "ok", "ok"}
	none := visit{"denied", "denied", "denied", "denied", "denied"}
	reads := visit{"ok", "denied", "denied", "denied", "denied"}

	d := start(t, func(s *Server) {
		s.Access = Access{Read: Who{Groups: []int{group}}, Change: Who{Groups: []int{changers}, Users: []int{54999}}}
		s.Reload = func(context.Context) (Reloaded, error) { return Reloaded{}, nil }
	})
	d.five(t)
	if got := visitAs(d.client(t)); got != all {
		t.Errorf("own user: %+v, want %+v", got, all)
	}
	if os.Getuid() != 0 || runtime.GOOS != "linux" {
		return
	}
	if err := os.Chmod(filepath.Dir(filepath.Dir(d.socket)), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		mode os.FileMode // of the socket, whose group is group
		cred syscall.Credential
		want visit
	}{
		{"root", 0o660, syscall.Credential{}, all},
		{"stranger, kept out by the mode", 0o660, syscall.Credential{Uid: 54100, Gid: stranger}, none},
		{"stranger, let in by the mode", 0o666, syscall.Credential{Uid: 54100, Gid: stranger}, none},
		{"member by effective group", 0o660, syscall.Credential{Uid: 54100, Gid: group}, reads},
		{"member by supplementary group", 0o660, syscall.Credential{Uid: 54100, Gid: stranger, Groups: []uint32{7, group}}, reads},
		{"member of very many", 0o660, syscall.Credential{Uid: 54100, Gid: stranger, Groups: append(numbers(200), group)}, reads},
		{"changer", 0o660, syscall.Credential{Uid: 54100, Gid: changers, Groups: []uint32{group}}, all},
		{"changer by supplementary group", 0o660, syscall.Credential{Uid: 54100, Gid: group, Groups: []uint32{changers}}, all},
		{"changer by uid", 0o666, syscall.Credential{Uid: 54999, Gid: stranger}, all},
	} {
		if err := os.Chown(d.socket, -1, group); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(d.socket, test.mode); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("/proc/self/exe") // by this path, as the folder of the test binary is private
		cmd.Env = []string{"VISIT_SOCKET=" + d.socket, "GORACE=atexit_sleep_ms=0"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &test.cred}
		cmd.Dir = "/"
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		var got visit
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatalf("%s: %v in %s", test.name, err, out)
		}
		if got != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}

func numbers(n int) (all []uint32) {
	for k := range n {
		all = append(all, uint32(60000+k))
	}
	return all
}

func TestOwnCredentials(t *testing.T) {
	var got Peer
	l, err := Listen(filepath.Join(t.TempDir(), "s"), 0o600, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error)
	go func() {
		conn, err := limit(l, 1).Accept()
		if err == nil {
			got, err = peerOf(conn)
			conn.Close()
		}
		done <- err
	}()
	us, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer us.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	groups, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	if got.UID != os.Getuid() || got.Groups[0] != os.Getgid() {
		t.Errorf("peer is %+v, we are %d:%d", got, os.Getuid(), os.Getgid())
	}
	if runtime.GOOS == "linux" && got.PID != os.Getpid() {
		t.Errorf("pid is %d, want %d", got.PID, os.Getpid())
	}
	for _, gid := range groups {
		if !slices.Contains(got.Groups, gid) {
			t.Errorf("groups %v lack %d", got.Groups, gid)
		}
	}
	if want := fmt.Sprintf("[uid=%d pid=%d]", got.UID, got.PID); got.LogValue().String() != want {
		t.Errorf("logged as %v, want %s", got.LogValue(), want)
	}
}
