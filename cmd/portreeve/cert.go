package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portreeve/config"
	"portreeve/server"
	"portreeve/server/cert"
)

func newCert(e *env) *cobra.Command {
	group := newGroup("cert", "Make a certificate, or explain those that there are", `  portreeve cert new ftp.example.org
  portreeve cert show`,
		newCertNew(e), newCertShow(e))
	group.Long = `TLS needs a certificate, which the directive CertFile names. Cert new makes one
that is signed with itself: it encrypts as well as any other, but users are
asked whether they trust it. One that clients trust by themselves comes from an
authority; the server takes it from the files that certbot and its like leave,
chain and key (CertFile FULLCHAIN,KEY), or obtains it itself (ACME).`
	return group
}

type certNewOptions struct {
	source   *configSource
	hosts    []string
	days     int
	out, key string
	force    bool
}

// defaultDays is how long a certificate lasts unless --days says otherwise:
// no more than some clients accept of any.
const defaultDays = 825

func newCertNew(e *env) *cobra.Command {
	opts := certNewOptions{source: &configSource{env: e, given: new(config.Given[server.Config])}}
	cmd := &cobra.Command{
		Use:   "new [NAME|ADDRESS...]",
		Short: "Make a certificate that is signed with itself",
		Long: `New makes a key (ECDSA P-256) and a certificate for the names and addresses by
which clients reach the server; "*." before a domain stands for every name in
it. Without any they are guessed: the name of this host, its addresses, and what
ForcePassiveIP says.

Key and certificate go into one file, or into two with --key. Only their owner
can read them, so make them as the user who runs the server. A file that is
there stays, unless --force replaces it. A running server whose configuration
names the file shows the new certificate within seconds.

` + exitStatusHelp,
		Example: `  portreeve cert new
  portreeve cert new ftp.example.org 192.0.2.1 --days 365
  portreeve cert new ftp.example.org --out ./cert.pem --key ./key.pem`,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.IntVar(&opts.days, "days", defaultDays, "how many `days` it is valid")
	fs.StringVar(&opts.out, "out", "", "`file` to write, by default that of the first CertFile, or else\n"+systemCert+" for root and portreeve.pem in the state folder for others")
	fs.StringVar(&opts.key, "key", "", "`file` for the key, if it is to be another")
	fs.BoolVar(&opts.force, "force", false, "replace what is there")
	addConfigFlag(cmd, opts.source)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		opts.hosts = args
		return runCertNew(cmd.Context(), e, opts)
	}
	return cmd
}

func runCertNew(ctx context.Context, e *env, opts certNewOptions) error {
	if opts.days < 1 || opts.days > 36500 {
		return usagef("--days is from 1 to 36500")
	}
	cfg, _, err := opts.source.load()
	if err != nil {
		return err
	}
	pair, err := opts.pair(e, cfg)
	if err != nil {
		return err
	}
	hosts, err := certHosts(opts.hosts)
	if err != nil {
		return err
	}
	if len(hosts) == 0 {
		hosts = guessHosts(ctx, cfg.PassiveIP)
	}
	// Clocks differ: a certificate of this second is not valid yet for some.
	now := time.Now().Truncate(time.Second)
	certText, keyText, err := cert.SelfSigned(hosts, now.Add(-time.Hour), now.AddDate(0, 0, opts.days))
	if err != nil {
		return err
	}
	for _, name := range []string{pair.Cert, pair.Key} {
		if name == "" {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return fmt.Errorf("making the folder of the certificate: %w", err)
		}
	}
	err = cert.Save(pair, certText, keyText, opts.force)
	if errors.Is(err, fs.ErrExist) {
		return withHint(err, "--force replaces it, --out names another file")
	}
	if err != nil {
		return err
	}
	return writeCertMade(e.out, pair, cfg)
}

// pair is where the certificate goes.
func (o certNewOptions) pair(e *env, cfg server.Config) (cert.Pair, error) {
	pair := cert.Pair{Cert: o.out, Key: o.key}
	switch {
	case o.out == "" && o.key != "":
		return pair, usagef("--key needs --out, the file of the certificate")
	case o.out == "" && len(cfg.CertFile) > 0:
		return cert.Pair(cfg.CertFile[0]), nil
	case o.out == "":
		pair.Cert = e.defaultCert()
	}
	for _, name := range []*string{&pair.Cert, &pair.Key} {
		if err := config.Path(name).Set(*name); err != nil {
			return pair, usagef("%w", err)
		}
	}
	if pair.Key == pair.Cert {
		pair.Key = ""
	}
	return pair, nil
}

// certHosts checks the names and addresses for a certificate.
func certHosts(words []string) ([]string, error) {
	var hosts []string
	for _, word := range words {
		host := strings.ToLower(strings.TrimSuffix(word, "."))
		if addr, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil && addr.Zone() == "" {
			host = addr.Unmap().String()
		} else if !config.IsHostName(strings.TrimPrefix(host, "*.")) {
			return nil, usagef("%q is neither a name nor an address; names in other scripts need their xn-- form", word)
		}
		if !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts, nil
}

// guessHosts returns the names and addresses by which clients probably reach this
// host; passiveIP is what they are told of it.
func guessHosts(ctx context.Context, passiveIP string) []string {
	var hosts []string
	add := func(host string) {
		if checked, err := certHosts([]string{host}); err == nil && !slices.Contains(hosts, checked[0]) {
			hosts = append(hosts, checked[0])
		}
	}
	if name, err := os.Hostname(); err == nil {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second) // asking may go to the network
		defer cancel()
		if full, err := net.DefaultResolver.LookupCNAME(ctx, name); err == nil {
			add(full)
		}
		add(name)
	}
	if passiveIP != "" {
		add(passiveIP)
	}
	addrs, _ := net.InterfaceAddrs() // none is a guess, too
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			add(n.IP.String())
		}
	}
	if len(hosts) == 0 {
		hosts = []string{"localhost"}
	}
	return hosts
}

func writeCertMade(w io.Writer, pair cert.Pair, cfg server.Config) error {
	var b strings.Builder
	fmt.Fprintf(&b, "made %s\n", visible(pair.String()))
	info := inspectFiles([]cert.Pair{pair})[0]
	writeCertLines(&b, info, time.Now())
	named := slices.Contains(cfg.CertFile, server.KeyPair(pair))
	switch {
	case named && cfg.UsesTLS():
		b.WriteString("\nThe configuration names it; a running server shows it within seconds.\n")
	default:
		b.WriteString("\nportreeve.conf needs:\n\n")
		if !named {
			b.WriteString(config.Line("CertFile", pair.String()) + "\n")
		}
		if !cfg.UsesTLS() {
			b.WriteString(config.Line("TLS", "1") + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
