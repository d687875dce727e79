package puredb

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"portreeve/userdb"
)

// build writes a file as pure-pw does.
func build(users [][2]string) []byte {
	index := make([][][2]uint32, buckets)
	size := head
	for _, u := range users {
		size += pairLen
		index[hash(u[0])%buckets] = append(index[hash(u[0])%buckets], [2]uint32{hash(u[0])})
	}
	for _, pairs := range index {
		if len(pairs) == 0 {
			size += 4
		}
		clear(pairs)
	}
	for i := range index {
		index[i] = index[i][:0]
	}
	var records []byte
	for _, u := range users {
		at := uint32(size + len(records))
		index[hash(u[0])%buckets] = append(index[hash(u[0])%buckets], [2]uint32{hash(u[0]), at})
		for _, text := range u {
			records = binary.BigEndian.AppendUint32(records, uint32(len(text)))
			records = append(records, text...)
		}
	}
	out, body := []byte(magic), []byte(nil)
	for i, pairs := range index {
		out = binary.BigEndian.AppendUint32(out, uint32(head+len(body)))
		slices.SortFunc(pairs, func(a, b [2]uint32) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
		for _, p := range pairs {
			body = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(body, p[0]), p[1])
		}
		if len(pairs) == 0 {
			body = binary.BigEndian.AppendUint32(body, uint32(i+1))
		}
	}
	out = binary.BigEndian.AppendUint32(out, uint32(head+len(body)))
	return slices.Concat(out, body, records)
}

func open(t testing.TB, content []byte) *File {
	t.Helper()
	f, err := New(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestHash(t *testing.T) {
	for name, want := range map[string]uint32{"": 5381, "md5": 0x0b866619, "des": 0x0b878f37, "short": 0x0add7d97} {
		if got := hash(name); got != want {
			t.Errorf("hash(%q) = %#x, not %#x", name, got, want)
		}
	}
}

func TestGet(t *testing.T) {
	var users [][2]string
	for i := range 20_000 {
		users = append(users, [2]string{fmt.Sprintf("user%d", i), fmt.Sprintf("hash%d:1:1::/home/%d", i, i)})
	}
	users = append(users, [2]string{"user7", "a later one of that name"}, [2]string{"empty", ""})
	f := open(t, build(users))
	for _, u := range users[:20_000] {
		if got, err := f.Get(u[0]); err != nil || got != u[1] {
			t.Fatalf("%s: %q, %v", u[0], got, err)
		}
	}
	if got, err := f.Get("empty"); got != "" || err != nil {
		t.Errorf("an empty record: %q, %v", got, err)
	}
	for _, name := range []string{"", "user", "user20000", "USER1", "user1 ", strings.Repeat("x", 1<<20)} {
		if got, err := f.Get(name); !errors.Is(err, userdb.ErrNoUser) || got != "" {
			t.Errorf("%.20q: %q, %v", name, got, err)
		}
	}
	var all [][2]string
	for u, err := range f.All() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, u)
	}
	if !slices.Equal(all, users) {
		t.Errorf("All yields %d users, not %d, or others", len(all), len(users))
	}
}

// Every way to say something that is not so is an error, and nobody's record.
func TestDamaged(t *testing.T) {
	whole := build([][2]string{{"joe", "x:1:1::/home/joe"}, {"ann", "y:2:2::/home/ann"}})
	for n := range len(whole) {
		f, err := New(bytes.NewReader(whole[:n]), int64(n))
		if err != nil {
			if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrDamaged) {
				t.Fatalf("cut at %d: %v", n, err)
			}
			continue
		}
		if got, err := f.Get("ann"); !errors.Is(err, ErrDamaged) || got != "" {
			t.Errorf("cut at %d: %q, %v", n, got, err)
		}
		var last error
		for _, err := range f.All() {
			last = err
		}
		if !errors.Is(last, ErrDamaged) {
			t.Errorf("cut at %d: all users end with %v", n, last)
		}
	}
	slot := len(magic) + 4*int(hash("joe")%buckets)
	for what, value := range map[string]uint32{"far": 1 << 31, "before the buckets": 4, "the head": 0, "the end": uint32(len(whole))} {
		bad := slices.Clone(whole)
		binary.BigEndian.PutUint32(bad[slot:], value)
		if got, err := open(t, bad).Get("joe"); err == nil || got != "" {
			t.Errorf("a bucket that begins at %s: %q, %v", what, got, err)
		}
	}
	pair := int(binary.BigEndian.Uint32(whole[slot:]))
	for what, value := range map[string]uint32{"far": 1<<32 - 1, "in the head": 8, "at the end": uint32(len(whole)), "in another record": uint32(len(whole)) - 9} {
		bad := slices.Clone(whole)
		binary.BigEndian.PutUint32(bad[pair+4:], value)
		if got, err := open(t, bad).Get("joe"); err == nil || got != "" {
			t.Errorf("a record %s: %q, %v", what, got, err)
		}
	}
	// A file that shrinks while it is open.
	f, err := New(bytes.NewReader(whole[:len(whole)-3]), int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := f.Get("ann"); !errors.Is(err, ErrDamaged) || got != "" {
		t.Errorf("a file that was cut: %q, %v", got, err)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"empty": "", "short": "PDB", "text": "joe:x:1:1::/home/joe\n"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
		if Is(path) {
			t.Errorf("%s is one", name)
		}
	}
	if _, err := Open(dir); !errors.Is(err, ErrFormat) {
		t.Errorf("a folder: %v", err)
	}
	if _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// A file of the real pure-pw is read as pure-pw reads it.
func TestFromPurePw(t *testing.T) {
	dir := t.TempDir()
	passwd, pdb := filepath.Join(dir, "passwd"), filepath.Join(dir, "pdb")
	var text strings.Builder
	var want [][2]string
	for i := range 500 {
		u := [2]string{fmt.Sprintf("user%d", i), fmt.Sprintf("$1$salt$hash:%d:%d:Nr. %d:/home/u%d/./::::::::::::", i+1, i+2, i, i)}
		want = append(want, u)
		text.WriteString(u[0] + ":" + u[1] + "\n# a comment\n\n")
	}
	if err := os.WriteFile(passwd, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("pure-pw", "mkdb", pdb, "-f", passwd).CombinedOutput(); err != nil {
		t.Fatalf("pure-pw mkdb (Debian package pure-ftpd-common): %v\n%s", err, out)
	}
	f, err := Open(pdb)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !Is(pdb) {
		t.Error("it is none")
	}
	i := 0
	for u, err := range f.All() {
		if err != nil || i >= len(want) || u != want[i] {
			t.Fatalf("record %d: %q, %v", i, u, err)
		}
		if got, err := f.Get(u[0]); err != nil || got != u[1] {
			t.Fatalf("%s: %q, %v", u[0], got, err)
		}
		i++
	}
	if i != len(want) {
		t.Errorf("%d records", i)
	}
	// Ours, by which others are tested, is the same to the byte.
	if theirs, err := os.ReadFile(pdb); err != nil || !bytes.Equal(theirs, build(want)) {
		t.Errorf("the test writes other files than pure-pw (%v)", err)
	}
}

func TestParseUser(t *testing.T) {
	u, start, err := ParseUser("joe", "$1$x$y:2001:2002:Joe:/home/joe/./pub:102400:1024:1:5:3:0:10485760:127.0.0.1:::10.0.0.0/8,evil.example:900-1800")
	want := userdb.New("joe")
	want.Password, want.UID, want.GID, want.Gecos, want.Home = "$1$x$y", 2001, 2002, "Joe", "/home/joe"
	want.UploadRate, want.DownloadRate, want.UploadRatio, want.DownloadRatio, want.MaxSessions = 102400, 1024, 1, 5, 3
	want.QuotaFiles, want.QuotaBytes = userdb.LimitOf(0), userdb.LimitOf(10485760)
	want.AllowLocal, _ = userdb.ParsePatterns("127.0.0.1")
	want.DenyClient, _ = userdb.ParsePatterns("10.0.0.0/8,evil.example")
	want.Hours, _ = userdb.ParseHours("0900-1800")
	if err != nil || start != "/pub" || !reflect.DeepEqual(u, want) {
		t.Errorf("got  %+v, %q, %v\nwant %+v", u, start, err, want)
	}
	for fields, caged := range map[string]bool{
		"x:1:1::/home/joe": false, "x:1:1::/home/joe/": false, "x:1:1::/home/joe/./": true, "x:1:1:\xff\x01:/home/joe:::::5": false,
		"x:1:1::/home/joe:::::::5": true, "x:1:1::/home/joe::::::0": true, "x:1:1::/home/joe:0:0:0:0:0": false, "x:1:1::/home/joe::::::::::::": false,
	} {
		u, start, err := ParseUser("joe", fields)
		if err != nil || u.Home != "/home/joe" || u.Caged != caged || start != "" {
			t.Errorf("%q: %+v, %q, %v", fields, u, start, err)
		}
	}
	for _, bad := range []string{
		"", ":", "x", "x:1:1:", "x:0:1::/h", "x:1:0::/h", "x:::g:/h", "x:-1:1::/h", "x:1:+1::/h", "x:1x:1::/h", "x:4294967295:1::/h",
		"x:18446744073709551617:1::/h", "x:1:1::", "x:1:1::h", "x:1:1::/h/../etc", "x:1:1::/../h", "x:1:1::/h\x00",
		"x:1:1::/h:fast", "x:1:1::/h::-1", "x:1:1::/h:::::1e3", "x:1:1::/h::::::x", "x:1:1::/h:::::::x", "x:1:1::/h:::::::1k",
		"x:1:1::/h:::::::::nowhere!", "x:1:1::/h::::::::,", "x:1:1::/h:::::::::::10.0.0.0/99", "x:1:1::/h::::::::::::noon",
		"x:1:1::/h::::::::2001:db8::/32::", "x y:1:1::/h",
	} {
		u, start, err := ParseUser("joe", bad)
		if !errors.Is(err, userdb.ErrMalformed) || u.Password != "" || u.Home != "" || start != "" || strings.Contains(fmt.Sprint(err), "\n") {
			t.Errorf("%q: %+v, %q, %v", bad, u, start, err)
		}
	}
	if _, _, err := ParseUser("../joe", "x:1:1::/h"); err == nil {
		t.Error("a name that is a path is taken")
	}
}

// Whatever the bytes are, what is found is there, and who is parsed is valid.
func FuzzFile(f *testing.F) {
	f.Add(build([][2]string{{"joe", "x:1:1::/home/joe"}, {"ann", "y:2:2::/home/ann/./:::::::5"}}), "joe")
	f.Add([]byte(magic), "joe")
	f.Fuzz(func(t *testing.T, content []byte, name string) {
		db, err := New(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			return
		}
		if fields, err := db.Get(name); err == nil {
			record := binary.BigEndian.AppendUint32(nil, uint32(len(name)))
			record = append(binary.BigEndian.AppendUint32(append(record, name...), uint32(len(fields))), fields...)
			if !bytes.Contains(content, record) {
				t.Errorf("%q has %q, which is not in the file", name, fields)
			}
			if u, _, err := ParseUser(name, fields); err == nil && (u.UID <= 0 || u.GID <= 0 || u.Validate() != nil) {
				t.Errorf("%q is %+v", fields, u)
			}
		}
		size := 0
		for u, err := range db.All() {
			if size += len(u[0]) + len(u[1]) + 8; err == nil && size > len(content) {
				t.Fatal("it holds more than it is long")
			}
		}
	})
}
