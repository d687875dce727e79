package server

import (
	"slices"
	"strings"
)

// openings are the ways in which clients begin behind TLS that do not say who they
// are, which those do that resume nothing on data connections: an administrator
// wants to know of whom. The first that fits is taken.
var openings = []struct{ verbs, software string }{
	{"USER PASS PBSZ PROT PWD ", "curl"},
	{"USER PASS PBSZ PROT SYST PWD TYPE ", "wget"},
	{"USER PASS PBSZ PROT FEAT ", "goftp"},
	{"USER PASS FEAT TYPE OPTS PBSZ PROT ", "jlaffaye/ftp, rclone"},
	{"PBSZ PROT USER PASS ", "PHP, Perl's Net::FTP"},
	{"USER PASS PBSZ PROT ", "Python's ftplib, Java's commons-net"},
}

const openingLength = 40 // of which no more is kept

// observe remembers how a client begins.
func (s *session) observe(c *command) {
	if s.tls != nil && len(s.opening) < openingLength {
		s.opening += c.name + " "
	}
}

// software is what the client is, as it says or as it seems from how it behaves.
func (s *session) software() string {
	switch {
	case s.client != "":
		return s.client
	case slices.Contains(s.tls.alpn, "x-filezilla-ftp"): // a protocol of its own that only it has
		return "FileZilla"
	}
	for _, o := range openings {
		if strings.HasPrefix(s.opening, o.verbs) {
			return "unknown, begins as " + o.software
		}
	}
	return "unknown"
}
