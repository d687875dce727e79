package userdb

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// childJob in the environment makes the test binary a second process that works
// on the database named by childDB.
const (
	childJob = "USERDB_TEST_JOB"
	childDB  = "USERDB_TEST_DB"
)

func TestMain(m *testing.M) {
	switch job := os.Getenv(childJob); job {
	case "":
		os.Exit(run(m))
	case "count":
		childCount(At(os.Getenv(childDB)))
	case "churn":
		childChurn(At(os.Getenv(childDB)))
	case "rewrite":
		childRewrite(At(os.Getenv(childDB)))
	default:
		fmt.Fprintf(os.Stderr, "no job is called %q\n", job)
		os.Exit(2)
	}
}

func run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "userdb")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	benchFolder = folder
	return m.Run()
}

// child returns a command that does a job in a process of its own.
func child(job string, db DB) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childJob+"="+job, childDB+"="+db.Path())
	cmd.Stderr = os.Stderr
	return cmd
}

const counts = 150

func childCount(db DB) {
	for range counts {
		if err := db.Modify("counter", func(u *User) error { u.MaxSessions++; return nil }); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if err := db.AddUsage("counter", Usage{1, 10}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// Two processes, and this one, change one user: no change is lost.
func TestProcessesTogether(t *testing.T) {
	db := testDB(t, "counter")
	var cmds []*exec.Cmd
	for range 2 {
		cmd := child("count", db)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		cmds = append(cmds, cmd)
	}
	for range counts {
		if err := db.Modify("counter", func(u *User) error { u.MaxSessions++; return nil }); err != nil {
			t.Error(err)
		}
		if _, err := db.Get("counter"); err != nil {
			t.Error(err)
		}
	}
	for _, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	u, err := db.Get("counter")
	if err != nil || u.MaxSessions != 3*counts {
		t.Errorf("counted %d, %v; want %d", u.MaxSessions, err, 3*counts)
	}
	if usage, err := db.Usage("counter"); err != nil || usage != (Usage{2 * counts, 20 * counts}) {
		t.Errorf("usage is %+v, %v", usage, err)
	}
}

// childChurn adds, changes and removes users until it is killed. It says each
// change on standard output once the method has returned.
func childChurn(db DB) {
	run := rand.Uint32()
	for i := 0; ; i++ {
		name := fmt.Sprintf("u%08x-%d", run, i)
		u := least(name)
		u.Gecos = strings.Repeat("x", i%700)
		steps := []func() error{
			func() error { return db.Add(u) },
			func() error { return db.Modify(name, func(u *User) error { u.MaxSessions = i + 1; return nil }) },
		}
		if i%3 == 0 {
			steps = append(steps, func() error { return db.Remove(name) })
		}
		for n, step := range steps {
			if err := step(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			fmt.Printf("%s %d %d\n", name, n, i+1)
		}
	}
}

// A writer that is killed at any moment leaves a database that opens, without
// waiting, and that has every change it was told of. The first round begins
// without a database.
func TestKilledWriter(t *testing.T) {
	db := testDB(t)
	type state struct{ step, sessions int }
	known := make(map[string]state)
	for round := range 20 {
		cmd := child("churn", db)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		changes := rand.IntN(40)
		sc := bufio.NewScanner(out)
		for n := 0; sc.Scan(); n++ {
			var name string
			var s state
			if _, err := fmt.Sscanf(sc.Text(), "%s %d %d", &name, &s.step, &s.sessions); err != nil {
				break // the last line may be cut
			}
			known[name] = s
			if n == changes {
				if err := cmd.Process.Kill(); err != nil { // and read on what it said before it died
					t.Fatal(err)
				}
			}
		}
		var dead *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &dead) || dead.Exited() {
			t.Fatalf("the writer was not killed, but: %v", err)
		}
		for name, s := range known {
			u, err := db.Get(name)
			// What was done last may have been done further, but not less.
			switch {
			case s.step == 2 && errors.Is(err, ErrNoUser):
			case s.step == 1 && err == nil && u.MaxSessions == s.sessions:
			case s.step == 1 && errors.Is(err, ErrNoUser) && (s.sessions-1)%3 == 0:
			case s.step == 0 && err == nil && (u.MaxSessions == 0 || u.MaxSessions == s.sessions):
			default:
				t.Fatalf("round %d: %s is known to be %+v, but is %d, %v", round, name, s, u.MaxSessions, err)
			}
		}
		checkTrail(t, db)
	}
	if len(known) < 20 {
		t.Errorf("only %d users: the writers did nothing", len(known))
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(db.Path()), ".users-*"))
	if err != nil || len(left) > 3 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

// childRewrite gives so many users that the file is replaced another comment, and
// another, until it is killed. It says on standard output how far it is.
func childRewrite(db DB) {
	for run := 1; ; run++ {
		e := db.Edits()
		for s, err := range db.Walk() {
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			s.User.Gecos = fmt.Sprintf("%s%d", s.User.Gecos, run%10)
			if err := e.Put(s, s.User); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
		err := e.Commit(func(n int) { fmt.Println(n) })
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println("done")
	}
}

// A writer of many users that is killed has changed all or none of them, and the
// trail says which.
func TestKilledRewriter(t *testing.T) {
	db := testDB(t)
	e := db.Edits()
	putAll(t, e, many(0, rebuildFrom)...)
	must(t, e.Commit(nil))
	for round := range 8 {
		cmd := child("rewrite", db)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		sc := bufio.NewScanner(out)
		for n := rand.IntN(12); sc.Scan(); n-- {
			if n == 0 {
				must(t, cmd.Process.Kill())
			}
		}
		var dead *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &dead) || dead.Exited() {
			t.Fatalf("the writer was not killed, but: %v", err)
		}
		first, err := db.Get(editable(0).Name)
		must(t, err)
		for u, err := range db.All() {
			if err != nil || u.Gecos != first.Gecos {
				t.Fatalf("round %d: %s is %q and %s %q, %v", round, u.Name, u.Gecos, first.Name, first.Gecos, err)
			}
		}
		list, err := db.History(Wanted{Most: 1})
		must(t, err)
		if list[0].Users() != rebuildFrom || !list[0].Whole {
			t.Fatalf("round %d: the trail has %+v", round, list[0])
		}
		for d := range list[0].raw() {
			if d.after["gecos"] != first.Gecos {
				t.Fatalf("round %d: %s is %q, by the trail %q", round, first.Name, first.Gecos, d.after["gecos"])
			}
		}
	}
}
