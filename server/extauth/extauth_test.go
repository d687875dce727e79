package extauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portreeve/server/query"
	"portreeve/userdb"
)

var request = Request{Account: "joe", Password: "pass word:with $signs", Local: netip.MustParseAddrPort("192.0.2.1:21"),
	Peer: netip.MustParseAddr("2001:db8::7"), SNI: "ftp.example.com", Encrypted: true}

// ask has a request answered by text.
func ask(t *testing.T, text string) (Reply, error) {
	t.Helper()
	here, there := net.Pipe()
	defer here.Close()
	go func() {
		defer there.Close()
		buf := make([]byte, 4096)
		n, _ := there.Read(buf)
		if want := "account:joe\npassword:pass word:with $signs\nlocalhost:192.0.2.1\nlocalport:21\npeer:2001:db8::7\n" +
			"sni_name:ftp.example.com\nencrypted:1\nend\n"; string(buf[:n]) != want {
			t.Errorf("asked\n%s", buf[:n])
		}
		_, _ = io.WriteString(there, text)
	}()
	return Ask(t.Context(), here, request)
}

func TestAsk(t *testing.T) {
	got, err := ask(t, "auth_ok:1\nuid:42\r\ngid: 43\ndir:/home/joe/./\nslow_tilde_expansion:1\nthrottling_bandwidth_ul:1000\n"+
		"throttling_bandwidth_dl:2000\nuser_quota_size:0\nuser_quota_files:5\nratio_upload:1\nratio_download:3\nper_user_max:2\nwhatever\nx:y\nend\ntoo late")
	want := Reply{Verdict: Granted, UID: 42, GID: 43, Dir: "/home/joe/./", Limits: userdb.Limits{UploadRate: 1000, DownloadRate: 2000,
		QuotaBytes: userdb.LimitOf(0), QuotaFiles: userdb.LimitOf(5), UploadRatio: 1, DownloadRatio: 3, MaxSessions: 2, Perms: userdb.AllPerms}}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
	const grant = "auth_ok:1\nuid:1\ngid:1\ndir:/home\n"
	for text, want := range map[string]Verdict{
		"auth_ok:0\nend\n": Unknown, "auth_ok:-1\nend\n": Refused, "auth_ok:0\nuid:\ngid:x\nend\n": Unknown, grant + "end\n": Granted, grant + "end": Granted,
		"auth_ok:1\nauth_ok:-1\nend\n": Refused, grant + "auth_ok:0\nend\n": Unknown,
	} {
		if got, err := ask(t, text); err != nil || got.Verdict != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	// Whatever is not all there refuses.
	for _, text := range []string{
		"", "\n", "end\n", "auth_ok:1", "auth_ok:1\nend\n", grant, grant + "endless\n", grant + " end\n", "auth_ok:2\nend\n", "auth_ok:01\nend\n", "auth_ok:yes\nend\n",
		"auth_ok:1\nuid:1\ngid:1\nend\n", "auth_ok:1\nuid:1\ndir:/home\nend\n", "auth_ok:1\ngid:1\ndir:/home\nend\n",
		grant + "uid:0\nend\n", grant + "gid:0\nend\n", grant + "uid:-1\nend\n", grant + "uid:4294967295\nend\n", grant + "uid:99999999999999999999\nend\n",
		grant + "uid:joe\nend\n", grant + "dir:\nend\n", grant + "user_quota_size:\nend\n", grant + "user_quota_size:-1\nend\n", grant + "user_quota_files:many\nend\n",
		grant + "throttling_bandwidth_ul:fast\nend\n", grant + "ratio_upload:0.5\nend\n", grant + "per_user_max:1e3\nend\n",
		grant + strings.Repeat("x:y\n", 16<<10) + "end\n", grant + strings.Repeat("x", 16<<10) + "\nend\n",
	} {
		if got, err := ask(t, text); !errors.Is(err, ErrReply) || got.Verdict != Refused || got.UID != 0 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60q: %+v, %v", text, got, err)
		}
	}
	bad := request
	bad.Account = "joe\nencrypted:1"
	if _, err := Ask(t.Context(), nil, bad); err == nil {
		t.Error("a name of two lines is asked about")
	}
}

// Nobody waits for longer than wanted.
func TestAskGivesUp(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	go func() {
		_, _ = there.Read(make([]byte, 4096))
		cancel(enough)
	}()
	if got, err := Ask(ctx, here, request); !errors.Is(err, enough) || got.Verdict != Refused {
		t.Errorf("%+v, %v", got, err)
	}
}

// A program sees what pure-authd's would, and its answer comes back.
func TestThroughProgram(t *testing.T) {
	t.Setenv("AUTHD_REMOTE_IP", "forged")
	dir := t.TempDir()
	program, seen := filepath.Join(dir, "program"), filepath.Join(dir, "env")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nenv | grep ^AUTHD | sort >"+seen+`
printf 'auth_ok:1\nuid:7\ngid:8\ndir:/home\nend\n'
`), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	s := &query.Server{Protocol: Protocol(), Program: program, TimeLimit: time.Minute, AtOnce: 1, Log: slog.New(slog.DiscardHandler)}
	go func() { done <- s.Serve(ctx, l) }()
	conn, err := net.Dial("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got, err := Ask(t.Context(), conn, request); err != nil || got.Verdict != Granted || got.UID != 7 {
		t.Errorf("%+v, %v", got, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	got, err := os.ReadFile(seen)
	if want := "AUTHD_ACCOUNT=joe\nAUTHD_CLIENT_SNI_NAME=ftp.example.com\nAUTHD_ENCRYPTED=1\nAUTHD_LOCAL_IP=192.0.2.1\nAUTHD_LOCAL_PORT=21\n" +
		"AUTHD_PASSWORD=pass word:with $signs\nAUTHD_REMOTE_IP=2001:db8::7\n"; string(got) != want || err != nil {
		t.Errorf("the program sees (%v)\n%s", err, got)
	}
	// What it says for a program that fails refuses, whatever others say.
	if got, err := ask(t, Protocol().Refusal+"\nend\n"); err != nil || got.Verdict != Refused {
		t.Errorf("the refusal is %+v, %v", got, err)
	}
}

func FuzzReply(f *testing.F) {
	f.Add("1", "42", "43", "/home/joe/./", "0")
	f.Fuzz(func(t *testing.T, ok, uid, gid, dir, size string) {
		r, err := parseReply(map[string]string{"auth_ok": ok, "uid": uid, "gid": gid, "dir": dir, "user_quota_size": size})
		switch {
		case err != nil && r.Verdict != Refused:
			t.Errorf("%+v besides %v", r, err)
		case r.Verdict == Granted && (r.UID <= 0 || r.GID <= 0 || r.Dir == "" || ok == ""):
			t.Errorf("%q grants %+v", ok, r)
		}
	})
}
