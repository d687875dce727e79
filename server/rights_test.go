package server

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portreeve/userdb"
)

// deeds are what each command needs of an account, of those that touch files. The
// last line is the one that is judged.
var deeds = []struct {
	lines string
	code  int
	needs userdb.Perms
}{
	{"RETR f", 150, userdb.PermRead},
	{"HASH f", 213, userdb.PermRead},
	{"XCRC f", 250, userdb.PermRead},
	{"PRET RETR f", 200, userdb.PermRead},
	{"SITE CPFR f", 350, userdb.PermRead},
	{"LIST", 150, userdb.PermList},
	{"NLST *", 150, userdb.PermList},
	{"MLSD", 150, userdb.PermList},
	{"STAT d", 212, userdb.PermList},
	{"STOR g", 150, userdb.PermWrite},
	{"STOR f", 150, userdb.PermWrite},
	{"TYPE I|REST 1|STOR f", 150, userdb.PermWrite},
	{"TYPE I|RANG 0 1|STOR f", 150, userdb.PermWrite},
	{"APPE f", 150, userdb.PermWrite},
	{"STOU", 150, userdb.PermWrite},
	{"PRET STOR f", 200, userdb.PermWrite},
	{"SITE COPY f g", 200, userdb.PermRead | userdb.PermWrite},
	{"SITE COPY f other", 200, userdb.PermRead | userdb.PermWrite},
	{"SITE CPFR f|SITE CPTO g", 250, userdb.PermRead | userdb.PermWrite},
	{"COMB g f f", 250, userdb.PermRead | userdb.PermWrite},
	{"SITE SYMLINK f g", 200, userdb.PermWrite},
	{"DELE f", 250, userdb.PermDelete},
	{"RMD d", 250, userdb.PermDelete},
	{"SITE RMDIR d", 200, userdb.PermDelete},
	{"MKD new", 257, userdb.PermMkdir},
	{"SITE MKDIR new", 200, userdb.PermMkdir},
	{"RNFR f|RNTO g", 250, userdb.PermRename},
	{"RNFR f", 350, userdb.PermRename},
	{"SITE CHMOD 600 f", 200, userdb.PermChmod},
	{"CHMOD 600 f", 200, userdb.PermChmod},
	{"SITE UMASK 000", 200, userdb.PermChmod},
	{"MFMT 20200102030405 f", 213, userdb.PermChmod},
	{"MDTM 20200102030405 f", 213, userdb.PermChmod},
	{"MFF Modify=20200102030405; f", 213, userdb.PermChmod},
	{"MFF UNIX.mode=0600; f", 213, userdb.PermChmod},
	{"SITE UTIME 20200102030405 f", 200, userdb.PermChmod},
}

// TestWhatEachCommandNeeds: what an account may do is enough where it is all of
// that, and everything else together is not.
func TestWhatEachCommandNeeds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.ServerCopy, c.Symlinks, c.MDTMWrite = true, true, true })
		db := userdb.At(r.srv.Config().UserDB)
		tried := 0
		try := func(perms userdb.Perms, lines string) (code int) {
			tried++
			name := fmt.Sprint("user", tried)
			addUser(t, db, name, "secret", r.fresh(), func(u *userdb.User) { u.Perms = perms })
			c := r.dial(netip.AddrPort{})
			defer func() { c.conn.Close(); <-c.done }()
			c.want(220)
			c.login(name)
			conn := c.passive()
			defer conn.Close()
			for line := range strings.SplitSeq(lines, "|") {
				c.say("%s", line)
				var err error
				if code, _, err = c.read(); err != nil {
					t.Fatal(err)
				}
			}
			return code
		}
		for _, d := range deeds {
			if code := try(d.needs, d.lines); code != d.code {
				t.Errorf("%s, and %s may: %d, not %d", d.lines, d.needs, code, d.code)
			}
			for bit := userdb.Perms(1); bit <= d.needs; bit <<= 1 {
				if d.needs&bit == 0 {
					continue
				}
				if code := try(userdb.AllPerms&^bit, d.lines); code < 500 {
					t.Errorf("%s, and everything but %s may: %d", d.lines, bit, code)
				}
			}
		}
	})
}

// fresh makes a home with something in it.
func (r *rig) fresh() string {
	r.t.Helper()
	home := r.t.TempDir()
	err := errors.Join(os.Mkdir(filepath.Join(home, "d"), 0o755),
		os.WriteFile(filepath.Join(home, "f"), []byte("content"), 0o644),
		os.WriteFile(filepath.Join(home, "other"), nil, 0o644))
	if err != nil {
		r.t.Fatal(err)
	}
	return home
}
