package userdb

import (
	"errors"
	"os/user"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"portreeve/config"
)

// Each attribute has one row that shows it, but for the name and the password:
// one without could not be set, two would say different things.
func TestFieldsAreComplete(t *testing.T) {
	rows := make(map[string]int)
	for _, f := range Fields {
		if f.AliasOf == "" {
			rows[f.Name]++
		}
	}
	u := full()
	for _, a := range attributes(reflect.ValueOf(&u).Elem()) {
		if a.Name == "Name" || a.Name == "Password" {
			continue
		}
		// The row is named as JSON names the field, and moves it and no other.
		name, _, _ := strings.Cut(a.Tag.Get("json"), ",")
		if rows[name] != 1 {
			t.Errorf("%s has %d rows called %q, not one", a.Name, rows[name], name)
			continue
		}
		delete(rows, name)
		var v User
		f, _ := Fields.Lookup(name)
		before := f.Bind(&v).String()
		target := reflect.ValueOf(&v).Elem().FieldByName(a.Name)
		target.Set(a.value)
		after := f.Bind(&v).String()
		if before == after {
			t.Errorf("row %q does not show %s: %q with %v, too", name, a.Name, after, a.value)
		}
		if f.Group == groupKept {
			continue
		}
		var w User
		if err := f.Bind(&w).Set(after); err != nil {
			t.Errorf("row %q shows %q, and does not take it: %v", name, after, err)
		}
		w.groupSaid = false
		if !reflect.DeepEqual(w, v) {
			t.Errorf("row %q set by %q gives %+v, not %+v", name, after, w, v)
		}
	}
	for name := range rows {
		t.Errorf("row %q is for no attribute", name)
	}
}

func TestFieldsAreDocumented(t *testing.T) {
	letters, flags := make(map[string]string), make(map[string]string)
	for _, f := range Fields {
		if f.Group == "" || f.Help == "" || !strings.HasSuffix(f.Help, ".") || strings.HasSuffix(f.Summary(), ".") {
			t.Errorf("%s: group %q, help %q", f.Name, f.Group, f.Help)
		}
		if other, taken := letters[f.Short]; taken && f.Short != "" {
			t.Errorf("-%s is both %s and %s", f.Short, other, f.Name)
		}
		if other, taken := flags[f.LongFlag()]; taken {
			t.Errorf("--%s is both %s and %s", f.LongFlag(), other, f.Name)
		}
		letters[f.Short], flags[f.LongFlag()] = f.Name, f.Name
		if strings.ContainsAny(f.LongFlag(), "_ ") || f.LongFlag() != strings.ToLower(f.LongFlag()) {
			t.Errorf("--%s is not how a flag is written", f.LongFlag())
		}
		if typ := f.Bind(new(User)).Type(); typ == "" {
			t.Errorf("%s: its argument has no name", f.Name)
		}
	}
	// Pure-FTPd's pure-pw has these letters for attributes.
	for _, letter := range strings.Split("c d D u g t T n N q Q y z r R i I", " ") {
		if letters[letter] == "" {
			t.Errorf("-%s is missing", letter)
		}
	}
	for _, f := range Editable() {
		if f.Group == groupKept {
			t.Errorf("%s cannot be set, but is among what can", f.Name)
		}
	}
	if len(Editable()) != len(Fields)-2 {
		t.Errorf("%d rows can be set, of %d", len(Editable()), len(Fields))
	}
}

func TestFieldsSet(t *testing.T) {
	for _, c := range []struct {
		row, text string
		shown     string
		got       func(u User) any
		want      any
	}{
		{"uid", "1234", "1234", func(u User) any { return u.UID }, 1234},
		{"gid", "4321", "4321", func(u User) any { return u.GID }, 4321},
		{"uid", "4294967294", "4294967294", func(u User) any { return int64(u.UID) }, int64(4294967294)},
		{"home", "/srv/ftp/", "/srv/ftp", func(u User) any { return u.Home }, "/srv/ftp"},
		{"home", "/srv//ftp/./", "/srv/ftp", func(u User) any { return u.Home }, "/srv/ftp"},
		{"home", "/", "/", func(u User) any { return u.Home }, "/"},
		{"home_caged", "/a", "/a", func(u User) any { return u.Caged }, true},
		{"home_free", "/a", "/a", func(u User) any { return u.Caged }, false},
		{"caged", "no", "no", func(u User) any { return u.Caged }, false},
		{"gecos", "Joe Doe", "Joe Doe", func(u User) any { return u.Gecos }, "Joe Doe"},
		{"gecos", "", "", func(u User) any { return u.Gecos }, ""},
		{"download_rate", "100", "100K", func(u User) any { return u.DownloadRate }, int64(102400)},
		{"upload_rate", "2M", "2M", func(u User) any { return u.UploadRate }, int64(2 << 20)},
		{"upload_rate", "1500B", "1500B", func(u User) any { return u.UploadRate }, int64(1500)},
		{"upload_rate", "0", "unlimited", func(u User) any { return u.UploadRate }, int64(0)},
		{"upload_rate", "", "unlimited", func(u User) any { return u.UploadRate }, int64(0)},
		{"upload_rate", "unlimited", "unlimited", func(u User) any { return u.UploadRate }, int64(0)},
		{"quota_files", "0", "0", func(u User) any { return u.QuotaFiles }, LimitOf(0)},
		{"quota_files", "", "unlimited", func(u User) any { return u.QuotaFiles }, Limit{}},
		{"quota_files", "100", "100", func(u User) any { return u.QuotaFiles }, LimitOf(100)},
		{"quota_bytes", "10", "10M", func(u User) any { return u.QuotaBytes }, LimitOf(10 << 20)},
		{"quota_bytes", "10G", "10G", func(u User) any { return u.QuotaBytes }, LimitOf(10 << 30)},
		{"quota_bytes", "0", "0", func(u User) any { return u.QuotaBytes }, LimitOf(0)},
		{"quota_bytes", "", "unlimited", func(u User) any { return u.QuotaBytes }, Limit{}},
		{"quota_bytes", "unlimited", "unlimited", func(u User) any { return u.QuotaBytes }, Limit{}},
		{"upload_ratio", "1", "1", func(u User) any { return u.UploadRatio }, 1},
		{"download_ratio", "", "none", func(u User) any { return u.DownloadRatio }, 0},
		{"max_sessions", "0", "unlimited", func(u User) any { return u.MaxSessions }, 0},
		{"max_sessions", "", "unlimited", func(u User) any { return u.MaxSessions }, 0},
		{"max_sessions", "7", "7", func(u User) any { return u.MaxSessions }, 7},
		{"hours", "900-1800", "0900-1800", func(u User) any { return u.Hours.String() }, "0900-1800"},
		{"hours", "", "", func(u User) any { return u.Hours }, Hours{}},
		{"allow_client", "10.1.1.1/8,::1", "10.0.0.0/8,::1", func(u User) any { return len(u.AllowClient) }, 2},
		{"deny_local", "", "", func(u User) any { return len(u.DenyLocal) }, 0},
		{"tls", "data", "data", func(u User) any { return u.TLS }, TLSData},
		{"tls", "", "optional", func(u User) any { return u.TLS }, TLSOptional},
		{"perms", "read,list", "list,read", func(u User) any { return u.Perms }, PermList | PermRead},
		{"perms", "", AllPerms.String(), func(u User) any { return u.Perms }, AllPerms},
		{"perms", "none", "none", func(u User) any { return u.Perms }, Perms(0)},
		{"disabled", "yes", "yes", func(u User) any { return u.Disabled }, true},
		{"expires", "", "never", func(u User) any { return u.Expires.IsZero() }, true},
		{"expires", "never", "never", func(u User) any { return u.Expires.IsZero() }, true},
	} {
		u := full()
		f, ok := Fields.Lookup(c.row)
		if !ok {
			t.Fatalf("no row %q", c.row)
		}
		v := f.Bind(&u)
		if err := v.Set(c.text); err != nil {
			t.Errorf("%s %q: %v", c.row, c.text, err)
			continue
		}
		if got := c.got(u); got != c.want {
			t.Errorf("%s %q sets %v, not %v", c.row, c.text, got, c.want)
		}
		if v.String() != c.shown {
			t.Errorf("%s %q is shown as %q, not %q", c.row, c.text, v.String(), c.shown)
		}
		if err := u.Validate(); err != nil {
			t.Errorf("%s %q is taken, but %v", c.row, c.text, err)
		}
	}
}

func TestFieldsRefuse(t *testing.T) {
	for row, texts := range map[string][]string{
		"uid":            {"0", "-1", "4294967295", "99999999999999999999", "", "root", "no such user"},
		"gid":            {"0", "-1", "4294967295", "", "root", "no such group"},
		"home":           {"", "srv", "./srv", "/srv/../etc", "/..", "/a:b", "/a\nb", "~/x"},
		"home_caged":     {"", "srv"},
		"home_free":      {"", "srv"},
		"gecos":          {"a:b", "a\nb", "\x00"},
		"caged":          {"", "maybe"},
		"disabled":       {"", "maybe"},
		"download_rate":  {"-1", "fast", "1.5", "9999999999T"},
		"upload_rate":    {"-1", "fast"},
		"quota_files":    {"-1", "1.5", "many", "10M"},
		"quota_bytes":    {"-1", "many", "9999999999P"},
		"upload_ratio":   {"0", "-1", "x", "1:5"},
		"download_ratio": {"0", "-1", "x"},
		"max_sessions":   {"-1", "x", "99999999999"},
		"hours":          {"9-5pm", "2400-0000"},
		"allow_client":   {"1.2.3", "10.0.0.0/33", "a b;c"},
		"perms":          {"fly"},
		"tls":            {"yes", "Login", "2"},
		"expires":        {"soon", "2027-02-30", "31.1.2027", "0001-01-01T00:00:00Z"},
		"created":        {"2027-01-01", ""},
		"changed":        {"2027-01-01", ""},
	} {
		for _, text := range texts {
			u := full()
			err := Fields.Set(&u, row, text)
			if err == nil {
				t.Errorf("%s takes %q", row, text)
				continue
			}
			if strings.ContainsAny(err.Error(), "\n\x00") {
				t.Errorf("%s %q: error of more than a line: %q", row, text, err)
			}
			if !reflect.DeepEqual(u, full()) && row != "gid" { // which notes that it was said
				t.Errorf("%s %q is refused, and changes %+v", row, text, u)
			}
		}
	}
	var u User
	if err := Fields.Set(&u, "uid", "0"); !errors.Is(err, ErrInvalid) {
		t.Errorf("uid 0: %v", err)
	}
	if err := Fields.Set(&u, "home", "x"); !errors.Is(err, ErrInvalid) {
		t.Errorf("home x: %v", err)
	}
}

// A system user's name brings its group, in whichever order the two are said,
// unless the group is said too.
func TestFieldsUserName(t *testing.T) {
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal("this system has no user nobody: ", err)
	}
	uid, _ := strconv.Atoi(nobody.Uid)
	gid, _ := strconv.Atoi(nobody.Gid)
	for _, c := range []struct {
		said []string
		want int
	}{
		{[]string{"uid", "nobody"}, gid},
		{[]string{"uid", "nobody", "gid", "77"}, 77},
		{[]string{"gid", "77", "uid", "nobody"}, 77},
	} {
		u := full()
		for said := range slices.Chunk(c.said, 2) {
			if err := Fields.Set(&u, said[0], said[1]); err != nil {
				t.Fatal(err)
			}
		}
		if u.UID != uid || u.GID != c.want {
			t.Errorf("%v: uid %d, gid %d", c.said, u.UID, u.GID)
		}
	}
	u := full()
	group, err := user.LookupGroupId(nobody.Gid)
	if err != nil {
		t.Fatal(err)
	}
	if err := Fields.Set(&u, "gid", group.Name); err != nil || u.GID != gid {
		t.Errorf("gid %s: %d, %v", group.Name, u.GID, err)
	}
}

func TestFieldsExpires(t *testing.T) {
	f, _ := Fields.Lookup("expires")
	for text, last := range map[string]time.Time{
		"2027-01-31":                time.Date(2027, 1, 31, 23, 59, 59, 0, time.Local),
		"2027-12-31":                time.Date(2027, 12, 31, 23, 59, 59, 0, time.Local),
		"2027-01-31 18:00":          time.Date(2027, 1, 31, 17, 59, 59, 0, time.Local),
		"2027-01-31 18:00:30":       time.Date(2027, 1, 31, 18, 0, 29, 0, time.Local),
		"2027-01-31T18:00:00+05:00": time.Date(2027, 1, 31, 12, 59, 59, 0, time.UTC),
	} {
		var u, again User
		if err := f.Bind(&u).Set(text); err != nil {
			t.Fatal(err)
		}
		if !u.Expires.After(last) || u.Expires.After(last.Add(time.Second)) {
			t.Errorf("%s expires at %v", text, u.Expires)
		}
		shown := f.Bind(&u).String()
		if err := f.Bind(&again).Set(shown); err != nil || !again.Expires.Equal(u.Expires) {
			t.Errorf("%s is shown as %s, which is %v, %v", text, shown, again.Expires, err)
		}
		if len(text) == len(time.DateOnly) && shown != text {
			t.Errorf("%s is shown as %s", text, shown)
		}
	}
}

// Patterns said twice add up, the first replacing what was there.
func TestFieldsLists(t *testing.T) {
	u := full()
	f, _ := Fields.Lookup("allow_client")
	v := f.Bind(&u)
	for _, text := range []string{"10.0.0.0/8", "::1,a.lan"} {
		if err := v.Set(text); err != nil {
			t.Fatal(err)
		}
	}
	if got := u.AllowClient.String(); got != "10.0.0.0/8,::1,a.lan" {
		t.Errorf("the list is %s", got)
	}
	if err := f.Bind(&u).Set(""); err != nil || len(u.AllowClient) != 0 {
		t.Errorf("after '': %v, %v", u.AllowClient, err)
	}
}

var _ config.Table[User] = Fields
