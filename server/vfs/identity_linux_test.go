package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"portreeve/userdb"
)

// As the package asks of every program that uses it.
func init() { runtime.LockOSThread() }

// TestWithoutRoot runs all tests again as an ordinary user.
func TestWithoutRoot(t *testing.T) {
	const marker = "VFS_TEST_WITHOUT_ROOT"
	if os.Getenv(marker) != "" || os.Getuid() != 0 {
		if os.Getuid() == 0 {
			t.Error("still root")
		}
		return
	}
	temp := publicDir(t)
	if err := os.Chmod(temp, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	// The binary lies where only root gets; this is another way to it.
	cmd := exec.Command("/proc/self/exe", "-test.run=^Test", "-test.short", "-test.v")
	cmd.Env = append(os.Environ(), marker+"=1", "TMPDIR="+temp, "GOCOVERDIR="+temp)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 12345, Gid: 12345}}
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Contains(string(out), "--- SKIP") || !strings.Contains(string(out), "--- PASS: TestOperations/") {
		t.Errorf("as uid 12345: %v\n%s", err, out)
	}
}

func TestIdentityIsRefused(t *testing.T) {
	home := publicDir(t)
	for _, as := range []Identity{{}, {UID: 0, GID: 1001}, {UID: -1, GID: -1}, {UID: 1001, GID: -1}} {
		f, err := Open(home, Options{As: &as, Caged: true})
		if !errors.Is(err, ErrIdentity) {
			t.Errorf("Open as %+v = %v, %v", as, f, err)
		}
	}
	own := &Identity{UID: os.Getuid(), GID: os.Getgid()}
	if own.UID == 0 {
		return
	}
	if _, err := Open(home, Options{As: own}); err != nil {
		t.Errorf("Open as ourselves: %v", err)
	}
	if _, err := Open(home, Options{As: joe}); !errors.Is(err, ErrIdentity) {
		t.Errorf("Open as somebody else, who we cannot be: %v", err)
	}
}

// TestStrangersFiles: what the process may and the user may not.
func TestStrangersFiles(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		if os.Getuid() != 0 || w.as == nil {
			return
		}
		w.must(os.WriteFile(w.home+"/private", []byte("x"), 0o600))
		w.must(os.WriteFile(w.home+"/group", []byte("x"), 0o640)) // of the process's group
		w.must(os.WriteFile(w.home+"/public", []byte("x"), 0o644))
		w.must(os.Mkdir(w.home+"/closed", 0o700))
		w.must(os.WriteFile(w.home+"/closed/f", []byte("x"), 0o644))
		w.must(os.Mkdir(w.home+"/open", 0o755))
		w.must(os.WriteFile(w.home+"/open/f", []byte("x"), 0o644))
		read := func(path string) error { _, err := w.fetch(path); return err }
		store := func(path string) error { return w.store(path, "x", How{}) }
		list := func(path string) error { _, err := w.fs.List(path, ListOptions{}); return err }
		for _, tc := range []struct {
			what string
			err  error
			want error
		}{
			{"read a private file", read("/private"), fs.ErrPermission},
			{"read a group's file", read("/group"), fs.ErrPermission},
			{"read a public file", read("/public"), nil},
			{"overwrite a public file", store("/public"), fs.ErrPermission},
			{"chmod a public file", w.fs.Chmod("/public", 0o666), fs.ErrPermission},
			{"enter a closed directory", w.fs.Chdir("/closed"), fs.ErrPermission},
			{"list a closed directory", list("/closed"), fs.ErrPermission},
			{"read in a closed directory", read("/closed/f"), fs.ErrPermission},
			{"store in an open directory", store("/open/new"), fs.ErrPermission},
			{"remove in an open directory", w.fs.Remove("/open/f"), fs.ErrPermission},
			{"make a directory there", w.fs.Mkdir("/open/new"), fs.ErrPermission},
			{"rename out of there", w.fs.Rename("/open/f", "/f"), fs.ErrPermission},
		} {
			wantErr(t, tc.what, tc.err, tc.want)
		}
		// With NoTruncate a rename would need the directory only.
		w.opts.NoTruncate = true
		w.open()
		wantErr(t, "replace a public file", store("/public"), fs.ErrPermission)
		if names := w.names("/", ListOptions{Hidden: true}); len(names) != 5 {
			t.Errorf("left behind: %q", names)
		}
	})
}

// TestTwoUsers works as two users at once, and as the process beside them.
func TestTwoUsers(t *testing.T) {
	if os.Getuid() != 0 {
		return // TestIdentityIsRefused has what is left to say
	}
	base := publicDir(t)
	shared := base + "/shared"
	if err := errors.Join(os.Mkdir(shared, 0o777), os.Chmod(shared, 0o777|fs.ModeSticky)); err != nil {
		t.Fatal(err)
	}
	users := []*Identity{{UID: 20001, GID: 20001}, {UID: 20002, GID: 20002, Groups: []int{20010}}}
	var wg, beside sync.WaitGroup
	stop := make(chan struct{})
	for i := range 2 {
		beside.Go(func() { processStays(t, filepath.Join(base, fmt.Sprint("process", i)), stop) })
	}
	for _, user := range users {
		for worker := range 4 {
			wg.Go(func() {
				if err := workAs(shared, user, worker); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	close(stop)
	beside.Wait()
}

// workAs creates, reads, renames and deletes as user, and checks owners and
// refusals; it returns nil if all was right.
func workAs(shared string, user *Identity, worker int) error {
	f, err := Open(shared, Options{As: user, Caged: true, Perms: userdb.AllPerms,
		FileUmask: 0o177, DirUmask: 0o077, NoTruncate: worker%2 == 0})
	if err != nil {
		return err
	}
	defer f.Close()
	for i := range 300 {
		dir := fmt.Sprintf("/%d-%d-%d", user.UID, worker, i)
		if err := f.Mkdir(dir); err != nil {
			return err
		}
		u, err := f.Write(dir+"/a", How{})
		if err == nil {
			err = finish(u, dir)
		}
		if err == nil {
			err = f.Rename(dir+"/a", dir+"/b")
		}
		if err != nil {
			return err
		}
		file, in, err := f.Read(dir + "/b")
		if err != nil {
			return err
		}
		file.Close()
		parent, err := f.Stat(dir)
		if err != nil {
			return err
		}
		if in.UID != user.UID || in.GID != user.GID || parent.UID != user.UID || parent.GID != user.GID {
			return fmt.Errorf("%s belongs to %d:%d in a directory of %d:%d", dir, in.UID, in.GID, parent.UID, parent.GID)
		}
		if err := refused(f, user, worker, i); err != nil {
			return err
		}
		if i%2 == 0 {
			continue // stays, for others to try their hands on
		}
		if err := errors.Join(f.Remove(dir+"/b"), f.RemoveDir(dir)); err != nil {
			return err
		}
	}
	return nil
}

// refused tries what the other user has or had there.
func refused(f *FS, user *Identity, worker, i int) error {
	other := fmt.Sprintf("/%d-%d-%d", 40003-user.UID, worker, i)
	_, _, read := f.Read(other + "/b")
	_, store := f.Write(other+"/c", How{})
	_, list := f.List(other, ListOptions{})
	for _, err := range []error{read, store, list, f.Chdir(other), f.RemoveDir(other), f.Rename(other, other+"x"), f.Chmod(other, 0o777)} {
		if !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("user %d was not kept off %s: %w", user.UID, other, err)
		}
	}
	return nil
}

// processStays checks that what goes on beside the users is done by the
// process.
func processStays(t *testing.T, name string, stop chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			if i == 0 {
				t.Error("nothing was checked")
			}
			return
		default:
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Error(err)
			return
		}
		in, err := os.Stat(name)
		if err != nil {
			t.Error(err)
			return
		}
		if sys := in.Sys().(*syscall.Stat_t); sys.Uid != 0 || sys.Gid != 0 {
			t.Errorf("a file of the process belongs to %d:%d", sys.Uid, sys.Gid)
			return
		}
		os.Remove(name)
		runtime.Gosched()
	}
}

// threads returns how many threads have the file-system uid.
func threads(t *testing.T, uid int) (n int) {
	tasks, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		status, err := os.ReadFile(task)
		if err != nil {
			continue // it has just ended
		}
		for line := range strings.Lines(string(status)) {
			if ids := strings.Fields(line); ids[0] == "Uid:" && ids[4] == fmt.Sprint(uid) {
				n++
			}
		}
	}
	return n
}

// TestIdentityIsGivenBack: whatever the job does.
func TestIdentityIsGivenBack(t *testing.T) {
	if os.Getuid() != 0 {
		return
	}
	who := &Identity{UID: 20003, GID: 20003}
	a, _, err := actAs(who)
	if err != nil {
		t.Fatal(err)
	}
	inside := 0
	job := func() error { inside = threads(t, who.UID); return nil }
	if err := a.do(job); err != nil || inside != 1 {
		t.Errorf("%d threads were the user: %v", inside, err)
	}
	failed := errors.New("failed")
	if err := a.do(func() error { return failed }); err != failed {
		t.Errorf("do = %v", err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		defer func() { recover() }()
		a.do(func() error { panic("in a job") })
	})
	wg.Go(func() { a.do(func() error { runtime.Goexit(); return nil }) })
	wg.Wait()
	if n := threads(t, who.UID); n != 0 {
		t.Errorf("%d threads are still the user", n)
	}
}

// TestLostThreadDies: a thread that cannot be given back is not used again.
func TestLostThreadDies(t *testing.T) {
	if os.Getuid() != 0 {
		return
	}
	// There is no id -1, so nobody can become that again.
	who := Identity{UID: 20004, GID: 20004}
	a := &threadActor{user: who, own: Identity{UID: -1, GID: -1}}
	for range 4 {
		var wg sync.WaitGroup
		wg.Go(func() {
			ran := false
			err := a.do(func() error { ran = true; return nil })
			if !ran || !errors.Is(err, ErrIdentity) {
				t.Errorf("do = %v, ran %t", err, ran)
			}
		})
		wg.Wait()
	}
	for try := 0; threads(t, who.UID) != 0; try++ { // the kernel takes its time
		if try == 10000 {
			t.Fatal("threads are left over")
		}
		runtime.Gosched()
	}
}

func TestCapabilitiesAreNoticed(t *testing.T) {
	err := new(threadActor).fit()
	if os.Getuid() == 0 && !errors.Is(err, ErrIdentity) {
		t.Errorf("root has no capabilities over files: %v", err)
	}
	if os.Getuid() != 0 && err != nil {
		t.Errorf("an ordinary user has capabilities: %v", err)
	}
}

// TestSameGroups: groups are left as they are only where that gives the user
// none besides his own.
func TestSameGroups(t *testing.T) {
	for _, tt := range []struct {
		user, process Identity
		want          bool
	}{
		{Identity{GID: 7}, Identity{}, true},
		{Identity{GID: 7, Groups: []int{7}}, Identity{}, true},
		{Identity{GID: 7, Groups: []int{7}}, Identity{GID: 0, Groups: []int{0}}, false}, // root's
		{Identity{GID: 7}, Identity{Groups: []int{7}}, true},
		{Identity{GID: 7, Groups: []int{8}}, Identity{}, false},
		{Identity{GID: 7, Groups: []int{9, 8, 7, 8}}, Identity{Groups: []int{8, 9}}, true},
		{Identity{GID: 7}, Identity{Groups: []int{8}}, false},
	} {
		if got := sameGroups(tt.user, tt.process); got != tt.want {
			t.Errorf("%+v in a process of %+v: %v", tt.user, tt.process, got)
		}
	}
}
