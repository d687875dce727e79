// Package extauth lets a program decide who may log in, over the socket of
// Pure-FTPd's pure-authd: what is asked there, and what the answers mean.
package extauth

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"portreeve/server/query"
	"portreeve/userdb"
)

// A Request is a client's try to log in.
type Request struct {
	Account, Password string
	Local             netip.AddrPort // our end of its connection
	Peer              netip.Addr
	SNI               string // the host that it asked for as TLS began
	Encrypted         bool
}

// parts are what a request consists of: the key of its line, the variable by which
// the program gets it, and its value. Their order is pure-ftpd's.
var parts = []struct {
	key, variable string
	value         func(*Request) string
}{
	{"account", "AUTHD_ACCOUNT", func(r *Request) string { return r.Account }},
	{"password", "AUTHD_PASSWORD", func(r *Request) string { return r.Password }},
	{"localhost", "AUTHD_LOCAL_IP", func(r *Request) string { return r.Local.Addr().String() }},
	{"localport", "AUTHD_LOCAL_PORT", func(r *Request) string { return strconv.Itoa(int(r.Local.Port())) }},
	{"peer", "AUTHD_REMOTE_IP", func(r *Request) string { return r.Peer.String() }},
	{"sni_name", "AUTHD_CLIENT_SNI_NAME", func(r *Request) string { return r.SNI }},
	{"encrypted", "AUTHD_ENCRYPTED", func(r *Request) string { return map[bool]string{true: "1", false: "0"}[r.Encrypted] }},
}

// Protocol is what pure-authd speaks. A program that says nothing of use refuses: an
// empty answer would be taken for "unknown", and others be asked.
func Protocol() query.Protocol {
	p := query.Protocol{Variables: make(map[string]string), Prefix: "AUTHD_", Subject: "account", Refusal: "auth_ok:-1"}
	for _, part := range parts {
		p.Variables[part.key] = part.variable
	}
	return p
}

// A Verdict is what becomes of a login.
type Verdict int

// Verdicts. The zero value refuses.
const (
	Refused Verdict = iota
	Unknown         // no such user here: others may be asked
	Granted
)

// A Reply is an answer. Everything but the verdict is there only if it is Granted.
type Reply struct {
	Verdict  Verdict
	UID, GID int
	Dir      string // as it was said, with "/./" perhaps
	userdb.Limits
}

// ErrReply means that there was an answer and that it was none: it has no end, or
// grants what it does not describe. It refuses.
var ErrReply = errors.New("bad reply")

// Ask sends a request and reads the answer. An error that is not ErrReply means
// that none came. Closing the connection is the caller's.
func Ask(ctx context.Context, conn net.Conn, r Request) (Reply, error) {
	var question []query.Line
	for _, p := range parts {
		question = append(question, query.Line{Key: p.key, Value: p.value(&r)})
	}
	answer, err := query.Ask(ctx, conn, question)
	switch {
	case errors.Is(err, query.ErrNoEnd):
		return Reply{}, fmt.Errorf("%w: %w", ErrReply, err)
	case err != nil:
		return Reply{}, err
	}
	return parseReply(answer)
}

func parseReply(answer map[string]string) (Reply, error) {
	switch strings.TrimSpace(answer["auth_ok"]) {
	case "1":
	case "0":
		return Reply{Verdict: Unknown}, nil
	case "-1":
		return Reply{}, nil
	default:
		return Reply{}, fmt.Errorf("%w: auth_ok is %.20q", ErrReply, answer["auth_ok"])
	}
	r := Reply{Verdict: Granted, Dir: answer["dir"]}
	if r.Dir == "" {
		return Reply{}, fmt.Errorf("%w: it has no dir", ErrReply)
	}
	var files, bytes int64 = -1, -1
	for _, n := range []struct {
		key         string
		least, most int64
		set         func(int64)
	}{
		{"uid", 1, math.MaxUint32 - 1, func(n int64) { r.UID = int(n) }},
		{"gid", 1, math.MaxUint32 - 1, func(n int64) { r.GID = int(n) }},
		{"throttling_bandwidth_ul", 0, math.MaxInt64, func(n int64) { r.UploadRate = n }},
		{"throttling_bandwidth_dl", 0, math.MaxInt64, func(n int64) { r.DownloadRate = n }},
		{"user_quota_files", 0, math.MaxInt64, func(n int64) { files = n }},
		{"user_quota_size", 0, math.MaxInt64, func(n int64) { bytes = n }},
		{"ratio_upload", 0, math.MaxInt32, func(n int64) { r.UploadRatio = int(n) }},
		{"ratio_download", 0, math.MaxInt32, func(n int64) { r.DownloadRatio = int(n) }},
		{"per_user_max", 0, math.MaxInt32, func(n int64) { r.MaxSessions = int(n) }},
	} {
		text, said := answer[n.key]
		if !said && n.least == 0 {
			continue
		}
		value, err := strconv.ParseUint(strings.TrimSpace(text), 10, 63)
		if err != nil || int64(value) < n.least || int64(value) > n.most {
			return Reply{}, fmt.Errorf("%w: %s is %.30q", ErrReply, n.key, text)
		}
		n.set(int64(value))
	}
	if files >= 0 {
		r.QuotaFiles = userdb.LimitOf(files)
	}
	if bytes >= 0 {
		r.QuotaBytes = userdb.LimitOf(bytes)
	}
	r.Perms = userdb.AllPerms
	return r, nil
}
