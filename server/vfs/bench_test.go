package vfs

import (
	"os"
	"syscall"
	"testing"
	"time"

	"portreeve/userdb"
)

// eachIdentity runs a benchmark as the process and, if that is root's, as a
// user.
func eachIdentity(b *testing.B, home string, run func(b *testing.B, f *FS)) {
	identities := map[string]*Identity{"process": nil}
	if os.Getuid() == 0 {
		identities["user"] = joe
		identities["user-with-groups"] = &Identity{UID: joe.UID, GID: joe.GID, Groups: []int{20008, 20009}}
	}
	for name, as := range identities {
		b.Run(name, func(b *testing.B) {
			f, err := Open(home, Options{As: as, Caged: true, Perms: userdb.AllPerms, FileUmask: 0o133, NoTruncate: true})
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			run(b, f)
		})
	}
}

// cpuTime reports the processor time of each operation until it is called,
// which says more than the clock does on a busy machine.
func cpuTime(b *testing.B) (report func()) {
	used := func() time.Duration {
		var ru syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
			b.Fatal(err)
		}
		return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
	}
	start := used()
	return func() { b.ReportMetric(float64((used()-start).Nanoseconds())/float64(b.N), "cpu-ns/op") }
}

func BenchmarkStat(b *testing.B) {
	eachIdentity(b, manyFiles(b, 1), func(b *testing.B, f *FS) {
		b.ReportAllocs()
		defer cpuTime(b)()
		for b.Loop() {
			if _, err := f.Stat("/d/file-000000.dat"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkRead(b *testing.B) {
	eachIdentity(b, manyFiles(b, 1), func(b *testing.B, f *FS) {
		b.ReportAllocs()
		defer cpuTime(b)()
		for b.Loop() {
			file, _, err := f.Read("/d/file-000000.dat")
			if err != nil {
				b.Fatal(err)
			}
			file.Close()
		}
	})
}

func BenchmarkStore(b *testing.B) {
	home := publicDir(b)
	if err := os.Chmod(home, 0o777); err != nil {
		b.Fatal(err)
	}
	eachIdentity(b, home, func(b *testing.B, f *FS) {
		b.ReportAllocs()
		defer cpuTime(b)()
		for b.Loop() {
			u, err := f.Write("/f", How{})
			if err == nil {
				err = finish(u, "data")
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		f.Remove("/f")
	})
}

// BenchmarkList lists 100,000 entries; BenchmarkListRaw does the bare system
// calls of the same.
func BenchmarkList(b *testing.B) {
	eachIdentity(b, manyFiles(b, 100_000), func(b *testing.B, f *FS) {
		for name, opt := range map[string]ListOptions{
			"facts":  {Hidden: true, Sort: Unsorted},
			"sorted": {},
			"names":  {NamesOnly: true},
		} {
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				defer cpuTime(b)()
				for b.Loop() {
					l, err := f.List("/d", opt)
					if err != nil {
						b.Fatal(err)
					}
					n := 0
					for range l.Entries() {
						n++
					}
					if n != 100_000 {
						b.Fatal(n)
					}
				}
			})
		}
	})
}
