package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"os/user"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"portreeve/server"
	"portreeve/server/auth"
	"portreeve/server/cert"
	"portreeve/server/control"
	"portreeve/server/history"
	"portreeve/server/ledger"
	"portreeve/server/session"
	"portreeve/server/syslog"
	"portreeve/userdb"
)

func newServe(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the FTP server",
		Long: `Serve runs the FTP server until it gets SIGTERM or SIGINT; transfers under way
then have ShutdownGrace to end, and a second signal ends them at once. SIGHUP
makes it read its configuration again and open its log anew.

Every directive of the configuration file is also a flag, and goes before the
file; --db and --socket are short for --userdb and --controlsocket. As root,
files are touched with the ids of the user who is logged in; otherwise the
daemon acts as itself for everybody.`,
		Example: `  portreeve serve --config /etc/portreeve/portreeve.conf
  portreeve serve --bind 127.0.0.1,2121 --db ./users.db`,
		Args: cobra.NoArgs,
	}
	source := addConfigFlags(e, cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return runServe(cmd.Context(), e, source) }
	return cmd
}

// A daemon is what serve runs.
type daemon struct {
	env     *env
	source  *configSource
	started time.Time
	log     *slog.Logger
	level   *slog.LevelVar
	logFile *reopener   // nil: standard error
	system  *syslog.Log // nil: none
	auth    *auth.Chain
	certs   *cert.Store
	ftp     *server.Server
	listens []net.Listener
	metrics *metricsPorts
	history *history.Recorder

	loaded  atomic.Pointer[time.Time] // when the configuration in force was read
	refused atomic.Bool               // a newer one was

	reloading sync.Mutex // one reload at a time
}

// hear takes a signal, which then ends nothing, until it is told to stop.
func hear(sig os.Signal) (stop func()) {
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, sig)
	return func() { signal.Stop(heard) }
}

func runServe(ctx context.Context, e *env, source *configSource) error {
	cfg, _, err := source.load()
	if err != nil {
		return err
	}
	if cfg.Daemonize && os.Getenv(readyVariable) == "" {
		warnBackground(e, cfg)
		return goBackground(e)
	}
	if e.getenv("GOGC") == "" {
		// Most of the memory is idle sessions, and what a command leaves behind
		// is little: room for half as much again is enough, and collecting
		// sooner costs no transfer anything.
		debug.SetGCPercent(50)
	}
	// From here on a hangup is a wish to reload, not the end: whoever sees the
	// socket or the file with the process id may send one.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	// Who reads what we log may go away, and no transfer is to end with it: asked
	// for, the signal does nothing, and programs that we start do not inherit that.
	defer hear(syscall.SIGPIPE)()

	d := &daemon{env: e, source: source, started: time.Now(), level: new(slog.LevelVar)}
	if err := d.openLog(cfg); err != nil {
		return err
	}
	defer d.closeLog()
	if d.auth, err = auth.New(authOptions(cfg, d.log)); err != nil {
		return err
	}
	defer d.auth.Close()
	if err := server.CheckTLS(cfg); err != nil {
		return err
	}
	d.certs = cert.New(d.log)
	useCerts, err := prepareCertificates(d.certs, cfg)
	if err != nil {
		return err
	}
	useCerts()
	d.ftp = server.New(cfg, session.New(session.Limits{}), d.auth, d.log)
	d.ftp.GetCertificate = d.certs.Get
	d.ftp.Ledger = ledger.New(d.log)
	defer d.ftp.Ledger.Close()
	d.ftp.ActAsUsers = isRoot()
	d.loaded.Store(&d.started)
	useAltLogs, err := d.ftp.UseAltLogs(cfg.AltLog)
	if err != nil {
		return usagef("%w", err)
	}
	useAltLogs()
	defer d.ftp.CloseAltLogs()
	closeRecords, err := d.openRecords(cfg)
	if err != nil {
		return err
	}
	defer closeRecords()
	if d.listens, err = server.Listen(ctx, cfg); err != nil {
		return bindHint(err)
	}
	// The file with the process id is written last and removed last: whoever
	// waits for it finds a daemon that answers, or one that is gone.
	pid := pidFile{path: cfg.PIDFile}
	defer pid.remove()
	if err := d.openMetrics(ctx, cfg); err != nil {
		return err
	}
	defer d.metrics.close()
	stop, err := d.openControl(ctx, cfg)
	if err != nil {
		return err
	}
	defer stop()
	if err := pid.write(); err != nil {
		return err
	}
	d.greet(cfg)
	d.ownFolder(cfg)
	go d.recount(cfg)
	tellReady()
	return d.serve(ctx, hangup)
}

// A pidFile is where the process id is to be found; no path is nowhere.
type pidFile struct {
	path  string
	wrote bool
}

func (p *pidFile) write() error {
	if p.path == "" {
		return nil
	}
	if err := os.WriteFile(p.path, fmt.Appendln(nil, os.Getpid()), 0o644); err != nil {
		return fmt.Errorf("writing the process id: %w", err)
	}
	p.wrote = true
	return nil
}

// remove takes the file away that write made.
func (p *pidFile) remove() {
	if p.wrote {
		os.Remove(p.path)
	}
}

// greet logs what an administrator should know at the start.
func (d *daemon) greet(cfg server.Config) {
	for _, l := range d.listens {
		d.log.Info("listening", "addr", l.Addr().String())
	}
	for _, remark := range cfg.Remarks() {
		d.log.Warn(remark)
	}
	if !d.ftp.ActAsUsers {
		d.log.Info("not started as root: files are touched as the daemon's own user, for everybody")
	}
}

// serve runs listeners until ctx ends or one of them fails, and then shuts down.
func (d *daemon) serve(ctx context.Context, hangup <-chan os.Signal) error {
	second := make(chan os.Signal, 2)
	group, running := errgroup.WithContext(ctx)
	for _, l := range d.listens {
		group.Go(func() error {
			if err := d.ftp.Serve(l); !errors.Is(err, server.ErrClosed) {
				return err
			}
			return nil
		})
	}
	group.Go(func() error {
		d.certs.Run(running)
		return nil
	})
	group.Go(func() error {
		d.returnMemory(running)
		return nil
	})
	group.Go(func() error {
		for {
			select {
			case <-hangup:
				_, _ = d.reload(ctx) // it has logged what is wrong
			case <-running.Done():
				signal.Notify(second, os.Interrupt, syscall.SIGTERM)
				defer signal.Stop(second)
				return d.shutdown(second)
			}
		}
	})
	return group.Wait()
}

// shutdown lets transfers end, for as long as the grace lasts and no second
// signal comes.
func (d *daemon) shutdown(second <-chan os.Signal) error {
	grace := d.ftp.Config().ShutdownGrace
	d.log.Info("stopping", "sessions", d.ftp.Sessions.Len(), "grace", grace)
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	go func() {
		select {
		case <-second:
			d.log.Info("stopping at once")
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := d.ftp.Shutdown(ctx); err != nil {
		d.log.Warn("transfers were cut off", "err", err)
	}
	d.log.Info("stopped")
	return nil
}

// reload reads the configuration again and puts it in force for the sessions to
// come. A faulty one changes nothing.
func (d *daemon) reload(context.Context) (control.Reloaded, error) {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	if err := d.logFile.reopen(); err != nil {
		d.log.Error("opening the log anew", "err", err)
	}
	cfg, _, err := d.source.load()
	if err != nil {
		return control.Reloaded{}, d.refuse(err)
	}
	old := d.ftp.Config()
	var done control.Reloaded
	for _, f := range server.Directives.Changed(old, cfg) {
		if !f.Restart {
			done.Changed = append(done.Changed, f.Name)
			continue
		}
		done.Restart = append(done.Restart, f.Name)
		// What needs a restart stays as it is until then.
		if err := f.Bind(&cfg).Set(f.Bind(&old).String()); err != nil {
			return control.Reloaded{}, fmt.Errorf("keeping %s: %w", f.Name, err)
		}
	}
	useCerts, err := prepareCertificates(d.certs, cfg)
	if err != nil {
		return control.Reloaded{}, d.refuse(err)
	}
	if err := server.CheckTLS(cfg); err != nil {
		return control.Reloaded{}, d.refuse(err)
	}
	if err := d.auth.Configure(authOptions(cfg, d.log)); err != nil {
		return control.Reloaded{}, d.refuse(err)
	}
	useMetrics, err := d.metrics.prepare(context.Background(), cfg.MetricsListen)
	if err != nil {
		return control.Reloaded{}, d.refuse(err)
	}
	useAltLogs, err := d.ftp.UseAltLogs(cfg.AltLog)
	if err != nil {
		useMetrics(false)
		return control.Reloaded{}, d.refuse(err)
	}
	useCerts()
	useAltLogs()
	useMetrics(true)
	d.history.Use(historyLimits(cfg))
	d.setLevel(cfg)
	d.ftp.Configure(cfg)
	now := time.Now()
	d.loaded.Store(&now)
	d.refused.Store(false)
	d.log.Info("configuration read again", "changed", strings.Join(done.Changed, " "), "needs restart", strings.Join(done.Restart, " "))
	return done, nil
}

// refuse logs every fault of a configuration that is not taken, and returns them.
func (d *daemon) refuse(err error) error {
	for line := range strings.Lines(err.Error()) {
		d.log.Error("configuration refused: " + strings.TrimSpace(line))
	}
	d.log.Error("nothing was changed")
	d.refused.Store(true)
	return err
}

func authOptions(cfg server.Config, log *slog.Logger) auth.Options {
	hosts := make(map[string]auth.Ways)
	for i := range cfg.VirtualHosts {
		host := &cfg.VirtualHosts[i]
		hosts[host.Name] = auth.Ways{Methods: methods(cfg, host), ByAddress: cfg.HostAddressRoots(host)}
	}
	return auth.Options{
		Methods:   methods(cfg, nil),
		ByAddress: cfg.HostAddressRoots(nil),
		Hosts:     hosts,
		Cost:      userdb.Cost(cfg.PasswordCost),
		Memory:    cfg.PasswordMemory,
		Remember:  cfg.PasswordCache,
		MinUID:    cfg.MinUID,
		DelayStep: cfg.LoginDelay,
		DelayMost: cfg.MaxLoginDelay,
		Log:       log,
	}
}

// methods are the ways to log in to a virtual host; nil is the server itself.
// Anonymous comes first, so that no user can be in its place, unless the
// configuration has put it elsewhere.
func methods(cfg server.Config, host *server.VirtualHost) []auth.Method {
	var all []auth.Method
	root, anonymous := cfg.HostAnonymous(host)
	for _, m := range cfg.HostLogins(host) {
		switch {
		case m.Kind != "anonymous":
			all = append(all, auth.Method(m))
		case anonymous:
			all = append(all, auth.Method{Kind: m.Kind, Arg: root})
			anonymous = false // once is enough
		}
	}
	if anonymous {
		all = slices.Insert(all, 0, auth.Method{Kind: "anonymous", Arg: root})
	}
	return all
}

// openControl serves the control socket until stop is called.
func (d *daemon) openControl(ctx context.Context, cfg server.Config) (stop func(), err error) {
	if cfg.ControlSocket == "" {
		return func() {}, nil
	}
	gid, err := groupID(cfg.ControlSocketGroup)
	if err != nil {
		return nil, usagef("ControlSocketGroup: %w", err)
	}
	changers, err := groupID(cfg.ControlGroup)
	if err != nil {
		return nil, usagef("ControlGroup: %w", err)
	}
	if gid < 0 { // who may change things must be able to open the socket
		gid = changers
	}
	l, err := control.Listen(cfg.ControlSocket, cfg.ControlSocketMode, gid)
	if err != nil {
		return nil, err
	}
	access := control.Access{Read: control.Who{Groups: []int{os.Getegid()}}}
	if gid >= 0 {
		access.Read.Groups = []int{gid}
	}
	if changers >= 0 {
		access.Change.Groups = []int{changers}
	}
	api := &control.Server{Sessions: d.ftp.Sessions, Status: d.status, Reload: d.reload, History: d.history.DB, Metrics: d.metrics.exporter, Access: access, Version: version(), Log: d.log}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // who works while the daemon drains
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := api.Serve(ctx, l); err != nil {
			d.log.Error("control socket", "err", err)
		}
	}()
	return func() {
		cancel()
		<-done
	}, nil
}

func (d *daemon) status() control.Status {
	cfg := d.ftp.Config()
	st := control.Status{Started: d.started, Draining: d.ftp.Draining(), Config: d.source.path(), UserDB: cfg.UserDB,
		NoData: d.ftp.DataFailures(), Lost: d.lost(), Uploads: d.uploads(), Certificates: d.certs.Infos()}
	for _, l := range d.listens {
		st.Listen = append(st.Listen, l.Addr().String())
	}
	return st
}

// groupID finds a group by name or number; -1 is none.
func groupID(name string) (int, error) {
	if name == "" {
		return -1, nil
	}
	if n, err := strconv.Atoi(name); err == nil && n >= 0 {
		return n, nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return -1, fmt.Errorf("looking up the group %q: %w", name, err)
	}
	return strconv.Atoi(g.Gid)
}

// bindHint says what usually keeps a server from listening.
func bindHint(err error) error {
	switch {
	case errors.Is(err, syscall.EACCES):
		return withHint(err, "ports below 1024 are root's; --bind 2121 needs no root")
	case errors.Is(err, syscall.EADDRINUSE):
		return withHint(err, "another server has that port; --bind ADDRESS,PORT chooses another")
	}
	return err
}

// openLog makes the logger.
func (d *daemon) openLog(cfg server.Config) error {
	w := d.env.err
	if cfg.LogFile != "" {
		d.logFile = &reopener{path: cfg.LogFile}
		if err := d.logFile.reopen(); err != nil {
			return err
		}
		w = d.logFile
	}
	d.setLevel(cfg)
	opts := &slog.HandlerOptions{Level: d.level}
	var handler slog.Handler = slog.NewTextHandler(w, opts)
	if cfg.LogFormat == "json" {
		handler = slog.NewJSONHandler(w, opts)
	}
	if facility := systemFacility(cfg); facility != "" {
		var err error
		// The name is Pure-FTPd's, as the words are: by it they are found.
		d.system, err = syslog.New(syslog.Options{Facility: facility, Ident: "pure-ftpd", PID: cfg.LogPID, Socket: cfg.SyslogSocket})
		if err != nil {
			return usagef("SyslogFacility: %w", err)
		}
		handler = slog.NewMultiHandler(handler, server.NewSystemLog(d.level, d.system.Send))
	}
	d.log = slog.New(handler)
	return nil
}

// systemFacility is under what the system's log is told; "" is not at all.
func systemFacility(cfg server.Config) string {
	switch {
	case cfg.SyslogFacility != "auto" && cfg.SyslogFacility != "none":
		return cfg.SyslogFacility
	case cfg.SyslogFacility == "auto" && cfg.Daemonize && cfg.LogFile == "":
		return "ftp"
	}
	return ""
}

// closeLog gives the system's log what it has not taken yet.
func (d *daemon) closeLog() {
	if d.system != nil {
		d.system.Close()
	}
}

// lost tells what logs did not keep.
func (d *daemon) lost() map[string]int64 {
	lost := d.ftp.LostEntries()
	if d.system != nil && d.system.Lost() > 0 {
		lost["system log"] = d.system.Lost()
	}
	if n := d.history.Lost(); n > 0 {
		lost["history"] = n
	}
	return lost
}

func (d *daemon) setLevel(cfg server.Config) {
	var level slog.Level
	if level.UnmarshalText([]byte(cfg.LogLevel)) == nil {
		d.level.Set(level)
	}
}

// A reopener is a log file that can be opened again under its name, after
// somebody moved it away.
type reopener struct {
	path string

	mu   sync.Mutex // guards file
	file *os.File
}

func (r *reopener) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.file.Write(p)
}

func (r *reopener) reopen() error {
	if r == nil {
		return nil
	}
	f, err := os.OpenFile(r.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return fmt.Errorf("opening the log: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file != nil {
		r.file.Close()
	}
	r.file = f
	return nil
}
