//go:build linux

package main

import (
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"testing"
	"time"

	"portreeve/userdb"
)

// BenchmarkPw measures the commands among 1,000,000 users, as processes, with
// all that a process takes to begin and end.
func BenchmarkPw(b *testing.B) {
	const million = 1_000_000
	d := newSite(b, nil)
	path := filepath.Join(d.dir, "million.db")
	hash, err := cheapHash()
	if err != nil {
		b.Fatal(err)
	}
	if _, err := userdb.At(path).AddAll(someUsers(million, hash)); err != nil {
		b.Fatal(err)
	}
	number := 0
	for _, m := range []struct {
		name string
		most time.Duration
		args func() []string
	}{
		{"show", 0, func() []string {
			number++
			return []string{"show", userName(number * 7919 % million)}
		}},
		{"useradd", 20 * time.Millisecond, func() []string {
			number++
			return []string{"useradd", fmt.Sprintf("new%07d", number), "-u", "1001", "-g", "1001", "-d", "/srv/ftp/new", "--password-hash", hash}
		}},
		{"list", 4 * time.Second, func() []string { return []string{"list"} }},
	} {
		b.Run(m.name, func(b *testing.B) {
			var most int64
			for b.Loop() {
				most = max(most, d.pw(b, path, m.args()...))
			}
			if most > 0 {
				b.ReportMetric(float64(most)/(1<<20), "peak-MiB")
			}
			if each := b.Elapsed() / time.Duration(b.N); m.most > 0 && each > m.most {
				b.Errorf("it took %v, more than %v", each, m.most)
			}
		})
	}
}

// pw runs a command that prints to nowhere, and returns the most memory that it
// was seen to have, if it took long enough to be looked at.
func (d *site) pw(b *testing.B, db string, args ...string) (most int64) {
	b.Helper()
	cmd := d.program(b, append([]string{"pw", "--db", db}, args...)...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case err := <-ended:
			if err != nil {
				b.Fatal(err)
			}
			return most
		case <-look.C:
			if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid)); err == nil {
				n, _ := kib(status, "VmHWM")
				most = max(most, n<<10)
			}
		}
	}
}

func userName(i int) string { return fmt.Sprintf("user%07d", i) }

func someUsers(n int, hash string) iter.Seq2[userdb.User, error] {
	return func(yield func(userdb.User, error) bool) {
		for i := range n {
			u := userdb.New(userName(i))
			u.Password, u.UID, u.GID, u.Home = hash, 1001, 1001, "/srv/ftp/"+u.Name
			if !yield(u, nil) {
				return
			}
		}
	}
}
