package userfile

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"portreeve/userdb"
)

// outcome is what an entry comes to, in one line.
func outcome(e Entry) string {
	switch {
	case e.Err != nil:
		return fmt.Sprintf("%d %s refused: %v", e.Line, e.Name, e.Err)
	case e.LeftOut != "":
		return fmt.Sprintf("%d %s left out: %s", e.Line, e.Name, e.LeftOut)
	}
	u := userdb.New(e.Name)
	if err := e.Set(&u); err != nil {
		return fmt.Sprintf("%d %s refused: %v", e.Line, e.Name, err)
	}
	s := fmt.Sprintf("%d %s", e.Line, e.Name)
	for _, f := range userdb.Fields.Changed(u, userdb.New(e.Name)) {
		s += " " + f.Name + "=" + f.Bind(&u).String()
	}
	if u.Password != "" {
		s += " hash=" + u.Password
	}
	if e.Password != "" {
		s += " plain=" + e.Password
	}
	for _, note := range e.Notes {
		s += "; " + note
	}
	return s
}

func TestRead(t *testing.T) {
	const known = someHash
	for _, tt := range []struct {
		name   string
		format Format
		file   string
		want   []string // each is in one line of what comes of it
	}{
		{"pure-pw", PureText, "# a comment\n\njoe:" + known + ":7:8:Joe:/srv/joe/./::102400:1:5:::10485760:::10.0.0.0/8::900-1800\r\n", []string{
			"3 joe uid=7 gid=8 gecos=Joe home=/srv/joe hours=0900-1800 allow_client=10.0.0.0/8 download_rate=100K"}},
		{"a short line", PureText, "joe:" + known + ":7:8::/srv/joe", []string{"1 joe uid=7 gid=8 home=/srv/joe caged=no hash=$1$"}},
		{"locked", PureText, "joe:!" + known + ":7:8::/srv/joe/./", []string{"disabled=yes hash=$1$"}},
		{"no hash", PureText, "joe:*:7:8::/srv/joe/./", []string{"1 joe uid=7 gid=8 home=/srv/joe; has no password"}},
		{"an old hash", PureText, "joe:abJnggxhB/yWI:7:8::/srv/joe/./", []string{"hash=abJnggxhB/yWI; has a password that cannot be checked"}},
		{"a start folder", PureText, "joe:" + known + ":7:8::/srv/./joe/in", []string{"home=/srv hash=" + known + "; began in /joe/in of its home"}},
		{"faults", PureText, strings.Join([]string{
			"joe", "joe:" + known, "joe:" + known + ":7:8::srv", "joe:" + known + ":0:8::/srv", "joe:" + known + ":7:8x::/srv",
			"joe:" + known + ":7:8::/srv:1k", "joe:" + known + ":7:8::/srv::::::-1",
			"joe:" + known + ":7:8::/srv:::::::::::2001:db8::/32::",
			"joe:" + known + ":7:8::/srv::::::::10.0.0.0/33", "joe:" + known + ":7:8::/srv:::::::::,::",
			"joe:" + known + ":7:8::/srv::::::::::::morning", "joe:" + known + ":7:8::/srv/../etc", ":" + known + ":7:8::/srv",
		}, "\n"), []string{"1 joe refused", "2 joe refused", "3 joe refused", "4 joe refused", "5 joe refused", "6 joe refused", "7 joe refused",
			"8 joe refused", "9 joe refused", "10 joe refused", "11 joe refused", "12 joe refused", "13  refused"}},
		{"ProFTPD", ProFTPD, "joe:" + known + ":7:8:Joe:/srv/joe/:/bin/false\nann:!!" + known + ":7:8::/srv:\nx:y:z", []string{
			"1 joe uid=7 gid=8 gecos=Joe home=/srv/joe hash=", "2 ann uid=7 gid=8 home=/srv disabled=yes", "3 x refused: 3 fields"}},
		{"vsftpd", VSFTPD, "joe\nse cret: ,\nann\n\nbob\nb\nlast", []string{
			"1 joe plain=se cret: ,", "3 ann refused: the line behind it is no password", "5 bob plain=b", "7 last refused: no line with a password"}},
		{"table", CSV, "name,plain_password,uid,gid,home,quota_bytes,allow_client\n" +
			"joe,secret,7,8,/srv/joe,10M,\"10.0.0.0/8,::1\"\nann,,7,8,/srv/ann,-1,\nbob,x,7\n", []string{
			"2 joe uid=7 gid=8 home=/srv/joe allow_client=10.0.0.0/8,::1 quota_bytes=10M plain=secret", "3 ann refused: quota_bytes", "4  refused: 3 cells"}},
		{"clear text for a hash", CSV, "name,password\njoe,secret\nann,\nbob,!" + known, []string{
			"2 joe refused: password: it is no hash", "3 ann; has no password", "4 bob hash=!"}},
		{"objects", JSON, "{\"name\":\"joe\",\n\"uid\":7,\"gid\":8,\"home\":\"/srv/joe\",\"quota_files\":5,\"perms\":[\"read\"],\"password_kind\":\"6\"}\n" +
			"{\"name\":\"ann\",\"quota\":1}\n{\"name\":\"bob\",\"uid\":\"7\"}\n{\"name\":\"eve\",\"password\":\"clear\"}\n" +
			"{\"name\":\"eve\",\"Name\":\"joe\"}\n{\"name\":\"eve\",\"disabled\":true,\"diſabled\":false}\n" +
			"{\"name\":\"eve\",\"expires\":\"0001-01-01T00:00:00Z\"}\n{\"name\":\"eve\",\"deny_client\":\"::1\"}\nnull\n5", []string{
			"1 joe uid=7 gid=8 home=/srv/joe perms=read quota_files=5", `3 ann refused: unknown field "quota"`, "4 bob refused: uid: a string", "5 eve refused: password: it is no hash",
			"6 joe refused: it says Name twice", "7 eve refused: it says diſabled twice", "8 eve refused: expires: the year 1", "9 eve refused: deny_client: a string",
			"10 ", "11  refused"}},
		{"an array", JSON, "\n[\n {\"name\":\"joe\",\"disabled\":true},\n {\"name\":\"ann\",\"plain_password\":\"x\"}\n]\n", []string{
			"3 joe disabled=yes", "4 ann plain=x"}},
		{"no users", JSON, "[]", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if found, err := Detect([]byte(tt.file)); found != tt.format && tt.name != "faults" && tt.format != VSFTPD {
				t.Errorf("it is taken for %q, %v", found, err)
			}
			var got []string
			for e, err := range Read(bytes.NewReader([]byte(tt.file)), int64(len(tt.file)), tt.format, Options{}) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, outcome(e))
			}
			if len(got) != len(tt.want) {
				t.Fatalf("%d entries:\n%s", len(got), strings.Join(got, "\n"))
			}
			for i, want := range tt.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("it says\n%s, not\n%s", got[i], want)
				}
			}
		})
	}
}

// The accounts of persons are taken over, as pure-pwconvert does.
func TestReadPasswd(t *testing.T) {
	file := `root:x:0:0:root:/root:/bin/bash
daemon:x:1:1::/usr/sbin:/usr/sbin/nologin
joe:x:1000:1000:Joe Doe,Room 1,,:/home/joe:/bin/bash
ftp1:x:1001:1000::/home/ftp1:ftp
gone:x:1002:1000::/home/gone:/bin/bash
old:x:1003:1000::/home/old:/bin/bash
shut:x:1004:1000::/home/shut:/bin/bash
over:x:1005:1000::/home/over:/bin/bash
aged:x:1006:1000::/home/aged:/bin/bash
must:x:1007:1000::/home/must:/bin/bash
odd:x:1008:1000::/home/odd:/bin/bash
none:x:1009:1000::/home/none:/bin/bash
+@staff
`
	o := Options{
		Shadow: strings.NewReader("root:$6$r:1:\njoe:" + someHash + ":19000:0:99999:7:::\nold:abJnggxhB/yWI:1:\nshut:!" + someHash + ":1:\n" +
			"over:" + someHash + ":19000:0:99999:7::365:\naged:" + someHash + ":10000:0:90:7:::\nmust:" + someHash + ":0:0:99999:7:::\n" +
			"odd:" + someHash + ":19000:0:99999:7::never:\nnone:!*:19000:0:99999:7:::\n"),
		Shells:  map[string]bool{"/bin/bash": true},
		HasHome: func(home string) bool { return home != "/home/gone" },
	}
	want := []string{
		"1 root left out: is root's", "2 daemon left out: has the shell", "3 joe uid=1000 gid=1000 gecos=Joe Doe home=/home/joe hash=" + someHash,
		"4 ftp1 uid=1001 gid=1000 home=/home/ftp1; has no password", "5 gone left out: has a home that is not there",
		"6 old uid=1003 gid=1000 home=/home/old; has no password", "7 shut uid=1004 gid=1000 home=/home/shut disabled=yes hash=" + someHash,
		"8 over uid=1005 gid=1000 home=/home/over expires=197",
		"9 aged uid=1006 gid=1000 home=/home/aged disabled=yes hash=" + someHash + "; has a password that has expired",
		"10 must uid=1007 gid=1000 home=/home/must disabled=yes hash=" + someHash + "; had to change its password",
		"11 odd refused: \"never\" is no number of days in shadow", "12 none uid=1009 gid=1000 home=/home/none disabled=yes; has no password",
		"13 +@staff left out",
	}
	if found, err := Detect([]byte(file)); found != Passwd {
		t.Errorf("it is taken for %q, %v", found, err)
	}
	i := 0
	for e, err := range Read(strings.NewReader(file), int64(len(file)), Passwd, o) {
		if err != nil {
			t.Fatal(err)
		}
		if got := outcome(e); !strings.HasPrefix(got, want[i]) {
			t.Errorf("it says\n%s, not\n%s", got, want[i])
		}
		i++
	}
	if i != len(want) {
		t.Errorf("there are %d entries", i)
	}
}

// What cannot be read on ends with an error.
func TestReadFaults(t *testing.T) {
	for _, tt := range []struct {
		format     Format
		file, want string
	}{
		{CSV, "name,shoe size\n", "no attribute"}, {CSV, "name,quota_byte\n", "did you mean quota_bytes"}, {CSV, "uid,gid\n", "no column name"},
		{CSV, "name,uid,name\n", "twice"}, {CSV, "name,uid\n\"joe,1\n", "line 2"}, {CSV, "", "header"},
		{JSON, "{\"name\":\"joe\"}\n{\"name\":", "line 2"}, {JSON, "[{}\n,{}\n", "line 3: unexpected EOF"}, {JSON, "[{}", "unexpected EOF"}, {JSON, "[{}]\n[{}]", "line 2: there is more behind the end of the array"}, {JSON, "[{}]]", "line 1"}, {JSON, "{}\nx", "line"},
		{PureDB, "PDB2", "damaged"}, {PureDB, "PDB1", "not a PureDB file"},
		{PureText, strings.Repeat("x", maxLine+1), "line 1: it has more than 65536 bytes"}, {"other", "", "no known file"},
	} {
		var last error
		for _, err := range Read(strings.NewReader(tt.file), int64(len(tt.file)), tt.format, Options{}) {
			last = err
		}
		if last == nil || !strings.Contains(last.Error(), tt.want) {
			t.Errorf("%s %.30q ends with %v", tt.format, tt.file, last)
		}
	}
	for _, file := range []string{"", "\n# only a comment\n", "two words, and more\n", "a:b:c\n", "\x00\x01\n", "joe\nsecret\n", "joe\nann\nbob\neve\n"} {
		if format, err := Detect([]byte(file)); err == nil {
			t.Errorf("%q is taken for %q", file, format)
		}
	}
}

// No file makes a reader fail in another way than by an error, and no entry makes
// a user that root's files belong to.
func FuzzRead(f *testing.F) {
	f.Add([]byte("joe:"+someHash+":7:8:Joe:/srv/joe/./::102400:1:5:::10485760:::10.0.0.0/8::900-1800\n"), uint8(0))
	f.Add([]byte("name,uid,perms\njoe,7,read\n"), uint8(5))
	f.Add([]byte("[{\"name\":\"joe\",\"perms\":[\"read\"]}]"), uint8(6))
	f.Add([]byte("joe\nsecret\n"), uint8(4))
	f.Fuzz(func(t *testing.T, file []byte, which uint8) {
		formats := Formats()
		format := formats[int(which)%len(formats)]
		Detect(file)
		for e, err := range Read(bytes.NewReader(file), int64(len(file)), format, Options{Shells: map[string]bool{"/bin/sh": true}}) {
			if err != nil || e.Err != nil || e.LeftOut != "" {
				continue
			}
			u := userdb.New(e.Name)
			if err := e.Set(&u); err == nil && u.Validate() == nil && (u.UID <= 0 || u.GID <= 0) {
				t.Errorf("%q makes %+v", file, u)
			}
		}
	})
}
