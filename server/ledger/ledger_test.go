package ledger

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"portreeve/userdb"
)

// fakeFiles say what they are told to.
type fakeFiles struct {
	mu      sync.Mutex
	counted userdb.Usage
	fault   error
	file    string
	wrote   []userdb.Usage
	wait    chan struct{} // nil: counting takes no time
	counts  int
}

func (f *fakeFiles) Count(ctx context.Context, _ func(userdb.Usage)) (userdb.Usage, error) {
	if f.wait != nil {
		select {
		case <-f.wait:
		case <-ctx.Done():
			return userdb.Usage{}, ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts++
	return f.counted, f.fault
}

func (f *fakeFiles) ReadUsage() (u userdb.Usage, err error) {
	switch f.file {
	case "":
		return u, fs.ErrNotExist
	case "garbage":
		return u, errors.New("garbage")
	}
	return userdb.Usage{Files: 7, Bytes: 70}, nil
}

func (f *fakeFiles) WriteUsage(u userdb.Usage) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wrote = append(f.wrote, u)
	return nil
}

// testDB has the user alice.
func testDB(t *testing.T) userdb.DB {
	t.Helper()
	db := userdb.At(filepath.Join(t.TempDir(), "users.db"))
	u := userdb.New("alice")
	u.UID, u.GID, u.Home = 1000, 1000, "/"
	if err := db.Add(u); err != nil {
		t.Fatal(err)
	}
	return db
}

func limits(files, bytes int64) Limits {
	return Limits{Files: userdb.LimitOf(files), Bytes: userdb.LimitOf(bytes)}
}

func open(t *testing.T, l *Ledger, db userdb.DB, files Files, with Limits) *Account {
	t.Helper()
	a := l.Open(db, "alice")
	a.Use(files, with)
	return a
}

func begin(t *testing.T, a *Account) {
	t.Helper()
	if err := a.Begin(); err != nil {
		t.Fatal(err)
	}
}

func tally(t *testing.T, db userdb.DB) userdb.Tally {
	t.Helper()
	tally, err := db.Tally("alice")
	if err != nil {
		t.Fatal(err)
	}
	return tally
}

// What is known is what the database says, then .ftpquota, then the files.
func TestFirstUse(t *testing.T) {
	for _, tc := range []struct {
		name   string
		files  *fakeFiles
		before func(db userdb.DB) error
		want   userdb.Usage
		counts int
		said   string
	}{
		{"nothing", &fakeFiles{}, nil, userdb.Usage{}, 1, "counted"},
		{"files", &fakeFiles{counted: userdb.Usage{Files: 3, Bytes: 30}}, nil, userdb.Usage{Files: 3, Bytes: 30}, 1, "counted"},
		{".ftpquota", &fakeFiles{file: "7 70"}, nil, userdb.Usage{Files: 7, Bytes: 70}, 0, "taken over"},
		{"garbage in .ftpquota", &fakeFiles{file: "garbage", counted: userdb.Usage{Files: 1, Bytes: 1}}, nil, userdb.Usage{Files: 1, Bytes: 1}, 1, "until the files are counted"},
		{"database", &fakeFiles{file: "7 70"}, func(db userdb.DB) error {
			return db.SetUsage("alice", userdb.Usage{Files: 2, Bytes: 20}, "")
		}, userdb.Usage{Files: 2, Bytes: 20}, 0, ""},
		{"a writer that died", &fakeFiles{file: "7 70", counted: userdb.Usage{Files: 9, Bytes: 90}}, func(db userdb.DB) error {
			if err := db.SetUsage("alice", userdb.Usage{Files: 2, Bytes: 20}, ""); err != nil {
				return err
			}
			_, err := db.BeginWriting("another", []string{"alice"})
			return err
		}, userdb.Usage{Files: 9, Bytes: 90}, 1, "counted"},
		{"files that cannot be seen", &fakeFiles{counted: userdb.Usage{Files: 1, Bytes: 10}, fault: fs.ErrPermission}, func(db userdb.DB) error {
			if err := db.SetUsage("alice", userdb.Usage{Files: 2, Bytes: 20}, ""); err != nil {
				return err
			}
			_, err := db.BeginWriting("another", []string{"alice"})
			return err
		}, userdb.Usage{Files: 2, Bytes: 20}, 1, "could not be counted"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			db, log := testDB(t), new(strings.Builder)
			if tc.before != nil {
				if err := tc.before(db); err != nil {
					t.Fatal(err)
				}
			}
			l := New(slog.New(slog.NewTextHandler(log, nil)))
			a := open(t, l, db, tc.files, limits(100, 1000))
			begin(t, a)
			if got, known := a.Usage(); got != tc.want || !known {
				t.Errorf("%+v, %v, not %+v", got, known, tc.want)
			}
			a.End()
			a.Part(tc.files)
			a.Close()
			l.Close()
			if tc.files.counts != tc.counts || !strings.Contains(log.String(), tc.said) {
				t.Errorf("counted %d times\n%s", tc.files.counts, log)
			}
			if got := tally(t, db); got != (userdb.Tally{Usage: tc.want, Counted: true}) {
				t.Errorf("the database has %+v", got)
			}
		})
	}
}

// Nothing changes while files are counted.
func TestCountingFailsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := testDB(t)
		l := New(slog.New(slog.DiscardHandler))
		files := &fakeFiles{wait: make(chan struct{}), counted: userdb.Usage{Files: 1}}
		a := open(t, l, db, files, limits(10, 10))
		if err := a.Begin(); !errors.Is(err, ErrCounting) {
			t.Errorf("a change while files are counted: %v", err)
		}
		close(files.wait)
		begin(t, a)
		a.End()
		a.Close()
		l.Close()
	})
}

// A shutdown does not wait for a count, and the files are counted the next time.
func TestCloseEndsCounting(t *testing.T) {
	db := testDB(t)
	l := New(slog.New(slog.DiscardHandler))
	a := open(t, l, db, &fakeFiles{wait: make(chan struct{})}, limits(10, 10))
	l.Close()
	if err := a.Begin(); !errors.Is(err, ErrCounting) {
		t.Errorf("a change after a count that was cut off: %v", err)
	}
	if got := tally(t, db); got.Counted {
		t.Errorf("the database has %+v", got)
	}
}

// The database hears of all changes a second later, in one go, and at the end of
// them that there are no more.
func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := testDB(t)
		l := New(slog.New(slog.DiscardHandler))
		files := new(fakeFiles)
		a := open(t, l, db, files, limits(10, 100))
		begin(t, a)
		if got := tally(t, db); got.Writer != l.writer {
			t.Errorf("before a change the database has %+v", got)
		}
		a.Add(userdb.Usage{Files: 1, Bytes: 10})
		a.End()
		if got := tally(t, db); got.Usage != (userdb.Usage{}) {
			t.Errorf("at once the database has %+v", got)
		}
		time.Sleep(flushEvery + time.Millisecond)
		synctest.Wait()
		if got := tally(t, db); got.Usage != (userdb.Usage{Files: 1, Bytes: 10}) || got.Writer != l.writer {
			t.Errorf("a second later the database has %+v", got)
		}
		if len(files.wrote) != 1 || files.wrote[0] != (userdb.Usage{Files: 1, Bytes: 10}) {
			t.Errorf(".ftpquota was written as %v", files.wrote)
		}
		time.Sleep(settleAfter + flushEvery)
		synctest.Wait()
		if got := tally(t, db); got.Writer != "" {
			t.Errorf("when all is quiet the database has %+v", got)
		}
		// Somebody has counted; what is added next is added to that.
		if err := db.SetUsage("alice", userdb.Usage{Files: 5, Bytes: 50}, ""); err != nil {
			t.Fatal(err)
		}
		begin(t, a)
		a.Add(userdb.Usage{Files: 1, Bytes: 1})
		a.End()
		if got, _ := a.Usage(); got != (userdb.Usage{Files: 6, Bytes: 51}) {
			t.Errorf("after a count there is %+v", got)
		}
		a.Part(files)
		a.Close()
		time.Sleep(2 * flushEvery)
		synctest.Wait()
		if got := tally(t, db); got != (userdb.Tally{Usage: userdb.Usage{Files: 6, Bytes: 51}, Counted: true}) {
			t.Errorf("after the last session the database has %+v", got)
		}
		if len(l.accounts) != 0 {
			t.Error("an account is left")
		}
		l.Close()
	})
}

// Who has no limits is not counted, and counted anew when there are some again.
func TestLimitsComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := testDB(t)
		l := New(slog.New(slog.DiscardHandler))
		files := &fakeFiles{file: "7 70"}
		a := open(t, l, db, files, limits(10, 100))
		begin(t, a)
		a.Add(userdb.Usage{Files: 1, Bytes: 1})
		a.End()
		a.SetLimits(Limits{})
		if a.Limited() {
			t.Error("without limits it is limited")
		}
		time.Sleep(2 * flushEvery)
		synctest.Wait()
		if got := tally(t, db); got.Counted || !got.Left {
			t.Errorf("without limits the database has %+v", got)
		}
		files.counted = userdb.Usage{Files: 3, Bytes: 30}
		a.SetLimits(limits(10, 100))
		begin(t, a)
		a.Add(userdb.Usage{Files: 1, Bytes: 1})
		a.End()
		if got, known := a.Usage(); !known || got != (userdb.Usage{Files: 4, Bytes: 31}) {
			t.Errorf("with limits again there is %+v, %v", got, known)
		}
		a.Part(files)
		a.Close()
		l.Close()
		if got := tally(t, db); got != (userdb.Tally{Usage: userdb.Usage{Files: 4, Bytes: 31}, Counted: true}) {
			t.Errorf("in the end the database has %+v", got)
		}

		// The next daemon meets her without limits, and the one after that with some.
		for _, with := range []Limits{{}, limits(10, 100)} {
			files.counts = 0
			l := New(slog.New(slog.DiscardHandler))
			a := open(t, l, db, files, with)
			a.Part(files)
			a.Close()
			l.Close()
		}
		if got := tally(t, db); files.counts != 1 || got != (userdb.Tally{Usage: files.counted, Counted: true}) {
			t.Errorf("counted %d times, the database has %+v", files.counts, got)
		}
	})
}

// What cannot be written is kept, and written later.
func TestFlushFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := testDB(t)
		l := New(slog.New(slog.DiscardHandler))
		a := open(t, l, db, new(fakeFiles), limits(10, 100))
		begin(t, a)
		a.Add(userdb.Usage{Files: 1, Bytes: 10})
		a.End()
		a.untake(userdb.Change{Usage: userdb.Usage{Files: 2, Bytes: 20}}) // as if it had not been written
		a.Add(userdb.Usage{})
		l.Flush()
		if got := tally(t, db); got.Usage != (userdb.Usage{Files: 3, Bytes: 30}) {
			t.Errorf("the database has %+v", got)
		}
		a.Close()
		l.Close()
	})
}

// Those who ask for room at the same time never get more than there is.
func TestReserve(t *testing.T) {
	const most = 1000
	db := testDB(t)
	l := New(slog.New(slog.DiscardHandler))
	defer l.Close()
	a := open(t, l, db, new(fakeFiles), limits(20, most))
	defer a.Close()
	begin(t, a)
	defer a.End()
	var (
		wait sync.WaitGroup
		mu   sync.Mutex
		got  userdb.Usage
	)
	for i := range 100 {
		wait.Go(func() {
			c, err := a.Claim(true)
			if err != nil {
				return
			}
			n := c.Grow(int64(7 + i))
			if i%3 == 0 {
				c.Drop()
				return
			}
			c.Settle(userdb.Usage{Files: 1, Bytes: n})
			mu.Lock()
			defer mu.Unlock()
			got.Files++
			got.Bytes += n
		})
	}
	wait.Wait()
	if held, _ := a.Usage(); held != got || held.Files > 20 || held.Bytes > most {
		t.Errorf("there is %+v, and %+v was made", held, got)
	}
	if a.reserved != (userdb.Usage{}) {
		t.Errorf("reserved is %+v", a.reserved)
	}
}

// The rules of a claim, one after the other.
func TestClaim(t *testing.T) {
	db := testDB(t)
	l := New(slog.New(slog.DiscardHandler))
	defer l.Close()
	files := &fakeFiles{counted: userdb.Usage{Files: 2, Bytes: 60}}
	a := open(t, l, db, files, limits(3, 100))
	defer a.Close()
	begin(t, a)
	defer a.End()
	old := Inode{1, 2}
	first, _ := a.Claim(false)
	first.Replaces(old, 50)
	second, _ := a.Claim(false)
	second.Replaces(old, 50)
	if first.Room() != 90 || second.Room() != 40 {
		t.Errorf("room is %d and %d", first.Room(), second.Room())
	}
	if second.Expect(41) || !second.Expect(40) || second.Grow(100) != 40 {
		t.Error("what is expected is not what is had")
	}
	if got := first.Grow(100); got != 50 {
		t.Errorf("only what is replaced is left, and it is %d", got)
	}
	// The replaced file is removed meanwhile, and somebody else takes its room.
	a.Add(userdb.Usage{Files: -1, Bytes: -50})
	third, _ := a.Claim(true)
	if third.Grow(50) != 50 || first.Fit(userdb.Usage{Files: 1, Bytes: 50}) {
		t.Error("room was given twice")
	}
	third.Drop()
	if !first.Fit(userdb.Usage{Files: 1, Bytes: 50}) {
		t.Error("there is room again, and it was not given")
	}
	first.Settle(userdb.Usage{Files: 1, Bytes: 50})
	second.Drop()
	if got, _ := a.Usage(); got != (userdb.Usage{Files: 2, Bytes: 60}) {
		t.Errorf("there is %+v", got)
	}
	// A limit that is below what there is takes nothing, and gives nothing.
	a.SetLimits(limits(1, 10))
	c, _ := a.Claim(false)
	if c.Grow(1) != 0 || !c.Fit(userdb.Usage{Bytes: -5}) || c.Fit(userdb.Usage{Bytes: 1}) {
		t.Error("a limit below what there is")
	}
	if _, err := a.Claim(true); !errors.Is(err, ErrFull) {
		t.Errorf("a file too many: %v", err)
	}
	c.Drop()
	a.Fail("/f", 10)
	if !a.Failed("/f", 10) || a.Failed("/f", 11) || a.Failed("/g", 10) {
		t.Error("what failed is not remembered")
	}
	a.Forget("/f")
	if a.Failed("/f", 10) {
		t.Error("what failed is not forgotten")
	}
}

// Recover counts for those whom another process was writing for, and for nobody else.
func TestRecover(t *testing.T) {
	db := testDB(t)
	if _, err := db.BeginWriting("another", []string{"alice", "guest"}); err != nil {
		t.Fatal(err)
	}
	l := New(slog.New(slog.DiscardHandler))
	files := &fakeFiles{counted: userdb.Usage{Files: 4, Bytes: 40}}
	var asked []string
	l.Recover(db, func(name string) (Files, func(), error) {
		asked = append(asked, name)
		if name == "guest" {
			return nil, nil, errors.New("whose home is not known")
		}
		return files, func() {}, nil
	})
	if got := tally(t, db); got != (userdb.Tally{Usage: userdb.Usage{Files: 4, Bytes: 40}, Counted: true}) {
		t.Errorf("the database has %+v", got)
	}
	if len(asked) != 2 || len(l.accounts) != 0 {
		t.Errorf("asked for %q, %d accounts are left", asked, len(l.accounts))
	}
	l.Close()
}
