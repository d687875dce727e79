package server

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"portreeve/config"
)

// TestBulkUploadThatSlowsDown: what follows an upload's first rush in drops is
// stored as it comes, though the thread of the rush waited for more.
func TestBulkUploadThatSlowsDown(t *testing.T) {
	r := newRig(t)
	c := r.greet()
	data := c.epsv()
	c.cmd(150, "STOR f")
	sent := bytes.Repeat([]byte("rush"), stepMax) // a thread takes over behind the first step
	if _, err := data.Write(sent); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		stored(t, r.home, len(sent))
		sent = append(sent, "drop"...)
		if _, err := data.Write(sent[len(sent)-4:]); err != nil {
			t.Fatal(err)
		}
	}
	stored(t, r.home, len(sent))
	data.Close()
	c.want(226)
	if r.get("f") != string(sent) {
		t.Error("the file is another")
	}
}

// stored waits until the hidden file of an upload has so many bytes.
func stored(t *testing.T, home string, size int) {
	t.Helper()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	late := time.After(30 * time.Second)
	for {
		names, _ := filepath.Glob(filepath.Join(home, ".pureftpd-upload.*"))
		for _, name := range names {
			if info, err := os.Stat(name); err == nil && info.Size() == int64(size) {
				return
			}
		}
		select {
		case <-look.C:
		case <-late:
			t.Fatalf("%d bytes are not there", size)
		}
	}
}

// TestCongestionIsInherited: a data connection has what its port was given, and
// the name of none is no error.
func TestCongestionIsInherited(t *testing.T) {
	usual, err := os.ReadFile("/proc/sys/net/ipv4/tcp_congestion_control")
	if err != nil {
		t.Fatal(err)
	}
	system := strings.TrimSpace(string(usual))
	for name, want := range map[string]string{"reno": "reno", "": system, "no-such": system} {
		l, err := tcp{}.listen(netip.MustParseAddr("127.0.0.1"), config.PortRange{First: 30000, Last: 32000}, name)
		if err != nil {
			t.Fatal(err)
		}
		data, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		a := l.(*port).take()
		got, err := unix.GetsockoptString(a.fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION)
		if got = strings.TrimRight(got, "\x00"); err != nil || got != want {
			t.Errorf("%q: %q, %v", name, got, err)
		}
		a.close()
		data.Close()
		l.Close()
	}
}

// TestLowWaterEnds: whoever goes on behind a thread is woken by any byte.
func TestLowWaterEnds(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	file, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	f := &flow{ctx: t.Context()}
	err = onDescriptors(conn.(*net.TCPConn), file, func(conn, file int) {
		if n, err := f.receiveBulk(conn, file, 1<<20); n != 0 || err != nil {
			t.Errorf("received %d, %v", n, err)
		}
		if low, err := unix.GetsockoptInt(conn, unix.SOL_SOCKET, unix.SO_RCVLOWAT); low != 1 || err != nil {
			t.Errorf("low water is %d, %v", low, err)
		}
	}, new(error))
	if err != nil {
		t.Error(err)
	}
}
