package server

import (
	"fmt"
	"io/fs"
	"net/netip"
	"strings"
	"time"
	"unicode"

	"portreeve/config"
	"portreeve/server/charset"
	"portreeve/server/lang"
	"portreeve/userdb"
)

// A Config is what the administrator decided: one field a directive, described
// by Directives. It is never changed once it is in use; a reload makes a new
// one, and a session keeps the one it began with.
type Config struct {
	// Network
	Bind               []Endpoint
	IPv4Only, IPv6Only bool
	PassivePorts       config.PortRange
	PassiveIP          string // address or name told to IPv4 clients in 227
	LocalNetworks      []netip.Prefix
	LocalCongestion    string // name of an algorithm, or systemCongestion
	ProxyFrom          []netip.Prefix
	NATMode            bool
	ActiveMode         bool
	UserFXP, AnonFXP   bool
	FXPDeny            []netip.Prefix
	TrustedIP          netip.Addr
	DontResolve        bool
	Bonjour            string
	BrokenClients      bool
	PIDFile            string
	Daemonize          bool
	ShutdownGrace      time.Duration

	VirtualHosts []VirtualHost

	// Limits
	MaxClients, MaxClientsPerIP int
	PerUserLimits               PerUserLimits
	PassiveLimits               PassiveLimits
	MaxIdleTime                 time.Duration
	LoginTimeout                time.Duration
	MaxLoginFailures            int
	LoginDelay, MaxLoginDelay   time.Duration
	MaxCommandErrors            int
	MaxLineLength               int
	ConnectTimeout              time.Duration
	StallTimeout                time.Duration
	MaxTransferTime             time.Duration
	MaxJobs                     JobLimit
	MaxHashSize                 int64
	Compression                 int
	ListEntries, ListDepth      int
	UserBandwidth               Bandwidth
	ServerBandwidth             Bandwidth
	GroupBandwidth              []GroupRate
	NetworkBandwidth            []NetworkRate
	UserRatio                   Ratio
	Quota                       Quota
	QuotaFile                   bool
	MaxDiskUsage                int
	MaxLoad                     float64

	// Users
	UserDB         string
	Auth           []AuthMethod
	MinUID         int
	TrustedGID     int // -1: none
	ChrootEveryone bool
	CreateHomeDir  bool
	PasswordCost   Cost
	PasswordMemory int64
	PasswordCache  time.Duration

	// Files
	Umask, DirUmask       fs.FileMode
	NoTruncate            bool
	AutoRename            bool
	KeepUnconfirmed       bool
	MaxFileSize           int64
	MDTMWrite             bool
	ServerCopy            bool
	Symlinks              bool
	DirAliases            []Alias
	KeepAllFiles          bool
	NoRename, NoChmod     bool
	CustomerProof         bool
	DisplayDotFiles       bool
	ListZone              *time.Location
	MLSDFollowLinks       bool
	MLSDDots              bool
	NoDotWrite, NoDotRead bool
	FSCharset             *charset.Charset // nil is UTF-8
	ClientCharset         *charset.Charset
	ReplaceControls       bool
	UploadScript          bool
	UploadSpool           string // "": beside UserDB
	UploadPipe            string

	// Anonymous
	AnonymousOnly, NoAnonymous bool
	AnonymousRoot              string
	AnonymousRoots             string
	AnonCantUpload             bool
	AnonCanMkdir               bool
	AnonDotFiles               bool
	AnonBandwidth              Bandwidth
	AnonTotalBandwidth         Bandwidth
	AnonRatio                  Ratio
	AntiWarez                  bool

	// TLS
	TLS           int
	CertFile      []KeyPair
	ACME          [][]string // the names of each certificate to obtain
	ACMEDirectory string
	ACMEMail      string
	ACMECache     string // "": beside UserDB
	ACMEHTTP      []Endpoint
	ACMETLS       []Endpoint
	ExtCert       string
	CipherSuite   string

	ImplicitTLS    []Endpoint
	TLSMinVersion  string // "1.2" or "1.3"
	TLSDataBinding Binding
	StrictTLSEOF   bool
	AllowCCC       bool
	TLSClientCert  string // "none", "optional" or "required"
	TLSClientCA    string
	TLSClientUser  string // "no", "cn", "email" or "dns"

	// Messages and logs
	Language       string // tag
	GreetingFile   string
	FortunesFile   string
	LogLevel       string
	LogFormat      string
	LogFile        string
	VerboseLog     int
	SyslogFacility string // auto, none, or one of syslog.Facilities
	SyslogSocket   string
	LogPID         bool
	AltLog         []string
	HistoryDays    int
	HistorySize    int64  // bytes; 0 is no bound
	HistoryFile    string // "": beside UserDB

	// Control
	ControlSocket      string
	ControlSocketMode  fs.FileMode
	ControlSocketGroup string
	ControlGroup       string

	// Metrics
	MetricsListen   []Endpoint
	MetricsTopUsers int
}

// The shapes of Pure-FTPd's values that are more than a word or a number.
type (
	// An Endpoint is an address and a port to listen at; no address is all of them.
	Endpoint struct {
		Addr netip.Addr
		Port uint16
	}
	// A Quota is the default for users without their own; the zero Quota is none.
	Quota struct{ Files, MiB int64 }
	// PerUserLimits is the most sessions of one account, and of anonymous; 0 is no limit.
	PerUserLimits struct{ User, Anonymous int }
	// An AuthMethod is a kind of back-end and its argument.
	AuthMethod struct{ Kind, Arg string }
	// An Alias is another name for a directory that CWD understands.
	Alias struct{ Name, Dir string }
	// A KeyPair names the files of a certificate and of its key, which may be one.
	KeyPair struct{ Cert, Key string }
	// A Cost is what a new password hash costs to compute: scrypt's N (as a power of two), r and p.
	Cost struct{ LogN, R, P int }
)

// DefaultConfig returns the configuration of an empty file.
func DefaultConfig() Config {
	return Config{
		Bind:             []Endpoint{{Port: 21}},
		PassivePorts:     config.PortRange{First: 49152, Last: 65535},
		LocalNetworks:    private(),
		LocalCongestion:  "reno",
		ActiveMode:       true,
		FXPDeny:          private(),
		PIDFile:          "",
		ShutdownGrace:    30 * time.Second,
		MaxClients:       50,
		PassiveLimits:    PassiveLimits{All: 10000, Each: 1000},
		MaxIdleTime:      15 * time.Minute,
		LoginTimeout:     time.Minute,
		MaxLoginFailures: 5,
		LoginDelay:       3 * time.Second,
		MaxLoginDelay:    10 * time.Second,
		MaxCommandErrors: 20,
		MaxLineLength:    8192,
		ConnectTimeout:   time.Minute,
		StallTimeout:     5 * time.Minute,
		MaxTransferTime:  24 * time.Hour,
		MaxJobs:          JobLimit{4, 2},
		MaxHashSize:      16 << 30,
		ListEntries:      1_000_000,
		ListDepth:        5,

		UserDB:         "/var/lib/portreeve/users.db",
		TrustedGID:     -1,
		PasswordCost:   Cost{LogN: 15, R: 8, P: 3},
		PasswordMemory: 256 << 20,
		PasswordCache:  time.Minute,

		Umask:      0o133,
		DirUmask:   0o022,
		NoTruncate: true,

		KeepUnconfirmed: true,

		AnonymousRoots: "/etc/pure-ftpd",

		ListZone:       time.UTC,
		MLSDDots:       true,
		TLSMinVersion:  "1.2",
		TLSDataBinding: BindPrefer,
		StrictTLSEOF:   true,
		TLSClientCert:  "none",
		TLSClientUser:  "no",

		Language:       lang.English,
		LogLevel:       "info",
		LogFormat:      "text",
		SyslogFacility: "auto",
		HistoryDays:    90,
		HistorySize:    1 << 30,

		ACMEDirectory: letsEncrypt,
		ACMEHTTP:      []Endpoint{{Port: 80}},

		ControlSocket:     "/run/portreeve/portreeve.sock",
		ControlSocketMode: 0o660,
	}
}

// Validate reports what no single directive can see.
func (c *Config) Validate() error {
	switch {
	case c.IPv4Only && c.IPv6Only:
		return fmt.Errorf("IPV4Only and IPV6Only exclude each other")
	case c.AnonymousOnly && c.NoAnonymous:
		return fmt.Errorf("AnonymousOnly and NoAnonymous exclude each other")
	case c.UserDB == "":
		return fmt.Errorf("UserDB is empty: there would be no users")
	case userdb.Cost(c.PasswordCost).Memory() > c.PasswordMemory:
		return fmt.Errorf("PasswordMemory is too small: one hash of this PasswordCost takes %s",
			config.ShowSize(userdb.Cost(c.PasswordCost).Memory(), 1))
	case c.PassiveIP != "" && !isHost(c.PassiveIP):
		return fmt.Errorf("ForcePassiveIP: %q is neither an IPv4 address nor a name", c.PassiveIP)
	case c.validateAuth() != nil:
		return c.validateAuth()
	case checkHosts(c.VirtualHosts) != nil:
		return checkHosts(c.VirtualHosts)
	case c.checkRates() != nil:
		return c.checkRates()
	case c.FSCharset.Shifts():
		return fmt.Errorf("FileSystemCharset: %s writes other characters with slashes and escapes, which no file name may have", c.FSCharset.Name())
	case len(c.Bind)+len(c.ImplicitTLS) == 0:
		return fmt.Errorf("Bind is empty: there would be nowhere to connect to")
	}
	return c.validateTLS()
}

// UsesTLS tells whether certificates are needed.
func (c *Config) UsesTLS() bool { return c.TLS > 0 }

// isHost tells whether text can be an IPv4 address or the name of a host.
func isHost(text string) bool {
	if a, err := netip.ParseAddr(text); err == nil {
		return a.Is4()
	}
	return !strings.ContainsFunc(text, func(r rune) bool {
		return r != '.' && r != '-' && r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
}

// Remarks are what an administrator should know of a configuration that holds.
func (c Config) Remarks() []string {
	var all []string
	if c.Bonjour != "" {
		all = append(all, "Bonjour: no name is announced; a responder of the system, such as Avahi, can do that")
	}
	if c.UploadPipe != "" && !c.UploadScript {
		all = append(all, "UploadPipe: nothing is handed on without CallUploadScript")
	}
	for _, e := range c.MetricsListen {
		if !e.Addr.IsLoopback() {
			all = append(all, fmt.Sprintf("MetricsListen: whoever can connect to %s may read the metrics; there is no password", e))
		}
	}
	if said := c.passedOver(); said != "" {
		all = append(all, said)
	}
	return all
}
