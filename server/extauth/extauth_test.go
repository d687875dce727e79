package extauth

import (
	"bytes"
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
		grant + strings.Repeat("x:y\n", maxText) + "end\n", grant + strings.Repeat("x", maxText) + "\nend\n",
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

// serve runs a server of a shell script until the test ends.
func serve(t *testing.T, s *Server, script string) (ask func() (Reply, error), stop func()) {
	t.Helper()
	dir := t.TempDir()
	s.Program = filepath.Join(dir, "program")
	if err := os.WriteFile(s.Program, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	if s.AtOnce == 0 {
		s.AtOnce = 4
	}
	if s.TimeLimit == 0 {
		s.TimeLimit = time.Minute
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		done <- nil
	}
	t.Cleanup(stop)
	return func() (Reply, error) {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return Reply{}, err
		}
		defer conn.Close()
		return Ask(context.Background(), conn, request)
	}, stop
}

// The program sees what pure-authd's would.
func TestEnvironment(t *testing.T) {
	t.Setenv("AUTHD_REMOTE_IP", "forged")
	t.Setenv("AUTHD_MORE", "forged")
	t.Setenv("INHERITED", "yes")
	seen := filepath.Join(t.TempDir(), "env")
	ask, _ := serve(t, &Server{}, `env | grep -E '^(AUTHD|INHERITED)' | sort >`+seen+`; echo $# >>`+seen+`
cat <<END
auth_ok:1
uid:7
gid:8
dir:/home
end
END
exit 3`)
	if got, err := ask(); err != nil || got.Verdict != Granted || got.UID != 7 {
		t.Errorf("%+v, %v", got, err)
	}
	got, err := os.ReadFile(seen)
	if want := "AUTHD_ACCOUNT=joe\nAUTHD_CLIENT_SNI_NAME=ftp.example.com\nAUTHD_ENCRYPTED=1\nAUTHD_LOCAL_IP=192.0.2.1\nAUTHD_LOCAL_PORT=21\n" +
		"AUTHD_PASSWORD=pass word:with $signs\nAUTHD_REMOTE_IP=2001:db8::7\nINHERITED=yes\n0\n"; string(got) != want || err != nil {
		t.Errorf("the program sees (%v)\n%s", err, got)
	}
	r := map[string]string{"account": "joe", "password": "", "sni_name": ""}
	if got := environment(nil, r); len(got) != 1 || got[0] != "AUTHD_ACCOUNT=joe" {
		t.Errorf("empty values are set: %q", got)
	}
}

// Whatever a program does but answer refuses, in time, and says why in the log
// without the password.
func TestBadPrograms(t *testing.T) {
	for what, script := range map[string]string{
		"says nothing": "", "fails": "exit 1", "says half": "echo auth_ok:1; echo uid:1", "sleeps": "exec sleep 600",
		"leaves a child that sleeps": "sleep 600 2>/dev/null & wait", "never stops talking": "while :; do echo uid:1; done", "cannot run": "#",
	} {
		t.Run(what, func(t *testing.T) {
			var log bytes.Buffer
			s := &Server{TimeLimit: 300 * time.Millisecond, Log: slog.New(slog.NewTextHandler(&log, nil))}
			ask, stop := serve(t, s, script)
			if what == "cannot run" {
				os.Remove(s.Program)
			}
			if got, err := ask(); err != nil || got.Verdict != Refused {
				t.Errorf("%+v, %v", got, err)
			}
			stop()
			if said := log.String(); !strings.Contains(said, "account=joe") || strings.Contains(said, "pass word") {
				t.Errorf("the log says %q", said)
			}
		})
	}
	// Its child may stay, if it has let its output go or not.
	ask, _ := serve(t, &Server{}, "sleep 5 2>/dev/null & echo auth_ok:0; echo end")
	if got, err := ask(); err != nil || got.Verdict != Unknown {
		t.Errorf("with a child that stays: %+v, %v", got, err)
	}
}

// Several run at a time, as many as may, and a server that is stopped answers all.
func TestAtOnce(t *testing.T) {
	dir := t.TempDir()
	// Each waits for another one to be there.
	ask, stop := serve(t, &Server{AtOnce: 2}, `mkdir `+dir+`/first 2>/dev/null && { mkfifo `+dir+`/meet; read x <`+dir+`/meet; } || {
until [ -p `+dir+`/meet ]; do :; done; echo >`+dir+`/meet; }
echo auth_ok:0; echo end`)
	done := make(chan error, 2)
	for range 2 {
		go func() {
			got, err := ask()
			if err == nil && got.Verdict != Unknown {
				err = fmt.Errorf("%+v", got)
			}
			done <- err
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	stop()
	if _, err := ask(); err == nil {
		t.Error("it answers when it is stopped")
	}
}

// Who sends no request is not waited for by others.
func TestSilentClients(t *testing.T) {
	s := &Server{AtOnce: 1}
	ask, _ := serve(t, s, "echo auth_ok:0; echo end")
	for range 20 {
		conn, err := net.Dial("unix", filepath.Join(filepath.Dir(s.Program), "s"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "account:joe\n")
	}
	if got, err := ask(); err != nil || got.Verdict != Unknown {
		t.Errorf("%+v, %v", got, err)
	}
}

func FuzzReply(f *testing.F) {
	f.Add([]byte("auth_ok:1\nuid:42\ngid:43\ndir:/home/joe/./\nuser_quota_size:0\nend\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		values, end, err := readLines(bytes.NewReader(text))
		if err != nil || !end {
			return
		}
		r, err := parseReply(values)
		switch {
		case err != nil && r.Verdict != Refused:
			t.Errorf("%q: %+v besides %v", text, r, err)
		case r.Verdict == Granted && (r.UID <= 0 || r.GID <= 0 || r.Dir == "" || values["auth_ok"] == ""):
			t.Errorf("%q grants %+v", text, r)
		}
	})
}
