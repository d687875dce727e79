package userdb

import (
	"encoding/json"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

// full returns a user that has every attribute, each different from what it is
// if nothing is said.
func full() User {
	hours, _ := ParseHours("2200-0600")
	return User{
		Name: "алиса", Password: "$7$D6....1....x$y", UID: 1000, GID: 1001,
		Gecos: "Alice ☺ & sons, \"quoted\"", Home: "/srv/ftp/алиса and more", Caged: true,
		Disabled: true, Expires: time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC),
		Limits: Limits{
			UploadRate: 1 << 40, DownloadRate: 1, UploadRatio: 1, DownloadRatio: 5,
			QuotaFiles: LimitOf(0), QuotaBytes: LimitOf(1 << 50), MaxSessions: 3,
			AllowClient: list("10.0.0.0/8,2001:db8::/32,192.0.2.1"), DenyClient: list("10.1.2.3"),
			AllowLocal: list("ftp.example.org,::1"), DenyLocal: list("0.0.0.0/0"),
			Hours: hours, TLS: TLSLogin, Perms: PermList | PermRead,
		},
		Created: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		Changed: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC),
	}
}

func list(text string) Patterns {
	l, err := ParsePatterns(text)
	if err != nil {
		panic(err)
	}
	return l
}

// least returns a valid user with as little as can be.
func least(name string) User {
	u := New(name)
	u.UID, u.GID, u.Home = 1000, 1000, "/srv/ftp"
	return u
}

func TestRecordRoundTrip(t *testing.T) {
	free := least("free")
	free.Caged, free.Perms = false, 0
	for _, u := range []User{full(), least("a"), free} {
		record := encode(userLayout(), &u)
		got, err := decode(userLayout(), u.Name, record)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, u) {
			t.Errorf("got  %+v\nwant %+v\nfrom %s", got, u, record)
		}
	}
}

// The text of a record is on disks for ever: this is version 1.
func TestRecordText(t *testing.T) {
	u := full()
	want := `1
password $7$D6....1....x$y
uid 1000
gid 1001
gecos Alice ☺ & sons, "quoted"
home /srv/ftp/алиса and more
caged yes
disabled yes
expires 2031-02-03T04:05:06Z
upload_rate 1099511627776
download_rate 1
upload_ratio 1
download_ratio 5
quota_files 0
quota_bytes 1125899906842624
max_sessions 3
allow_client 10.0.0.0/8,2001:db8::/32,192.0.2.1
deny_client 10.1.2.3
allow_local ftp.example.org,::1
deny_local 0.0.0.0/0
hours 2200-0600
perms list read
created 2026-01-01T00:00:00Z
changed 2026-01-02T00:00:00Z
tls login
`
	if got := string(encode(userLayout(), &u)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Every attribute of a User is in its record, under its JSON name: one that is
// not would be lost by the next change.
func TestRecordIsComplete(t *testing.T) {
	keys := make(map[string]bool)
	for _, a := range userLayout() {
		if keys[a.key] {
			t.Errorf("%s stands twice in the layout", a.key)
		}
		keys[a.key] = true
	}
	u := full()
	for _, f := range attributes(reflect.ValueOf(&u).Elem()) {
		if f.value.IsZero() {
			t.Errorf("%s is zero in full(), so that nothing tests it", f.Name)
		}
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Name == "Name" || f.Name == "Password" {
			continue
		}
		if !keys[key] {
			t.Errorf("%s, %q in JSON, has no row in the layout", f.Name, key)
		}
		delete(keys, key)
	}
	delete(keys, "password")
	if len(keys) > 0 {
		t.Errorf("no attribute has the keys %v", keys)
	}
}

type attributeOf struct {
	reflect.StructField
	value reflect.Value
}

// attributes returns the exported fields of a User, those of Limits among them.
func attributes(v reflect.Value) []attributeOf {
	var all []attributeOf
	for i := range v.NumField() {
		f := v.Type().Field(i)
		switch {
		case f.Anonymous:
			all = append(all, attributes(v.Field(i))...)
		case f.IsExported():
			all = append(all, attributeOf{f, v.Field(i)})
		}
	}
	return all
}

func TestRecordMalformed(t *testing.T) {
	good := "1\nuid 1000\ngid 1000\nhome /x\ncaged yes\nperms list\n"
	if _, err := decode(userLayout(), "a", []byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ what, record string }{
		{"empty", ""},
		{"no version", "uid 1000\n"},
		{"later version", strings.Replace(good, "1\n", "2\n", 1)},
		{"not ours", `{"uid":1000}`},
		{"zeros", strings.Repeat("\x00", 100)},
		{"cut in a line", good[:len(good)-3]},
		{"cut before the ids", "1\n"},
		{"no uid", strings.Replace(good, "uid 1000\n", "", 1)},
		{"no home", strings.Replace(good, "home /x\n", "", 1)},
		{"root", strings.Replace(good, "uid 1000", "uid 0", 1)},
		{"unknown attribute", good + "country de\n"},
		{"unknown attribute between", strings.Replace(good, "home", "house /y\nhome", 1)},
		{"twice", strings.Replace(good, "uid 1000\n", "uid 1000\nuid 1001\n", 1)},
		{"out of order", "1\ngid 1000\nuid 1000\nhome /x\ncaged yes\n"},
		{"blank line", good + "\n"},
		{"unknown permission", strings.Replace(good, "perms list", "perms list,fly", 1)},
		{"empty permissions", strings.Replace(good, "perms list", "perms ", 1)},
		{"cage of a third kind", strings.Replace(good, "caged yes", "caged maybe", 1)},
		{"quota not a number", strings.Replace(good, "perms", "quota_bytes many\nperms", 1)},
		{"quota negative", strings.Replace(good, "perms", "quota_bytes -1\nperms", 1)},
		{"quota too large", strings.Replace(good, "perms", "quota_bytes 9999999999999999999999\nperms", 1)},
		{"rate negative", strings.Replace(good, "perms", "upload_rate -5\nperms", 1)},
		{"allow list of nobody", strings.Replace(good, "perms", "allow_client ,\nperms", 1)},
		{"allow list with a slip", strings.Replace(good, "perms", "allow_client 10.0.0.300\nperms", 1)},
		{"hours of nothing", strings.Replace(good, "perms", "hours \nperms", 1)},
		{"hours of a day of 30 hours", strings.Replace(good, "perms", "hours 0900-3000\nperms", 1)},
		{"disabled with no", strings.Replace(good, "perms", "disabled no\nperms", 1)},
		{"expiry not a time", strings.Replace(good, "perms", "expires soon\nperms", 1)},
		{"control character", strings.Replace(good, "home /x", "gecos a\tb\nhome /x", 1)},
		{"TLS of a fourth kind", good + "tls maybe\n"},
		{"TLS of no kind", good + "tls \n"},
		{"TLS that is optional", good + "tls optional\n"},
		{"relative home", strings.Replace(good, "home /x", "home x", 1)},
	} {
		u, err := decode(userLayout(), "a", []byte(c.record))
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: error is %v", c.what, err)
		}
		if !reflect.DeepEqual(u, User{Name: "a"}) {
			t.Errorf("%s: error, and yet %+v", c.what, u)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error of more than a line: %q", c.what, err)
		}
	}
}

// What a record does not say restricts nothing, but for the permissions and the
// cage: those must be said.
func TestRecordDefaults(t *testing.T) {
	u, err := decode(userLayout(), "a", []byte("1\nuid 1\ngid 1\nhome /x\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := User{Name: "a", UID: 1, GID: 1, Home: "/x", Caged: true}
	if !reflect.DeepEqual(u, want) {
		t.Errorf("got %+v, want %+v", u, want)
	}
	if u.Perms != 0 || u.QuotaBytes != (Limit{}) {
		t.Errorf("perms %v, quota %v", u.Perms, u.QuotaBytes)
	}
}

// No bytes in the database make a user that could not have been stored, and
// what is read is written back as it is.
func FuzzRecord(f *testing.F) {
	for _, u := range []User{full(), least("a"), New("b")} {
		f.Add(u.Name, encode(userLayout(), &u))
	}
	f.Add("a", []byte("1\nuid 007\ngid +1\nhome /x\nexpires 2031-02-03T04:05:06.7+08:00\nperms all\n"))
	f.Add("a", []byte("1\nuid 1\ngid 1\nhome /x\nallow_client [::1],10.1.2.3/8,A.B.\nhours 900-0\nperms read,list none\n"))
	layout := userLayout()
	f.Fuzz(func(t *testing.T, name string, record []byte) {
		u, err := decode(layout, name, record)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("error is %v", err)
			}
			return
		}
		if err := u.Validate(); err != nil {
			t.Fatalf("accepted %q, which is %v", record, err)
		}
		normal := u
		normal.normal()
		if !reflect.DeepEqual(u, normal) {
			t.Fatalf("%q is not read in normal form: %+v", record, u)
		}
		again, err := decode(layout, name, encode(userLayout(), &u))
		if err != nil || !reflect.DeepEqual(again, u) {
			t.Fatalf("read %q\nas      %+v\nbut back %+v, %v", record, u, again, err)
		}
		if _, err := json.Marshal(u); err != nil {
			t.Fatal(err)
		}
	})
}

func TestUserJSON(t *testing.T) {
	u := full()
	b, err := json.Marshal(u)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"name":"алиса","uid":1000,"gid":1001,"gecos":"Alice ☺ \u0026 sons, \"quoted\"",` +
		`"home":"/srv/ftp/алиса and more","caged":true,"disabled":true,"expires":"2031-02-03T04:05:06Z",` +
		`"upload_rate":1099511627776,"download_rate":1,"upload_ratio":1,"download_ratio":5,` +
		`"quota_files":0,"quota_bytes":1125899906842624,"max_sessions":3,` +
		`"allow_client":["10.0.0.0/8","2001:db8::/32","192.0.2.1"],"deny_client":["10.1.2.3"],` +
		`"allow_local":["ftp.example.org","::1"],"deny_local":["0.0.0.0/0"],"hours":"2200-0600","tls":"login",` +
		`"perms":["list","read"],"created":"2026-01-01T00:00:00Z","changed":"2026-01-02T00:00:00Z"}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
	var back User
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	back.Password = u.Password // which JSON never has
	if !reflect.DeepEqual(back, u) {
		t.Errorf("got  %+v\nwant %+v", back, u)
	}
	small, _ := json.Marshal(least("a"))
	want = `{"name":"a","uid":1000,"gid":1000,"home":"/srv/ftp","caged":true,"disabled":false,` +
		`"quota_files":null,"quota_bytes":null,"perms":["list","read","write","delete","rename","mkdir","chmod"]}`
	if string(small) != want {
		t.Errorf("got  %s\nwant %s", small, want)
	}
	for _, bad := range []string{`{"quota_files":-1}`, `{"quota_files":"x"}`, `{"quota_files":1.5}`,
		`{"perms":["fly"]}`, `{"perms":"read"}`, `{"hours":"9-5-3"}`, `{"allow_client":["1.2.3"]}`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

func TestUseRecord(t *testing.T) {
	for _, u := range []use{
		{},
		{last: Login{time.Date(2026, 1, 1, 1, 1, 1, 0, time.UTC), netip.MustParseAddr("2001:db8::1")}, held: Usage{3, 1 << 40}},
	} {
		var got use
		if err := useLayout().read(string(useLayout().append(nil, &u)), &got); err != nil || got != u {
			t.Errorf("got %+v, %v; want %+v", got, err, u)
		}
	}
	var got use
	if err := useLayout().read("1\nfrom nowhere\n", &got); !errors.Is(err, ErrMalformed) {
		t.Errorf("error is %v", err)
	}
}
