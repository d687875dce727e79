package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
)

// A cause is why a data connection was never made, as far as this end can tell.
type cause int

const (
	causePrivate cause = iota
	causeSilent
	causeStranger
	causeNoHeader
	causeLate
	causePortsTaken
	causeCrowded
	causeNoSocket
	causeRefused
	causeTimeout
	causeUnreachable
	causeForbidden
	causeNoTLS
	causeSilentTLS
	causeBrokenTLS
	causeUnbound
	causeOther
	numCauses
)

// causes tells each in a word for programs, in a sentence for the log, and which
// directive helps, if one does.
var causes = [numCauses]struct{ word, text, hint string }{
	causePrivate: {"private-address", "the client was told a private address after PASV, which it cannot reach from where it is",
		"set ForcePassiveIP to the address that clients reach"},
	causeSilent: {"silent", "nothing arrived at the passive port: a firewall or address translation may keep it from there",
		"let the ports of PassivePortRange through"},
	causeStranger: {"stranger", "only other addresses than the client's arrived: it may have several, or send from server to server",
		"AllowUserFXP lets other addresses in"},
	causeNoHeader: {"no-proxy-header", "the proxy sent no PROXY header on the data connection",
		"a proxy of ProxyFrom sends it on data ports too"},
	causeLate: {"late", "the client asked for a passive port and did not use it in time",
		"ConnectTimeout is that time"},
	causePortsTaken: {"ports-taken", "every passive port is taken",
		"widen PassivePortRange"},
	causeCrowded: {"crowded", "too many passive ports wait for their clients",
		"MaxPassivePorts is how many may"},
	causeNoSocket: {"no-socket", "no passive port could be opened", ""},
	causeRefused: {"refused", "the client refused the connection: a firewall or address translation may stand before it",
		"passive mode would help it"},
	causeTimeout: {"timeout", "the client did not answer: a firewall or address translation may stand before it",
		"passive mode would help it"},
	causeUnreachable: {"unreachable", "there is no way to the client's address",
		"passive mode would help it"},
	causeForbidden: {"forbidden", "this host's own firewall forbids the connection", ""},
	causeNoTLS:     {"tls-none", "the client asked for protected data and then sent it in clear", ""},
	causeSilentTLS: {"tls-silent", "the client asked for protected data, connected, and did not begin TLS", ""},
	causeBrokenTLS: {"tls-broken", "TLS could not be agreed on for the data connection", ""},
	causeUnbound: {"tls-unbound", "the data connection did not resume the TLS session of its control connection",
		"TLSDataBinding is what is asked of it"},
	causeOther: {"other", "the data connection could not be made", ""},
}

// A noData is a data connection that was never made. It is errNoData.
type noData struct {
	cause cause
	err   error // what came of it here; nil if nothing did
}

func (e *noData) Error() string {
	if e.err != nil {
		return fmt.Sprintf("%s: %v", causes[e.cause].text, e.err)
	}
	return causes[e.cause].text
}

func (e *noData) Unwrap() error        { return e.err }
func (e *noData) Is(target error) bool { return target == errNoData }

// dialFailed tells why we could not connect to a client.
func dialFailed(err error) *noData {
	e := &noData{causeOther, err}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		e.cause = causeRefused
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, errNoData):
		e.cause = causeTimeout
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL):
		e.cause = causeUnreachable
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		e.cause = causeForbidden
	}
	return e
}

// nobodyCame tells why nobody, or only strangers, came to a passive port.
func (p *passive) nobodyCame() *noData {
	switch {
	case p.headless > 0:
		return &noData{cause: causeNoHeader}
	case p.strangers > 0:
		return &noData{cause: causeStranger}
	case p.told.IsValid() && isPrivate(p.told) && !isPrivate(p.client):
		return &noData{cause: causePrivate}
	}
	return &noData{cause: causeSilent}
}

// unprotected tells why a data connection that was to have TLS has none. It was
// there, but is as good as never made.
func unprotected(err error) (*noData, bool) {
	switch {
	case errors.Is(err, errUnbound):
		return &noData{causeUnbound, err}, true
	case !errors.Is(err, errDataTLS):
		return nil, false
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return &noData{causeNoTLS, err}, true
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &noData{causeSilentTLS, err}, true
	}
	return &noData{causeBrokenTLS, err}, true
}

// dataFailures counts data connections that were never made, by cause.
type dataFailures [numCauses]atomic.Int64

// DataFailures tells how many data connections were never made, by the word of
// the likely cause. What has not happened is left out.
func (s *Server) DataFailures() map[string]int64 {
	all := make(map[string]int64)
	for i := range s.noData {
		if n := s.noData[i].Load(); n > 0 {
			all[causes[i].word] = n
		}
	}
	return all
}

// explain logs why there is no data connection, and counts it.
func (s *session) explain(e *noData, attrs ...any) {
	s.srv.noData[e.cause].Add(1)
	c := causes[e.cause]
	attrs = append(attrs, "cause", c.word, "why", c.text)
	if e.err != nil {
		attrs = append(attrs, "err", e.err)
	}
	if c.hint != "" {
		attrs = append(attrs, "hint", c.hint)
	}
	s.log.Warn("no data connection", attrs...)
}
