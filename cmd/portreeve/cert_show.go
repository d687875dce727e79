package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portreeve/config"
	"portreeve/server"
	"portreeve/server/cert"
)

type certShowOptions struct {
	source *configSource
	files  []string
	json   bool
}

func newCertShow(e *env) *cobra.Command {
	opts := certShowOptions{source: &configSource{env: e, given: new(config.Given[server.Config])}}
	cmd := &cobra.Command{
		Use:   "show [CERT[,KEY]...]",
		Short: "Explain the certificates of the configuration, or of files",
		Long: `Show explains the certificates that the configuration names, or those in the
given files: for which names they are, who signed them, how long they are valid,
what kind of key they have, which names in a handshake lead to them, and what
should be mended. It reads the files itself; portreeve status tells what a
running server shows.

The exit status is 1 if there is anything to mend.

` + exitStatusHelp,
		Example: `  portreeve cert show
  portreeve cert show /etc/ssl/ftp.pem,/etc/ssl/ftp.key
  portreeve cert show --json | jq '.[].not_after'`,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.BoolVar(&opts.json, "json", false, "print as JSON")
	addConfigFlag(cmd, opts.source)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		opts.files = args
		return runCertShow(e, opts)
	}
	return cmd
}

func runCertShow(e *env, opts certShowOptions) error {
	cfg, _, err := opts.source.load()
	if err != nil {
		return err
	}
	var infos []cert.Info
	note := ""
	if len(opts.files) > 0 {
		pairs, err := parsePairs(opts.files)
		if err != nil {
			return err
		}
		infos = inspectFiles(pairs)
	} else {
		infos = cert.Inspect(cert.Options{Files: certPairs(cfg), ACME: acmeOptions(cfg)})
		if !cfg.UsesTLS() {
			note = "TLS is 0: the server shows none to clients.\n"
		}
	}
	if opts.json {
		err = writeJSON(e.out, infos)
	} else {
		err = writeCerts(e.out, infos, note)
	}
	if err != nil {
		return err
	}
	return certFaults(infos)
}

// parsePairs reads files as CertFile would.
func parsePairs(files []string) ([]cert.Pair, error) {
	var given server.Config
	for _, file := range files {
		var one server.Config
		if err := server.Directives.Set(&one, "CertFile", file); err != nil {
			return nil, usagef("%w", err)
		}
		given.CertFile = append(given.CertFile, one.CertFile...)
	}
	return certPairs(given), nil
}

// inspectFiles describes files without saying for whom they are shown, which is a
// matter of the configuration.
func inspectFiles(pairs []cert.Pair) []cert.Info {
	infos := cert.Inspect(cert.Options{Files: pairs})
	for i := range infos {
		infos[i].Default, infos[i].ShownFor = false, []string{}
	}
	return infos
}

func writeCerts(w io.Writer, infos []cert.Info, note string) error {
	var b strings.Builder
	if len(infos) == 0 {
		b.WriteString("No certificate is configured; \"portreeve cert new\" makes one.\n")
	}
	for i, info := range infos {
		if i > 0 {
			b.WriteString("\n")
		}
		file := info.File
		if info.Key != "" {
			file += ", key in " + info.Key
		}
		fmt.Fprintf(&b, "%s\n", visible(file))
		writeCertLines(&b, info, time.Now())
	}
	if len(infos) > 0 && note != "" {
		b.WriteString("\n" + note)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeCertLines writes what is known of a certificate, a fact a line.
func writeCertLines(b *strings.Builder, c cert.Info, now time.Time) {
	line := func(name, text string) {
		for _, part := range config.Wrap(visible(text), 80-12) {
			fmt.Fprintf(b, "  %-9s %s\n", name, part)
			name = ""
		}
	}
	if c.Usable() {
		line("names", strings.Join(c.Names, ", "))
		issuer := c.Issuer
		if c.SelfSigned {
			issuer = "itself: users are asked whether they trust it"
		}
		if c.ACME {
			issuer += ", asked by ACME"
		}
		line("issuer", issuer)
		line("valid", fmt.Sprintf("%s to %s (%s)", c.NotBefore.Local().Format(time.DateTime), c.NotAfter.Local().Format(time.DateTime), daysLeft(c, now)))
		line("key", c.KeyType)
		line("SHA-256", c.Fingerprint)
		line("shown for", shownFor(c))
	}
	for _, p := range c.Problems {
		line("to mend", p)
	}
	if c.ACME && !c.Usable() {
		line("names", strings.Join(c.Names, ", "))
	}
	if c.Error != "" {
		line("fault", c.Error)
	}
}

// shownFor says which names in a handshake lead to a certificate.
func shownFor(c cert.Info) string {
	names := strings.Join(c.ShownFor, ", ")
	switch {
	case c.Default && names != "":
		return names + "; whoever asks for another name, or for none"
	case c.Default:
		return "whoever asks for a name that no certificate has, or for none"
	}
	return names
}

// certFaults is nil if there is nothing to mend.
func certFaults(infos []cert.Info) error {
	faulty := 0
	for _, c := range infos {
		if c.Error != "" || len(c.Problems) > 0 {
			faulty++
		}
	}
	switch {
	case faulty == 0:
		return nil
	case len(infos) == 1:
		return errors.New("the certificate needs mending")
	}
	return fmt.Errorf("%d of %d certificates need mending", faulty, len(infos))
}
