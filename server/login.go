package server

import (
	"context"
	"errors"
	"strings"
	"time"

	"portreeve/logparse"
	"portreeve/server/auth"
	registry "portreeve/server/session"
	"portreeve/server/vfs"
	"portreeve/userdb"
)

// Bounds of what a client may send to log in.
const (
	maxUserName = 127 // Pure-FTPd's, so that a user can move there
	maxPassword = 1024
	maxClient   = 256 // CLNT, CSID
	maxMail     = 127 // what anonymous says
)

// failedLogin is the one answer to a wrong name, a wrong password and a user
// who may not: nobody learns which (RFC 2577, section 6).
const failedLogin = "Login incorrect"

// cmdUSER takes the name. Whether there is such a user is not told.
func (s *session) cmdUSER(ctx context.Context, name string) (reply, error) {
	switch {
	case s.account != nil && s.account.Anonymous && auth.IsAnonymous(name):
		return say(230, "You are logged in already"), nil
	case s.account != nil:
		return say(530, "You are logged in already"), nil
	case len(name) > maxUserName:
		return say(501, "Name too long"), nil
	}
	s.name, s.from, s.mark = name, "", marker{}
	if r, err := s.certified(ctx); err != nil || r.code != 0 {
		return r, err
	}
	return say(331, "Password required"), nil
}

func (s *session) cmdPASS(ctx context.Context, password string) (reply, error) {
	switch {
	case s.account != nil && s.account.Anonymous: // USER said so a second time
		return say(202, "Any password will do"), nil
	case s.account != nil && s.tls != nil && s.tls.certified:
		return say(202, "No password needed"), nil
	case s.account != nil:
		return say(503, "You are logged in already"), nil
	case s.name == "":
		return say(503, "USER first"), nil
	case len(password) > maxPassword:
		return say(501, "Password too long"), nil
	}
	began := time.Now()
	s.means(deed{event: logparse.Login, user: s.name})
	account, err := s.authenticate(ctx, auth.Attempt{Password: password})
	switch {
	case errors.Is(err, auth.ErrUnknown), errors.Is(err, auth.ErrDenied), errors.Is(err, errAnonymousOnly):
		s.conceal(password, err)
		return s.failed(ctx, began, err)
	case ctx.Err() != nil: // the session is over; its loop says why
		return reply{}, nil
	case err != nil: // nobody could say: it is not the client's failure
		s.srv.counts.login(loginUnasked)
		s.log.Error("checking a login", "user", s.name, "err", err)
		s.because(err)
		return say(421, "Login is not possible now, try again later"), nil
	}
	s.terse = strings.HasPrefix(password, "-")
	if r, err := s.admit(&account); err != nil || r.code != 0 {
		return r, err
	}
	if account.Anonymous && s.deed != nil {
		s.deed.text = mailOf(password)
	}
	if account.Anonymous { // whose password is a mail address, by custom
		s.greetUser("mail", mailOf(password))
	} else {
		s.greetUser()
	}
	s.log = s.log.With("user", account.Name, "", place{s.fs.Host()})
	return s.welcome(), nil
}

// mailOf is the address that anonymous gave as a password; "" if it is none, but
// what somebody has mistaken for the place of another.
func mailOf(password string) string {
	if !strings.Contains(password, "@") {
		return ""
	}
	return printable(strings.TrimPrefix(password, "-"), maxMail)
}

// authenticate asks the chain, unless the configuration lets only anonymous in
// here. A password that waits behind others waits as long as the client has to log in.
func (s *session) authenticate(ctx context.Context, a auth.Attempt) (auth.Account, error) {
	only := s.cfg.AnonymousOnly || s.cfg.TrustedIP.IsValid() && s.cfg.TrustedIP != s.local.Addr()
	if only && !auth.IsAnonymous(s.name) {
		return auth.Account{}, errAnonymousOnly
	}
	ctx = &patientUntil{ctx, s.deadline()}
	account, err := s.srv.Auth.Login(ctx, s.attempt(a))
	if err == nil && only && !account.Anonymous { // a user who is called so
		return auth.Account{}, errAnonymousOnly
	}
	return account, err
}

// attempt adds to a what is known of the client.
func (s *session) attempt(a auth.Attempt) auth.Attempt {
	a.Name, a.From, a.TLS, a.SNI, a.Host = s.name, s.peer.Addr(), s.encrypted(), s.sni(), s.hostName()
	a.Local, a.Port = s.local.Addr(), s.local.Port()
	return a
}

var errAnonymousOnly = errors.New("only anonymous may log in here")

// patientUntil only says how long somebody may wait. A context that ends then by
// itself would leave its marks on the session's, which costs every session memory,
// while a password that is remembered waits for nothing.
type patientUntil struct {
	context.Context
	limit time.Time
}

func (p *patientUntil) Deadline() (time.Time, bool) { return p.limit, true }

// conceal takes from a name what no log may have: somebody who said the password
// where the name belongs, as no user is called so.
func (s *session) conceal(password string, why error) {
	if password == "" || !errors.Is(why, auth.ErrUnknown) || !strings.Contains(s.name, password) {
		return
	}
	s.name = hidden
	if s.deed != nil {
		s.deed.user = hidden
	}
}

// failed answers a login that did not succeed, after a delay that grows with
// each, and that began with the login: what it took to refuse is part of it, so
// that the time does not tell who was asked. The last one a connection may have is
// its last reply.
func (s *session) failed(ctx context.Context, began time.Time, why error) (reply, error) {
	s.failures++
	s.because(why)
	s.srv.counts.login(loginWrong)
	s.log.Warn("login failed", append(s.whom(s.name), "err", why)...)
	s.penance(ctx, s.srv.Auth.Delay(s.peer.Addr())-time.Since(began))
	s.name = ""
	if s.failures >= s.cfg.MaxLoginFailures {
		s.log.Warn("too many failed logins")
		return say(421, "Too many failed logins"), nil
	}
	return loginRefused(why), nil
}

func loginRefused(why error) reply {
	if errors.Is(why, auth.ErrTLS) { // who gets here has the right password, and just gave it away
		return say(530, "TLS is required for this account: AUTH TLS first")
	}
	return say(530, failedLogin)
}

// penance makes a client wait for its next reply. A server that stops does not
// wait for the punished.
func (s *session) penance(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-s.srv.draining:
			cancel()
		case <-ctx.Done():
		}
	}()
	_ = pause(ctx, d)
}

// pause waits for d, or for ctx and then returns why it ended.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// admit gives an account its session: its place, its files, its limits. The
// reply is zero if it may stay.
func (s *session) admit(a *auth.Account) (r reply, err error) {
	defer func() {
		if err == nil && r.code == 0 {
			s.srv.counts.login(loginGood)
		} else {
			s.srv.counts.login(loginNoPlace)
		}
	}()
	most := a.MaxSessions
	switch {
	case a.Anonymous:
		most = s.cfg.PerUserLimits.Anonymous
	case most == 0:
		most = s.cfg.PerUserLimits.User
	}
	if err := s.told("sessions of the user", s.entry.Login(s.usersOf(a), a.Name, most)); err != nil {
		if l, ok := errors.AsType[*registry.LimitError](err); ok {
			s.because(err)
			return sayf(421, "Too many connections (%d) of this user", l.Max), nil
		}
		return reply{}, err
	}
	options := s.fileOptions(a)
	quotas := s.openAccount(a, &options)
	s.makeHome(a, options)
	files, err := vfs.Open(a.Home, options)
	if s.told("home", err) != nil {
		if quotas != nil {
			quotas.Close()
		}
		s.entry.Logout()
		s.log.Error("opening the home", "user", a.Name, "err", err)
		s.because(err)
		return say(421, "Home directory not available"), nil
	}
	s.account, s.fs, s.failures = a, files, 0
	if s.quotas = quotas; quotas != nil {
		quotas.Use(files, s.quota(a))
	}
	s.joinRates()
	s.before = sums{}
	s.before.up, s.before.down = s.moved()
	s.changes, s.until = s.srv.watcher.join(s, a), a.Until(time.Now())
	s.shownAs = columnName(a.Name)
	s.moveTo(files.Home())
	return reply{}, nil
}

// makeHome makes the home of a user who has none, if the configuration wants that.
// Where it cannot be made, to open it fails.
func (s *session) makeHome(a *auth.Account, o vfs.Options) {
	if !s.cfg.CreateHomeDir || a.Anonymous || s.srv.rehearses {
		return
	}
	made, err := vfs.MakeHome(a.Home, o)
	if err != nil {
		s.log.Error("making the home", "user", a.Name, "err", err)
	}
	if made {
		s.log.Info("home made", "user", a.Name, "home", a.Home)
	}
}

func (s *session) fileOptions(a *auth.Account) vfs.Options {
	o := vfs.Options{
		Caged:     s.cfg.cages(a),
		Perms:     s.perms(a),
		Rules:     s.cfg.rules(a),
		FileUmask: s.cfg.Umask, DirUmask: s.cfg.DirUmask,
		Charset:    s.cfg.FSCharset,
		Roots:      &s.srv.roots,
		Rehearse:   s.srv.rehearses,
		NoTruncate: s.cfg.NoTruncate, AutoRename: s.cfg.AutoRename,
	}
	o.OnlyNew = a.Anonymous
	if s.srv.ActAsUsers {
		o.As = &vfs.Identity{UID: a.UID, GID: a.GID, Groups: a.Groups}
	}
	return o
}

// perms are what an account may do here: what it is granted, and the configuration
// allows.
func (s *session) perms(a *auth.Account) userdb.Perms {
	perms := a.Perms
	if a.Anonymous && !s.cfg.AnonCantUpload {
		perms |= userdb.PermWrite
	}
	if a.Anonymous && s.cfg.AnonCanMkdir {
		perms |= userdb.PermMkdir
	}
	if s.cfg.NoRename {
		perms &^= userdb.PermRename
	}
	return perms
}

// moveTo makes path the working directory.
func (s *session) moveTo(path string) {
	s.cwd = path
	s.entry.SetCwd(path)
}

func (s *session) cmdACCT(context.Context, string) (reply, error) {
	return say(202, "No account needed"), nil
}

// cmdREIN puts the session back to before USER (RFC 959, section 4.1.1).
func (s *session) cmdREIN(context.Context, string) (reply, error) {
	if s.account != nil {
		s.log.Info("logged out")
		s.left(s.account.Name, errQuit)
		s.born = time.Now() // to log in again may take as long as to log in did
		s.came = s.born
		s.log = s.srv.Log.With("session", s.entry.ID(), "addr", s.peer.Addr())
		s.entry.Logout()
	}
	s.logout()
	s.enterHost(nil)
	if s.implicit { // TLS stays, and what was asked for with it
		s.enterHost(s.cfg.host(s.sni()))
	}
	r := say(220, "Ready for a new user")
	if s.tls != nil && !s.implicit { // the reply is the last that is protected (RFC 4217, section 11)
		r.then = s.strip
	}
	return r, nil
}

func (s *session) cmdQUIT(context.Context, string) (reply, error) {
	s.bye = true
	return s.parting(), nil
}

// cmdCLNT notes what the client says it is; nothing depends on it.
func (s *session) cmdCLNT(_ context.Context, name string) (reply, error) {
	s.client = printable(name, maxClient)
	s.entry.SetClient(s.client)
	return say(200, "Noted"), nil
}

// cmdCSID is CLNT in pairs, and tells in turn what a client may want to know
// of this server; what product it is is not among that.
func (s *session) cmdCSID(_ context.Context, facts string) (reply, error) {
	if !strings.Contains(facts, "=") {
		return say(501, "CSID takes Name=...;Version=...;"), nil
	}
	s.client = printable(facts, maxClient)
	s.entry.SetClient(s.client)
	return fixed(200, "Name=FTP server;CaseSensitive=1;DirSep=/;"), nil
}

// printable cuts text that a client chose, and takes out what could forge a
// line of a log or steer a terminal.
func printable(text string, most int) string {
	text = text[:min(len(text), most)]
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}
