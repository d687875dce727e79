package server

import (
	"context"
	"strings"

	"portreeve/userdb"
)

// The commands of RFC 2228, with the replies it gives, as RFC 4217 has them for
// TLS.

// usesTLS: without it none of these commands is here.
func usesTLS(c *Config) bool { return c.TLS > 0 }

// mechanisms are the words for TLS. SSL and TLS-P are an old draft's, by which
// the data is protected too without a PROT; clients still say them.
var mechanisms = map[string]struct{ private bool }{"TLS": {}, "TLS-C": {}, "SSL": {true}, "TLS-P": {true}}

// cmdAUTH begins TLS; the handshake follows the reply.
func (s *session) cmdAUTH(_ context.Context, arg string) (reply, error) {
	mechanism, known := mechanisms[strings.ToUpper(arg)]
	switch {
	case !known:
		return say(504, "TLS is the only mechanism here"), nil
	case s.tls != nil:
		return say(503, "TLS was begun already"), nil
	case s.account != nil:
		return say(503, "AUTH comes before the login"), nil
	}
	if err := s.srv.canSecure(); err != nil {
		s.log.Error("AUTH", "err", err)
		return say(431, "TLS is not possible now"), nil
	}
	r := say(234, "Begin TLS")
	r.then = func(ctx context.Context) error {
		return s.secure(ctx, &secured{sized: mechanism.private, private: mechanism.private})
	}
	return r, nil
}

// cmdADAT has nothing to go on with: no mechanism here needs a second step.
func (s *session) cmdADAT(context.Context, string) (reply, error) {
	return say(503, "No exchange is under way"), nil
}

// cmdPBSZ must be said and means nothing, as TLS cuts its own records.
func (s *session) cmdPBSZ(_ context.Context, arg string) (reply, error) {
	if !s.encrypted() {
		return say(503, "AUTH TLS first"), nil
	}
	if n, err := digits(arg); err != nil || n >= 1<<32 {
		return say(501, "PBSZ takes a number of up to 32 bits"), nil
	}
	s.tls.sized = true
	return fixed(200, "PBSZ=0"), nil
}

// cmdPROT says whether data connections to come are protected, also one that is
// prepared. What is refused changes nothing.
func (s *session) cmdPROT(_ context.Context, arg string) (reply, error) {
	switch {
	case !s.encrypted():
		return say(503, "AUTH TLS first"), nil
	case !s.tls.sized:
		return say(503, "PBSZ first"), nil
	}
	switch strings.ToUpper(arg) {
	case "P":
		s.tls.private = true
		return say(200, "Data is protected"), nil
	case "C":
		if s.mustProtect() {
			return say(534, "Data must be protected here"), nil
		}
		s.tls.private = false
		return say(200, "Data is in clear"), nil
	case "S", "E":
		return say(536, "PROT is C or P with TLS"), nil
	}
	return say(504, "No such level of protection"), nil
}

// mustProtect tells whether data connections in clear are refused.
func (s *session) mustProtect() bool {
	return s.cfg.TLS >= 3 || s.account != nil && s.account.TLS == userdb.TLSData
}

// protects tells whether they are.
func (s *session) protects() bool { return s.tls != nil && s.tls.private }

// cmdCCC goes back to clear, with the user who is logged in: only for who has
// been allowed to (RFC 4217, section 12.3).
func (s *session) cmdCCC(context.Context, string) (reply, error) {
	switch {
	case !s.encrypted():
		return say(533, "The control connection is in clear"), nil
	case s.account == nil:
		return say(503, "CCC comes after the login"), nil
	case !s.cfg.AllowCCC || s.tls.implied:
		return say(534, "The control connection stays protected"), nil
	}
	r := say(200, "Going on in clear")
	r.then = s.clear
	return r, nil
}

// cmdMIC is MIC, CONF and ENC: commands that are protected one by one, which is
// for other mechanisms (RFC 2228, section 3).
func (s *session) cmdMIC(context.Context, string) (reply, error) {
	if s.encrypted() {
		return say(537, "TLS protects the whole connection"), nil
	}
	return say(503, "No exchange has taken place"), nil
}
