//go:build unix

package vfs

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"portreeve/userdb"
)

// killedSize is that of each upload in the test that follows.
const killedSize = 200_000

// TestKilled kills a process in the middle of uploads: what it acknowledged is
// there, whole, and under a final name there is nothing else.
func TestKilled(t *testing.T) {
	const marker = "VFS_TEST_KILLED"
	opts := Options{Caged: true, Perms: userdb.AllPerms, FileUmask: 0o133, DirUmask: 0o022, NoTruncate: true}
	if home := os.Getenv(marker); home != "" {
		storeForEver(home, opts)
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/proc/self/exe"); err == nil {
		exe = "/proc/self/exe" // also for a user who cannot get where it lies
	}
	home := t.TempDir()
	if err := os.Mkdir(home+"/d", 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), marker+"="+home)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	acked := map[string]int{} // name and its latest generation
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var name string
		var generation int
		if _, err := fmt.Sscan(lines.Text(), &name, &generation); err != nil {
			t.Errorf("it said %q", lines.Text())
			break
		}
		acked[name] = generation
		if generation == 3 {
			cmd.Process.Kill() // goes on reading what it said before
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
	if len(acked) < 8 {
		t.Fatalf("only %d uploads were acknowledged", len(acked))
	}
	leftovers := checkKilled(t, home, acked)

	f, err := Open(home, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l, err := f.List("/d", ListOptions{Hidden: true})
	if err != nil {
		t.Fatal(err)
	}
	for e := range l.Entries() {
		if err := f.Remove("/d/" + e.Name); err != nil {
			t.Errorf("listed, but: %v", err)
		}
	}
	long := time.Now().Add(-2 * leftoverAge)
	for _, name := range leftovers {
		if err := os.Chtimes(home+"/d/"+name, long, long); err != nil {
			t.Error(err)
		}
	}
	if err := f.RemoveDir("/d"); err != nil {
		t.Errorf("%d hidden files are left: %v", len(leftovers), err)
	}
}

// checkKilled returns the names of hidden files.
func checkKilled(t *testing.T, home string, acked map[string]int) (leftovers []string) {
	entries, err := os.ReadDir(home + "/d")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if isLeftover(e.Name()) {
			leftovers = append(leftovers, e.Name())
			continue
		}
		b, err := os.ReadFile(home + "/d/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if len(b) != killedSize || strings.Trim(string(b), string(b[:1])) != "" {
			t.Errorf("%s holds %d bytes of no single upload", e.Name(), len(b))
			continue
		}
		if generation := int(b[0] - '0'); generation < acked[e.Name()] {
			t.Errorf("%s is of generation %d, but %d was acknowledged", e.Name(), generation, acked[e.Name()])
		}
		delete(acked, e.Name())
	}
	if len(acked) != 0 {
		t.Errorf("acknowledged and lost: %v", acked)
	}
	return leftovers
}

// storeForEver stores the same names again and again, until it is killed, and
// says what is complete.
func storeForEver(home string, opts Options) {
	f, err := Open(home, opts)
	if err != nil {
		fmt.Println(err)
		return
	}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for generation := range 9 {
				for i := range 8 {
					name := fmt.Sprintf("%d-%d", worker, i)
					u, err := f.Write("/d/"+name, How{})
					for range 20 {
						if err == nil {
							_, err = u.File().WriteString(strings.Repeat(string(rune('0'+generation)), killedSize/20))
						}
					}
					if err == nil {
						err = u.Commit()
					}
					if err != nil {
						fmt.Println(err)
						return
					}
					os.Stdout.WriteString(fmt.Sprintln(name, generation))
				}
			}
		})
	}
	wg.Wait()
}
