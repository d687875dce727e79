package logtest

import (
	"embed"
	"strings"
)

// A Misread is a log of xferlog that other programs for statistics get wrong without
// a word, and what is right.
type Misread struct {
	Name   string
	Others string // and what they make of it
	Log    string
	Lines  []Truth
}

// A Truth is what a line says.
type Truth struct {
	Host, User, Path string
	Direction        byte // i, o or d
	Bytes            int64
	Year             int
	Anonymous        bool
}

//go:embed testdata/*.log
var misread embed.FS

// Misreads are all of them.
func Misreads() []Misread {
	const (
		bob, evil  = "bob smith", "x b _ o r root ftp 0 * c"
		plain, top = "/srv/ftp/alice/up/plain.bin", "/srv/ftp/alice"
	)
	open := []string{"/up/report_(final)_[v2].pdf", "/up/12\"_disk_[open.iso", "/up/(((.txt"}
	deep := "/up/" + strings.Repeat(strings.Repeat("d", 240)+"/", 10) + "deep.bin"
	brackets := func(as Truth, folder string) []Truth {
		return join(as.both(folder+open[0], 1234), as.both(folder+open[1], 4321), as.both(folder+open[2], 17)[:1])
	}
	alice, mail, local := by("alice"), by("me@x"), by("alice")
	mail.Anonymous = true
	local.Host = "::1"
	named := alice
	named.Host = "localhost"
	return []Misread{
		read("brackets", "Webalizer takes what follows a bracket or a quote for the name; user and direction are lost",
			brackets(alice, top), brackets(alice, top), brackets(mail, "")),
		read("user-with-blanks", "ftpstats drops the line, GoAccess has the first word, AWStats the next field",
			by(bob).both(plain, 5000), by(bob).both(plain, 5000)),
		read("user-like-a-line", "Logwatch reports a download by root",
			by(evil).both(plain, 5000), alice.both(plain, 5000), by(evil).both(plain, 5000), alice.both(plain, 5000)),
		read("sftp", "Logwatch does not see it",
			[]Truth{local.did('i', top+"/plain.txt", 109), alice.did('i', top+"/sftp_up.txt", 6), alice.did('o', top+"/big.bin", 30_000_000)}),
		read("padded-day", "GoAccess refuses the log under the date format that suggests itself",
			mail.both("/up/plain.bin", 5000), mail.both("/up/plain.bin", 5000), mail.both("/up/plain.bin", 5000)),
		read("host-name", "GoAccess refuses the line unless it is told not to check addresses",
			named.both(plain, 5000), named.both(plain, 5000)),
		read("latin1", "GoAccess writes JSON that is none",
			alice.both(top+"/up/caf\xe9_men\xfc.txt", 77), alice.both(top+"/up/caf\xe9_men\xfc.txt", 77), mail.both("/up/caf?_men?.txt", 77)),
		read("deleted", "AWStats drops the line, GoAccess and Webalizer count a download",
			alice.both(plain, 5000), []Truth{alice.did('d', plain, 5000)}),
		read("empty", "xferstats drops it",
			alice.both(top+"/up/empty.flag", 0), alice.both(top+"/up/empty.flag", 0), mail.both("/up/empty.flag", 0)),
		read("last-line", "xferstats counts it twice",
			alice.both(plain, 5000)),
		read("long", "xferstats makes two lines of it, Webalizer cuts the name",
			alice.both(top+deep, 99), alice.both(plain, 5000), mail.both(deep, 99)),
		read("years", "GoAccess has all in the year that it is",
			alice.in(2019).both(plain, 5000), alice.in(2019).both(plain, 5000), alice.in(2024).both(plain, 5000),
			alice.in(2024).both(plain, 5000), alice.in(2025).both(plain, 5000), alice.in(2025).both(plain, 5000)),
	}
}

func read(name, others string, lines ...[]Truth) Misread {
	text, err := misread.ReadFile("testdata/" + name + ".log")
	if err != nil { // it is part of the program
		text = []byte(err.Error())
	}
	return Misread{name, others, string(text), join(lines...)}
}

func join(lines ...[]Truth) (all []Truth) {
	for _, some := range lines {
		all = append(all, some...)
	}
	return all
}

// by begins what a user did.
func by(user string) Truth { return Truth{Host: "127.0.0.1", User: user, Year: 2026} }

func (t Truth) in(year int) Truth {
	t.Year = year
	return t
}

func (t Truth) did(direction byte, path string, bytes int64) Truth {
	t.Direction, t.Path, t.Bytes = direction, path, bytes
	return t
}

// both is an upload and the download of it.
func (t Truth) both(path string, bytes int64) []Truth {
	return []Truth{t.did('i', path, bytes), t.did('o', path, bytes)}
}
