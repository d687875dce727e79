// Package auth answers whether a name and password open an account, by asking a
// chain of back-ends.
//
// What a client can learn is one bit. Every refusal looks the same to it, and
// as far as can be helped takes the same time: a password is hashed whether the
// user is known or not, disabled or not, and the other rules are looked at only
// when it was right. What remains is that a hash of another kind or cost than
// today's takes its own time on top, until the next good login replaces it.
package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"portreeve/userdb"
)

// What Login and a Backend answer, besides an account. Every other error means
// that no answer was to be had, from a database, say; it refuses as well.
var (
	// ErrUnknown means that no user has that name. From a Backend, the next is asked.
	ErrUnknown = errors.New("unknown user")
	// ErrDenied means that the user is known and not let in. No other back-end is asked.
	ErrDenied = errors.New("login denied")
	// ErrBusy means that the login's time ran out while other passwords were being checked.
	ErrBusy = errors.New("too many logins at once")
	// ErrUntold means that a back-end says nothing of a user without a password.
	ErrUntold = errors.New("nothing is told without a password")
)

// Why a login was denied: for the log, and never for the client. Each comes
// wrapped together with ErrDenied.
var (
	ErrPassword = errors.New("wrong password")
	ErrDisabled = errors.New("account is disabled")
	ErrLocked   = errors.New("password is locked")
	ErrExpired  = errors.New("account has expired")
	ErrHours    = errors.New("outside the account's hours")
	ErrAddress  = errors.New("address is not allowed")
	ErrUID      = errors.New("uid is too low")
	ErrTLS      = errors.New("account demands TLS")

	ErrPasswordExpired = errors.New("password has expired")
	ErrShell           = errors.New("shell is not one for people")
	ErrRefused         = errors.New("refused by the program that is asked")
)

func denied(cause error) error { return fmt.Errorf("%w: %w", ErrDenied, cause) }

// An Attempt is a client's try to log in.
type Attempt struct {
	Name, Password string
	From           netip.Addr // the client
	Local          netip.Addr // our address that it connected to
	Port           uint16     // and the port there
	SNI            string     // the host that it asked for as TLS began; its own words
	TLS            bool       // the control connection is encrypted
	Host           string     // the virtual host that it is for; "" is the server itself
	At             time.Time  // when; zero is now

	// Certified: the client's certificate says that it is the user of this name,
	// and an authority that the administrator trusts has signed that. A back-end
	// that knows this asks for no password; others see an empty one, and refuse.
	Certified bool

	// Ask is told of each rule that is looked at, and why it refuses, if it does.
	// With it nobody logs in: a back-end that can do without asks for no password,
	// others answer ErrUntold, and nothing is noted.
	Ask func(rule string, err error)
}

// told passes on what a rule says.
func (a Attempt) told(rule string, err error) error {
	if a.Ask != nil {
		a.Ask(rule, err)
	}
	return err
}

// LocalPort is our end of the client's connection.
func (a *Attempt) LocalPort() netip.AddrPort { return netip.AddrPortFrom(a.Local, a.Port) }

// An Account is what a login opens.
type Account struct {
	Name     string
	UID, GID int
	Groups   []int  // supplementary; only looked up where the daemon can take them on
	Home     string // "/./" in it parts what is its own from where in there it begins
	Caged    bool
	userdb.Limits
	Expires time.Time // the first moment when it may no longer be used; zero is never

	// DB is the database of ours that the account is of, where changes of it are to
	// be looked for; zero if it is of another back-end.
	DB userdb.DB

	// Anonymous is that nobody knows who it is. What it may besides looking and
	// fetching is the caller's to add.
	Anonymous bool

	// granted is what the back-end does when nobody after it has refused.
	granted func()
}

// A Backend knows users: in a file, on another machine, or by asking somebody.
// It answers within ctx, which may have a deadline that does not end it (inTime),
// and fails closed: what it cannot read, or be told, is no account.
type Backend interface {
	// Login returns the account, or ErrUnknown if there is no such user here,
	// or ErrDenied if there is one and it is not to be let in.
	Login(ctx context.Context, a Attempt) (Account, error)
}

// A teller is a back-end that says of a user without a password whether it would let
// the user in with the right one.
type teller interface{ tells() }

func (*users) tells()     {}
func (*Anonymous) tells() {}

// A Method names a kind of back-end and tells it where its users are.
type Method struct{ Kind, Arg string }

// kinds are the back-ends that a Method may name.
var kinds = map[string]func(shared, string) (Backend, error){
	"anonymous": newAnonymous,
	"extauth":   newExternal,
	"puredb":    newUsers, // one kind under both names, told apart by what is in the file
	"unix":      newSystem,
	"userdb":    newUsers,
}

// shared is what a back-end may use of its chain.
type shared struct {
	hashing   *hashing
	notes     *notes
	byAddress string // see Anonymous
}

// Ways are who is asked about a login to a virtual host.
type Ways struct {
	Methods   []Method  // asked in this order
	Backends  []Backend // asked after them
	ByAddress string    // homes of anonymous: see Anonymous
}

// Options are the settings of a Chain.
type Options struct {
	Methods   []Method        // asked in this order
	Backends  []Backend       // asked after them
	ByAddress string          // homes of anonymous: see Anonymous
	Hosts     map[string]Ways // the same for virtual hosts; what all have in common is counted together

	Cost     userdb.Cost   // of a new password hash; zero is userdb.DefaultCost
	Memory   int64         // bytes that all hashing together may use; 0 is DefaultMemory
	Remember time.Duration // how long a good password need not be hashed again; 0 is not at all
	MinUID   int           // accounts with a lower uid are refused, root's always

	DelayStep time.Duration // a failed login is answered this much later for each before it
	DelayMost time.Duration // but not later than this

	Log *slog.Logger // of what goes wrong behind a login that was let in; nil is slog.Default
}

// DefaultMemory is the budget of hashing, enough for eight of the default cost.
const DefaultMemory = 256 << 20

// DefaultOptions are the settings that a daemon has if nobody says otherwise.
func DefaultOptions() Options {
	return Options{
		Cost:      userdb.DefaultCost(),
		Memory:    DefaultMemory,
		Remember:  time.Minute,
		DelayStep: 3 * time.Second,
		DelayMost: 10 * time.Second,
	}
}

// A Chain asks its back-ends in turn. It owns what they share: the memory for
// hashing, the passwords found good lately, and the counts of failed logins.
// Its methods may be called from many goroutines.
type Chain struct {
	settings   atomic.Pointer[settings]
	remembered *remembered
	failures   *failures
	notes      *notes

	load    *load // of hashing
	resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	groups  func(uid int) []int
}

// settings are what Configure replaces, as a whole.
type settings struct {
	Options
	hashing *hashing
	hosts   map[string][]Backend // "" is the server itself
}

// New makes a chain.
func New(o Options) (*Chain, error) {
	c := &Chain{
		remembered: newRemembered(),
		failures:   newFailures(),
		notes:      newNotes(),
		load:       newLoad(),
		resolve:    resolve,
		groups:     func(int) []int { return nil },
	}
	if os.Geteuid() == 0 {
		c.groups = newGroups().of
	}
	if err := c.Configure(o); err != nil {
		return nil, err
	}
	return c, nil
}

// Configure puts other settings in force for the logins to come. Good passwords
// and failures stay remembered.
func (c *Chain) Configure(o Options) error {
	if o.Cost == (userdb.Cost{}) {
		o.Cost = userdb.DefaultCost()
	}
	if o.Memory == 0 {
		o.Memory = DefaultMemory
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if err := o.Cost.Validate(); err != nil {
		return fmt.Errorf("password hashing: %w", err)
	}
	if need := o.Cost.Memory(); need > o.Memory {
		return fmt.Errorf("password hashing: one hash takes %d bytes, more than the %d for all", need, o.Memory)
	}
	s := &settings{Options: o, hashing: newHashing(o, c.remembered, c.load)}
	if old := c.settings.Load(); old != nil { // what is in use now counts on
		s.hashing.turns = old.hashing.turns
		if old.Memory == o.Memory {
			s.hashing.slots = old.hashing.slots
		}
	}
	var err error
	s.hosts = make(map[string][]Backend)
	for host, ways := range o.Hosts {
		if s.hosts[host], err = c.build(s, ways); err != nil {
			return fmt.Errorf("virtual host %s: %w", host, err)
		}
	}
	if s.hosts[""], err = c.build(s, Ways{o.Methods, o.Backends, o.ByAddress}); err != nil {
		return err
	}
	c.notes.logTo(o.Log)
	c.settings.Store(s)
	return nil
}

// build makes the back-ends that ways name.
func (c *Chain) build(s *settings, ways Ways) ([]Backend, error) {
	var all []Backend
	for _, m := range ways.Methods {
		build, ok := kinds[m.Kind]
		if !ok {
			return nil, fmt.Errorf("no authentication method is called %q", m.Kind)
		}
		b, err := build(shared{s.hashing, c.notes, ways.ByAddress}, m.Arg)
		if err != nil {
			return nil, fmt.Errorf("authentication method %s: %w", m.Kind, err)
		}
		all = append(all, b)
	}
	return append(all, ways.Backends...), nil
}

// Login returns the account that an attempt opens. It may take as long as ctx
// lets it; if ctx ends first, nobody is let in.
func (c *Chain) Login(ctx context.Context, a Attempt) (Account, error) {
	a = a.plain()
	s := c.settings.Load()
	account, err := c.ask(ctx, s, a)
	if err == nil {
		err = c.admit(ctx, s, a, account)
	}
	if a.Ask == nil && (errors.Is(err, ErrUnknown) || errors.Is(err, ErrDenied)) {
		c.failures.add(a.From)
	}
	if err != nil {
		return Account{}, err
	}
	if a.Ask == nil && account.granted != nil {
		account.granted()
	}
	account.granted = nil
	if account.Groups == nil {
		account.Groups = c.groups(account.UID)
	}
	return account, nil
}

// ask finds the back-end that knows the user, and returns what it says.
func (c *Chain) ask(ctx context.Context, s *settings, a Attempt) (Account, error) {
	backends, ok := s.hosts[a.Host]
	if !ok { // the configuration was read again since the client chose it
		return Account{}, fmt.Errorf("there is no virtual host %q any more", a.Host)
	}
	// A password that none can be is refused before anybody is asked, so that
	// the time tells nothing of the user.
	impossible := !a.Certified && a.Ask == nil && userdb.ValidPassword(a.Password) != nil
	for _, b := range backends {
		if _, any := b.(*Anonymous); impossible && !any {
			continue
		}
		if _, tells := b.(teller); a.Ask != nil && !tells {
			return Account{}, ErrUntold
		}
		account, err := b.Login(ctx, a)
		if err == nil && ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", ErrBusy, context.Cause(ctx))
		}
		if err == nil {
			return account, nil
		}
		if !errors.Is(err, ErrUnknown) {
			return Account{}, err
		}
	}
	if impossible {
		return Account{}, denied(ErrPassword)
	}
	if a.Certified || a.Ask != nil { // who has the certificate may know whether there is such a user
		return Account{}, ErrUnknown
	}
	if err := s.hashing.waste(ctx, a); err != nil {
		return Account{}, err
	}
	return Account{}, ErrUnknown
}

// Delay returns how long to wait before the last failed login from that address
// is answered: longer with each failure, with a little chance in it, so that
// the time of the answer tells less. The caller waits; other sessions, even
// from the same address, need not.
func (c *Chain) Delay(from netip.Addr) time.Duration {
	s := c.settings.Load()
	return delay(c.failures.count(from), s.DelayStep, s.DelayMost)
}

// Failures returns how many logins from that address have failed lately.
func (c *Chain) Failures(from netip.Addr) int { return c.failures.count(from) }

// Close writes what is still to be noted of past logins. The chain must not be
// used any more.
func (c *Chain) Close() { c.notes.close() }

// Kinds returns the names that a Method may have, sorted.
func Kinds() []string {
	var names []string
	for name := range kinds {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
