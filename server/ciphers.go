package server

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
)

// A cipherSuite is one that is offered with TLS 1.2, by its names in OpenSSL and
// in the standards, and the words of OpenSSL's cipher lists that it answers to.
// Only those that authenticate what they encrypt, and whose keys are of this
// connection alone, are here. What TLS 1.3 has is all like that and not chosen.
type cipherSuite struct {
	id        uint16
	name, own string // IANA's, OpenSSL's
	words     []string
}

// cipherSuites are in the order in which they are listed to the administrator.
var cipherSuites = []cipherSuite{
	{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256", []string{"ECDSA", "AECDSA", "AES", "AES128", "AESGCM", "SHA256"}},
	{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256", []string{"ARSA", "AES", "AES128", "AESGCM", "SHA256"}},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384", []string{"ECDSA", "AECDSA", "AES", "AES256", "AESGCM", "SHA384"}},
	{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384", []string{"ARSA", "AES", "AES256", "AESGCM", "SHA384"}},
	{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", []string{"ECDSA", "AECDSA", "CHACHA20"}},
	{tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305", []string{"ARSA", "CHACHA20"}},
}

// every are the words of OpenSSL's lists that stand for all of these suites, and
// none those that stand for suites which are not offered, so that what asks for
// them asks for nothing and what forbids them is obeyed.
var (
	every = strings.Fields("ALL DEFAULT HIGH TLSv1.2 ECDHE EECDH kECDHE kEECDH ECDH TLSv1 AEAD")
	none  = strings.Fields(`MEDIUM LOW EXP EXPORT EXPORT40 EXPORT56 NULL eNULL aNULL SSLv2 SSLv3 TLSv1.0 TLSv1.1
		COMPLEMENTOFALL COMPLEMENTOFDEFAULT RSA kRSA DH DHE EDH kDHE kEDH ADH AECDH DSS aDSS PSK kPSK kRSAPSK kECDHEPSK
		kDHEPSK aPSK SRP kSRP KRB5 GOST aGOST kGOST FIPS MD5 SHA SHA1 RC2 RC4 DES 3DES IDEA SEED CAMELLIA CAMELLIA128
		CAMELLIA256 ARIA ARIA128 ARIA256 ARIAGCM AESCCM AESCCM8 SUITEB128 SUITEB192 CBC`)
	// parts are what OpenSSL's names of suites are put together from.
	parts = strings.Fields(`ECDHE DHE EDH ECDH DH ADH AECDH RSA ECDSA DSS PSK SRP KRB5 EXP EXP1024 AES AES128 AES256 GCM CCM
		CCM8 CBC CBC3 CHACHA20 POLY1305 CAMELLIA128 CAMELLIA256 ARIA128 ARIA256 SEED IDEA DES RC2 RC4 MD5 SHA SHA256 SHA384 NULL`)
	// tls13 are the suites of TLS 1.3.
	tls13 = strings.Fields("TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256")
)

// A cipherChoice is what TLSCipherSuite says.
type cipherChoice struct {
	ids     []uint16 // for TLS 1.2; none: TLS 1.3 alone
	demands bool     // "-C:": clients must have a certificate
}

// parseCiphers reads a list as OpenSSL's ciphers(1) has it, and Pure-FTPd's
// prefixes to it: names, and words for many, added in turn, or taken away by "-"
// or for good by "!". "+", and their order, are for a server that prefers some;
// here the fastest on both sides is taken of those that are left.
func parseCiphers(text string) (cipherChoice, error) {
	c := cipherChoice{}
	text = strings.TrimSpace(text)
	if rest, found := strings.CutPrefix(text, "-S:"); found {
		text = rest
	} else if rest, found := strings.CutPrefix(text, "-C:"); found {
		text, c.demands = rest, true
	}
	var killed, chosen []uint16
	only13, said := false, 0
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(": ,;", r) }) {
		said++
		if strings.HasPrefix(word, "@") { // @STRENGTH and @SECLEVEL sort, and demand what is so here
			continue
		}
		op := word[0]
		name := strings.TrimLeft(word, "+-!")
		ids, known := suitesOf(name)
		switch {
		case !known:
			return c, fmt.Errorf("%q is no cipher suite; those that can be chosen are %s", name, suiteNames())
		case op == '!':
			killed = append(killed, ids...)
		case op == '-':
			chosen = slices.DeleteFunc(chosen, func(id uint16) bool { return slices.Contains(ids, id) })
		case op != '+':
			only13 = only13 || slices.Contains(tls13, strings.ToUpper(name))
			chosen = append(chosen, ids...)
		}
	}
	for _, s := range cipherSuites {
		if (said == 0 || slices.Contains(chosen, s.id)) && !slices.Contains(killed, s.id) {
			c.ids = append(c.ids, s.id)
		}
	}
	if len(c.ids) == 0 && !only13 {
		return c, fmt.Errorf("%q leaves no cipher suite; those that can be chosen are %s", text, suiteNames())
	}
	return c, nil
}

// suitesOf returns the suites that one name or word stands for, and whether it
// is one at all. A suite that OpenSSL has and this server has not is known.
func suitesOf(word string) (ids []uint16, known bool) {
	combined := strings.Split(word, "+") // "ECDHE+AESGCM" is those that are both
	for _, s := range cipherSuites {
		if !slices.ContainsFunc(combined, func(w string) bool { return !s.answers(w) }) {
			ids = append(ids, s.id)
		}
	}
	return ids, !slices.ContainsFunc(combined, func(w string) bool { return !isCipherWord(w) })
}

func (s *cipherSuite) answers(word string) bool {
	same := func(w string) bool { return strings.EqualFold(w, word) }
	return same(s.name) || same(s.own) || slices.ContainsFunc(s.words, same) || slices.ContainsFunc(every, same)
}

func isCipherWord(word string) bool {
	same := func(w string) bool { return strings.EqualFold(w, word) }
	if slices.ContainsFunc(every, same) || slices.ContainsFunc(none, same) || slices.ContainsFunc(tls13, same) ||
		slices.ContainsFunc(cipherSuites, func(s cipherSuite) bool { return s.answers(word) }) {
		return true
	}
	pieces := strings.Split(word, "-")
	return len(pieces) > 1 && !slices.ContainsFunc(pieces, func(p string) bool { return !slices.Contains(parts, strings.ToUpper(p)) })
}

// suiteNames lists what may be chosen.
func suiteNames() string {
	var names []string
	for _, s := range cipherSuites {
		names = append(names, s.own)
	}
	return strings.Join(names, " ")
}
