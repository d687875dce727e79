package server

import (
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"portreeve/config"
	"portreeve/server/auth"
)

// A directive of Pure-FTPd: its letter, its long flag, and a value in the form
// of the file and of the command line ("" if that is a switch) that is not our
// default.
type pureDirective struct {
	name, letter, long string
	file, flag         string
}

// pureDirectives is everything that pure-ftpd.conf may say, by the letters of
// pure-ftpd(8). A row without a letter adds to the one before it.
var pureDirectives = []pureDirective{
	{"NoTruncate", "0", "notruncate", "no", "no"}, // yes is our default
	{"LogPID", "1", "logpid", "yes", ""},
	{"CertFile", "2", "certfile", "/etc/ssl/private/pure-ftpd.pem", "/etc/ssl/cert.pem,/etc/ssl/key.pem"},
	{"CertFileAndKey", "", "certfileandkey", `"/etc/pure-ftpd.pem" "/etc/pure-ftpd.key"`, "/etc/ssl/cert.pem,/etc/ssl/key.pem"},
	{"ExtCert", "3", "extcert", "/var/run/ftpd-certs.sock", "/var/run/ftpd-certs.sock"},
	{"IPV4Only", "4", "ipv4only", "yes", ""},
	{"IPV6Only", "6", "ipv6only", "yes", ""},
	{"FileSystemCharset", "8", "fscharset", "big5", "big5"},
	{"ClientCharset", "9", "clientcharset", "cp950", "Big5"},
	{"TrustedGID", "a", "trustedgid", "100", "100"},
	{"ChrootEveryone", "A", "chrooteveryone", "yes", ""},
	{"BrokenClientsCompatibility", "b", "brokenclientscompatibility", "yes", ""},
	{"Daemonize", "B", "daemonize", "yes", ""},
	{"MaxClientsNumber", "c", "maxclientsnumber", "70", "70"},
	{"MaxClientsPerIP", "C", "maxclientsperip", "8", "8"},
	{"VerboseLog", "d", "verboselog", "yes", ""},
	{"DisplayDotFiles", "D", "displaydotfiles", "yes", ""},
	{"AnonymousOnly", "e", "anonymousonly", "yes", ""},
	{"NoAnonymous", "E", "noanonymous", "yes", ""},
	{"SyslogFacility", "f", "syslogfacility", "local0", "local0"},
	{"FortunesFile", "F", "fortunesfile", "/usr/share/fortune/zippy", "/usr/share/fortune/zippy"},
	{"PIDFile", "g", "pidfile", "/var/run/pure-ftpd.pid", "/var/run/pure-ftpd.pid"},
	{"NoRename", "G", "norename", "yes", ""},
	{"DontResolve", "H", "dontresolve", "yes", ""},
	{"AnonymousCantUpload", "i", "anonymouscantupload", "yes", ""},
	{"MaxIdleTime", "I", "maxidletime", "20", "20"},
	{"CreateHomeDir", "j", "createhomedir", "yes", ""},
	{"TLSCipherSuite", "J", "tlsciphersuite", "HIGH:MEDIUM:+TLSv1:!SSLv2:!SSLv3", "HIGH"},
	{"MaxDiskUsage", "k", "maxdiskusagepct", "99", "99"},
	{"KeepAllFiles", "K", "keepallfiles", "yes", ""},
	{"ExtAuth", "", "extauth", "/var/run/ftpd.sock", "/var/run/ftpd.sock"},
	{"LDAPConfigFile", "", "ldapconfigfile", "/etc/pureftpd-ldap.conf", "/etc/pureftpd-ldap.conf"},
	{"MySQLConfigFile", "", "mysqlconfigfile", "/etc/pureftpd-mysql.conf", "/etc/pureftpd-mysql.conf"},
	{"PGSQLConfigFile", "", "pgsqlconfigfile", "/etc/pureftpd-pgsql.conf", "/etc/pureftpd-pgsql.conf"},
	{"PureDB", "", "puredb", "/etc/pureftpd.pdb", "/etc/pureftpd.pdb"},
	{"PAMAuthentication", "", "pamauthentication", "yes", "yes"},
	{"UnixAuthentication", "", "unixauthentication", "yes", "yes"},
	{"LimitRecursion", "L", "limitrecursion", "10000 8", "10000:8"},
	{"MaxLoad", "m", "maxload", "4", "4"},
	{"AnonymousCanCreateDirs", "M", "anonymouscancreatedirs", "yes", ""},
	{"Quota", "n", "quota", "1000:10", "1000:10"},
	{"NATmode", "N", "natmode", "yes", ""},
	{"CallUploadScript", "o", "uploadscript", "yes", ""},
	{"AltLog", "O", "altlog", "clf:/var/log/pureftpd.log", "w3c:/var/log/pureftpd.log"},
	{"PassivePortRange", "p", "passiveportrange", "30000 50000", "30000:50000"},
	{"ForcePassiveIP", "P", "forcepassiveip", "192.168.0.1", "ftp.example.org"},
	{"AnonymousRatio", "q", "anonymousratio", "1 10", "1:10"},
	{"UserRatio", "Q", "userratio", "1 10", "1:10"},
	{"AutoRename", "r", "autorename", "yes", ""},
	{"NoChmod", "R", "nochmod", "yes", ""},
	{"AntiWarez", "s", "antiwarez", "yes", ""},
	{"Bind", "S", "bind", "127.0.0.1,2121", "::1,2121"},
	{"AnonymousBandwidth", "t", "anonymousbandwidth", "8", "8:16"},
	{"UserBandwidth", "T", "userbandwidth", "8 9", ":9"},
	{"MinUID", "u", "minuid", "1000", "1000"},
	{"Umask", "U", "umask", "177:077", "177:077"},
	{"Bonjour", "v", "bonjour", "My Server", "MyServer"},
	{"TrustedIP", "V", "trustedip", "10.1.1.1", "10.1.1.1"},
	{"AllowUserFXP", "w", "allowuserfxp", "yes", ""},
	{"AllowAnonymousFXP", "W", "allowanonymousfxp", "yes", ""},
	{"ProhibitDotFilesWrite", "x", "prohibitdotfileswrite", "yes", ""},
	{"ProhibitDotFilesRead", "X", "prohibitdotfilesread", "yes", ""},
	{"PerUserLimits", "y", "peruserlimits", "3:20", "3:20"},
	{"TLS", "Y", "tls", "1", "1"},
	{"AllowDotFiles", "z", "allowdotfiles", "yes", ""},
	{"CustomerProof", "Z", "customerproof", "yes", ""},
}

// ownDirectives are those that Pure-FTPd has not, each with a value that is
// not the default.
var ownDirectives = map[string]string{
	"Auth":               "puredb:/etc/pureftpd.pdb",
	"FXPDeny":            "192.0.2.0/24",
	"LocalNetworks":      "192.0.2.0/24",
	"LocalCongestion":    "cubic",
	"ActiveMode":         "no",
	"MaxPassivePorts":    "100 10",
	"ProxyFrom":          "192.0.2.0/24",
	"ShutdownGrace":      "5m",
	"LoginTimeout":       "2m",
	"MaxLoginFailures":   "3",
	"LoginDelay":         "1s",
	"MaxLoginDelay":      "20s",
	"MaxCommandErrors":   "7",
	"MaxLineLength":      "1024",
	"ConnectTimeout":     "30s",
	"StallTimeout":       "90s",
	"KeepUnconfirmed":    "no",
	"MaxFileSize":        "4G",
	"MDTMWrite":          "yes",
	"MaxJobs":            "8 3",
	"MaxHashSize":        "1G",
	"QuotaFile":          "yes",
	"CompressionLevel":   "6",
	"AllowServerCopy":    "yes",
	"AllowSymlinks":      "yes",
	"DirAlias":           "pub=/srv/public",
	"ReplaceControls":    "yes",
	"ListZone":           "America/New_York",
	"MLSDFollowLinks":    "yes",
	"MLSDDots":           "no",
	"MaxTransferTime":    "48h",
	"VirtualHost":        "ftp.example.org users=/srv/b.db certificate=/srv/c.pem,/srv/k.pem greeting=\"/srv/a b\" anonymous=/srv/a",
	"AnonymousRoot":      "/srv/ftp",
	"AnonymousRoots":     "/srv/roots",
	"UserDB":             "/srv/users.db",
	"PasswordCost":       "14 8 1",
	"ImplicitTLS":        ",990",
	"TLSMinVersion":      "1.3",
	"TLSDataBinding":     "strict",
	"StrictTLSEOF":       "no",
	"AllowCCC":           "yes",
	"TLSClientCert":      "optional",
	"TLSClientCA":        "/etc/ssl/clients.pem",
	"TLSClientUser":      "cn",
	"PasswordMemory":     "64M",
	"PasswordCache":      "0",
	"ACME":               "ftp.example.org files.example.org",
	"ACMEDirectory":      "https://ca.example.org/acme/directory",
	"ACMEMail":           "postmaster@example.org",
	"ACMECache":          "/srv/acme",
	"ACMEHTTP":           "127.0.0.1:8080",
	"ACMETLS":            ",8443",
	"GreetingFile":       "/etc/portreeve/greeting",
	"Language":           "zh-Hant",
	"LogLevel":           "debug",
	"LogFormat":          "json",
	"LogFile":            "/var/log/portreeve.log",
	"SyslogSocket":       "/run/log",
	"HistoryDays":        "30",
	"HistorySize":        "5G",
	"HistoryFile":        "/srv/history.db",
	"UploadSpool":        "/srv/uploads",
	"UploadPipe":         "/run/uploads.pipe",
	"ControlSocket":      "/run/other.sock",
	"ControlSocketMode":  "600",
	"ControlSocketGroup": "adm",
	"ControlGroup":       "wheel",
	"MetricsListen":      "127.0.0.1,9121",
	"MetricsTopUsers":    "10",

	"ServerBandwidth":         "1000:2000",
	"GroupBandwidth":          "100 500:2000",
	"NetworkBandwidth":        "192.0.2.0/24 500:",
	"AnonymousTotalBandwidth": ":300",
}

func TestDirectivesOfPureFTPd(t *testing.T) {
	for _, d := range pureDirectives {
		f, ok := Directives.Lookup(d.name)
		switch {
		case !ok:
			t.Errorf("%s is missing", d.name)
		case f.Name != d.name:
			t.Errorf("%s is spelt %s", d.name, f.Name)
		case f.Short != d.letter:
			t.Errorf("%s has the letter %q, not %q", d.name, f.Short, d.letter)
		case f.LongFlag() != d.long:
			t.Errorf("%s has the flag --%s, not --%s", d.name, f.LongFlag(), d.long)
		}
	}
	// -l names a method and its argument, which the file does by directives.
	if f, _ := Directives.Lookup("Auth"); f.Short != "l" || f.LongFlag() != "login" {
		t.Errorf("-l, --login is -%s, --%s", f.Short, f.LongFlag())
	}
}

// valueOf returns a text that sets the row to something else than its default.
func valueOf(name string) string {
	i := slices.IndexFunc(pureDirectives, func(d pureDirective) bool { return d.name == name })
	if i < 0 {
		return ownDirectives[name]
	}
	return strings.ReplaceAll(pureDirectives[i].file, `"`, "")
}

// TestDirectivesCoverTheConfig sets each row and sees which fields of a Config
// change: each must be changed by exactly one row that is no second spelling.
func TestDirectivesCoverTheConfig(t *testing.T) {
	// rows that set two variables
	pairs := map[string]bool{"Umask": true, "LimitRecursion": true}
	setBy := make(map[string][]string)
	for _, f := range Directives {
		text := valueOf(f.Name)
		if text == "" {
			t.Errorf("%s: this test needs a value for it that is not the default", f.Name)
			continue
		}
		c := DefaultConfig()
		if err := f.Bind(&c).Set(text); err != nil {
			t.Errorf("%s: %v", f.Name, err)
			continue
		}
		fields := differing(c, DefaultConfig())
		if n := len(fields); n != 1 && (n != 2 || !pairs[f.Name]) {
			t.Errorf("%s sets the fields %v", f.Name, fields)
		}
		if f.AliasOf != "" {
			continue
		}
		for _, name := range fields {
			setBy[name] = append(setBy[name], f.Name)
		}
	}
	for field := range reflect.TypeFor[Config]().Fields() {
		if rows := setBy[field.Name]; len(rows) != 1 {
			t.Errorf("field %s of Config is set by the rows %v; each has exactly one", field.Name, rows)
		}
	}
}

// differing returns the names of the fields in which a and b differ.
func differing(a, b Config) []string {
	var names []string
	va, vb := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range va.NumField() {
		if !reflect.DeepEqual(va.Field(i).Interface(), vb.Field(i).Interface()) {
			names = append(names, va.Type().Field(i).Name)
		}
	}
	return names
}

func TestDirectivesAreComplete(t *testing.T) {
	names, flags, letters := make(map[string]bool), make(map[string]bool), make(map[string]bool)
	group := ""
	closed := make(map[string]bool)
	for _, f := range Directives {
		if f.Help == "" || !strings.HasSuffix(f.Help, ".") {
			t.Errorf("%s: the help %q is no sentence", f.Name, f.Help)
		}
		if len(f.Summary()) > 110 {
			t.Errorf("%s: the first sentence of its help is too long for --help: %q", f.Name, f.Summary())
		}
		if f.Group != group {
			if closed[f.Group] || f.Group == "" {
				t.Errorf("%s stands apart from the rest of its group %q", f.Name, f.Group)
			}
			closed[group], group = true, f.Group
		}
		if lower := strings.ToLower(f.Name); names[lower] {
			t.Errorf("%s has two rows", f.Name)
		} else {
			names[lower] = true
		}
		if flags[f.LongFlag()] || f.LongFlag() == "config" || f.LongFlag() == "help" {
			t.Errorf("%s: --%s means something else already", f.Name, f.LongFlag())
		}
		flags[f.LongFlag()] = true
		if f.Short != "" && (letters[f.Short] || f.Short == "h" || len(f.Short) != 1) {
			t.Errorf("%s: -%s means something else already", f.Name, f.Short)
		}
		letters[f.Short] = true
		if f.AliasOf == "" {
			continue
		}
		of, ok := Directives.Lookup(f.AliasOf)
		switch {
		case !ok || of.AliasOf != "":
			t.Errorf("%s is another spelling of %s, which is no row that shows it", f.Name, f.AliasOf)
		case of.Restart != f.Restart || of.Group != f.Group:
			t.Errorf("%s differs from %s in more than its form", f.Name, f.AliasOf)
		}
	}
}

// TestDefaultsParse makes the default configuration from what the documents
// say it is.
func TestDefaultsParse(t *testing.T) {
	defaults := DefaultConfig()
	var made Config
	for _, f := range Directives {
		if f.AliasOf != "" {
			continue
		}
		text := f.Bind(&defaults).String()
		if err := f.Bind(&made).Set(text); err != nil {
			t.Errorf("%s has the default %q, which is refused: %v", f.Name, text, err)
		}
	}
	if fields := differing(made, defaults); len(fields) > 0 {
		t.Errorf("%v are not what their defaults show", fields)
	}
	if err := defaults.Validate(); err != nil {
		t.Errorf("the default configuration is refused: %v", err)
	}
}

// TestPureFTPdFile reads what an administrator of Pure-FTPd may have, first in
// the blanks of its sample file and then by equals signs and in other case.
func TestPureFTPdFile(t *testing.T) {
	for name, form := range map[string]func(d pureDirective) string{
		"as the sample has it": func(d pureDirective) string { return fmt.Sprintf("%-28s %s\n", d.name, d.file) },
		"by equals signs":      func(d pureDirective) string { return strings.ToLower(d.name) + "=" + d.file + "\n" },
	} {
		t.Run(name, func(t *testing.T) {
			var text strings.Builder
			text.WriteString("# Configuration file for pure-ftpd\n\n")
			for _, d := range pureDirectives {
				text.WriteString("# about " + d.name + "\n\n" + form(d) + "\n")
			}
			c := DefaultConfig()
			origins, err := Directives.Read(&c, strings.NewReader(text.String()), "pure-ftpd.conf")
			if err != nil {
				t.Fatal(err)
			}
			// Eight are second spellings; those of Auth set one row that is not in the list.
			if len(origins) != len(pureDirectives)-8+1 {
				t.Errorf("%d directives were set", len(origins))
			}
			checkPureFTPdFile(t, c)
		})
	}
}

func checkPureFTPdFile(t *testing.T, c Config) {
	t.Helper()
	var methods []string
	for _, m := range c.Auth {
		methods = append(methods, m.Kind+"="+m.Arg)
	}
	got := fmt.Sprintln(c.Bind, c.PassivePorts, c.MaxClients, c.UserBandwidth, c.AnonBandwidth, c.UserRatio, c.Quota,
		c.PerUserLimits, c.ListEntries, c.ListDepth, c.MaxIdleTime, c.VerboseLog, c.AltLog, methods, c.NoTruncate)
	want := fmt.Sprintln([]Endpoint{{netip.MustParseAddr("127.0.0.1"), 2121}}, config.PortRange{First: 30000, Last: 50000}, 70,
		Bandwidth{8 << 10, 9 << 10}, Bandwidth{8 << 10, 8 << 10}, Ratio{1, 10}, Quota{1000, 10},
		PerUserLimits{3, 20}, 10000, 8, "20m0s", 1, []string{"clf:/var/log/pureftpd.log"},
		[]string{"extauth=/var/run/ftpd.sock", "ldap=/etc/pureftpd-ldap.conf", "mysql=/etc/pureftpd-mysql.conf",
			"pgsql=/etc/pureftpd-pgsql.conf", "puredb=/etc/pureftpd.pdb", "pam=", "unix="}, false)
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if want := []KeyPair{{Cert: "/etc/ssl/private/pure-ftpd.pem"}, {"/etc/pure-ftpd.pem", "/etc/pure-ftpd.key"}}; !slices.Equal(c.CertFile, want) {
		t.Errorf("CertFileAndKey is %v, not %v", c.CertFile, want)
	}
}

// TestDebianWrapperForms reads the values that Debian's one-file-a-directive
// folder may hold, where pairs are parted by blanks.
func TestDebianWrapperForms(t *testing.T) {
	c := DefaultConfig()
	for name, text := range map[string]string{
		"PerUserLimits": "3 20", "Umask": "177 077", "Quota": "1000 10", "AltLog": "clf:/var/log/pure-ftpd/transfer.log",
		"MinUID": "1000", "NoAnonymous": "yes", "PAMAuthentication": "yes", "PureDB": "/etc/pure-ftpd/pureftpd.pdb", "UnixAuthentication": "no",
	} {
		if err := Directives.Set(&c, name, text); err != nil {
			t.Error(err)
		}
	}
	if c.PerUserLimits != (PerUserLimits{3, 20}) || c.Umask != 0o177 || c.DirUmask != 0o077 || c.Quota != (Quota{1000, 10}) {
		t.Errorf("got %v, %o:%o, %v", c.PerUserLimits, c.Umask, c.DirUmask, c.Quota)
	}
}

// TestPureFTPdFlags gives every letter and every long flag as an init script
// for Pure-FTPd would.
func TestPureFTPdFlags(t *testing.T) {
	methods := map[string]string{"ExtAuth": "extauth:", "LDAPConfigFile": "ldap:", "MySQLConfigFile": "mysql:",
		"PGSQLConfigFile": "pgsql:", "PureDB": "puredb:", "PAMAuthentication": "pam", "UnixAuthentication": "unix"}
	for _, long := range []bool{false, true} {
		var args []string
		switches := ""
		for _, d := range pureDirectives {
			flag := "-" + d.letter
			if long {
				flag = "--" + d.long
			}
			switch {
			case d.name == "NoTruncate" && !long:
				switches += d.letter
			case d.letter == "" && !long:
				if method := methods[d.name]; method != "" {
					args = append(args, "-l", method+strings.TrimPrefix(d.flag, "yes"))
				}
			case d.flag == "" && !long:
				switches += d.letter
			case d.flag == "" || d.flag == "no":
				args = append(args, flag+"="+cmp.Or(d.flag, "yes"))
			default:
				args = append(args, flag, d.flag)
			}
		}
		if switches != "" {
			args = append(args, "-"+strings.ReplaceAll(switches, "d", "")+"dd")
		}
		fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
		given := Directives.Flags(fs, DefaultConfig())
		if err := fs.Parse(args); err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		c := DefaultConfig()
		if err := given.Apply(&c, nil); err != nil {
			t.Fatal(err)
		}
		if fs.NArg() != 0 {
			t.Errorf("left over: %q", fs.Args())
		}
		if c.UserBandwidth != (Bandwidth{0, 9 << 10}) || c.AnonBandwidth != (Bandwidth{8 << 10, 16 << 10}) || c.Bind[0].Addr != netip.IPv6Loopback() || !c.NATMode {
			t.Errorf("got %+v", c)
		}
	}
}

func TestEndpoints(t *testing.T) {
	good := map[string]string{
		"21": ",21", ",2121": ",2121", "ftp": ",21", "127.0.0.1,": "127.0.0.1,21", "127.0.0.1,2121": "127.0.0.1,2121",
		"127.0.0.1:2121": "127.0.0.1,2121", "[::1]:2121": "::1,2121", "::1,2121": "::1,2121", "[::1],2121": "::1,2121", ":2121": ",2121",
		"127.0.0.1": "127.0.0.1,21", "::1": "::1,21", "[::1]": "::1,21", "fe80::1%eth0,21": "fe80::1%eth0,21",
		"::ffff:127.0.0.1,21": "127.0.0.1,21", "127.0.0.1,2121 ::1,2121": "127.0.0.1,2121 ::1,2121",
	}
	for text, want := range good {
		var list []Endpoint
		v := endpoints(&list)
		if err := v.Set(text); err != nil {
			t.Errorf("Bind %s: %v", text, err)
		} else if v.String() != want {
			t.Errorf("Bind %s shows %q, not %q", text, v.String(), want)
		}
	}
	for _, text := range []string{"nowhere,21", "127.0.0.1,x", "127.0.0.1,65536", "-1", "1,2,3", "300.1.1.1"} {
		if err := endpoints(new([]Endpoint)).Set(text); err == nil {
			t.Errorf("Bind %s is accepted", text)
		}
	}
	for e, want := range map[Endpoint]string{
		{Port: 21}: ":21", {netip.MustParseAddr("127.0.0.1"), 2121}: "127.0.0.1:2121", {netip.IPv6Loopback(), 21}: "[::1]:21",
	} {
		if got := e.String(); got != want {
			t.Errorf("%v is listened at as %q, not %q", e, got, want)
		}
	}
}

func TestWrongValues(t *testing.T) {
	for _, line := range []string{
		"UserBandwidth 0", "UserBandwidth x", "UserBandwidth 1 2 3", "UserBandwidth x:", "UserRatio 1", "UserRatio 0 1", "UserRatio 1 x",
		"Quota 10", "Quota 10:", "Quota \":10\"", "PerUserLimits 3", "PerUserLimits -1:3", "Auth nonsense", "AltLog xml:/var/log/x", "AltLog clf:relative", "PAMAuthentication maybe",
		"PasswordCost 15 8", "PasswordCost 30 8 1", "PasswordCost a b c", "TLS 4", "MaxClientsNumber 0", "PassivePortRange 21 22", "MinUID x",
		"ControlSocketMode 999", "MaxIdleTime -1", "LimitRecursion 0 8", "ACME ftp", "ACME *.example.org", "ACME ftp.example.org:21", "ACME ,", "ACMEDirectory http://example.org/", "ACMEDirectory nowhere",
		"ACMEMail me", "ACMEMail Me <me@example.org>", "ACMEHTTP nowhere,80", "CertFile a,b,c", "TrustedIP example.org", "LogLevel loud",
		"TLSCipherSuite HIHG", "TLSCipherSuite -ALL", "TLSMinVersion 1.1", "TLSDataBinding maybe", "TLSClientCert yes", "TLSClientUser name", "ImplicitTLS x",
	} {
		c := DefaultConfig()
		_, err := Directives.Read(&c, strings.NewReader(line), "x.conf")
		if name, _, _ := strings.Cut(line, " "); err == nil || !strings.HasPrefix(err.Error(), "x.conf:1: "+name+": ") {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestValidate(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "",
		"IPV4Only yes":                       "",
		"IPV4Only yes\nIPV6Only yes":         "IPV4Only and IPV6Only",
		"AnonymousOnly yes\nNoAnonymous yes": "AnonymousOnly and NoAnonymous",
		`UserDB ""`:                          "UserDB is empty",
		"PAMAuthentication yes":              "PAMAuthentication: PAM is not built in; use UnixAuthentication",
		"Auth pam anonymous":                 "PAMAuthentication: PAM is not built in; use UnixAuthentication",
		"Auth pam pam":                       "PAMAuthentication: ",
		"PAMAuthentication yes\nPureDB /x":   "",
		"PureDB /x\nPAMAuthentication yes":   "",
		"PAMAuthentication no":               "",
		"Auth pam userdb":                    "",
		"LDAPConfigFile /x\nPureDB /x":       "LDAPConfigFile: LDAP is not built in; use ExtAuth",
		"PureDB /x\nMySQLConfigFile /x":      "MySQLConfigFile: MySQL is not built in; use ExtAuth",
		"Auth userdb pgsql:/x":               "PGSQLConfigFile: PostgreSQL is not built in; use ExtAuth",
		`Bind ""`:                            "Bind is empty",
		"Bind \"\"\nTLS 1\nImplicitTLS ,990": "",
		"ImplicitTLS ,990":                   "ImplicitTLS needs TLS 1",
		"TLSClientCert required":             "TLSClientCert needs TLSClientCA",
		"TLSCipherSuite -C:HIGH":             "TLSClientCert needs TLSClientCA",
		"TLSClientUser cn":                   "TLSClientUser needs TLSClientCert",
		"TLSClientUser cn\nTLSClientCert optional\nTLSClientCA /x":        "",
		"TLSMinVersion 1.2\nTLSCipherSuite TLS_AES_256_GCM_SHA384\nTLS 3": "",
	} {
		c := DefaultConfig()
		if _, err := Directives.Read(&c, strings.NewReader(text), "x.conf"); err != nil {
			t.Fatal(err)
		}
		if err := c.Validate(); (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, not %q", text, err, want)
		}
	}
}

// What is without effect beside what else is said is told.
func TestRemarks(t *testing.T) {
	for text, want := range map[string]string{
		"UploadPipe /run/x":                          "UploadPipe",
		"UploadPipe /run/x\nCallUploadScript yes":    "",
		"Bonjour name":                               "Bonjour",
		"UploadSpool /srv/x\nCallUploadScript yes\n": "",
	} {
		c := DefaultConfig()
		if _, err := Directives.Read(&c, strings.NewReader(text), "x.conf"); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(c.Remarks(), "\n"); want == "" && got != "" || !strings.HasPrefix(got, want) {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// Debian's files ask PAM too, which is passed over beside another way, and said so.
func TestAuthentication(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "userdb:/u",
		"PAMAuthentication no":               "userdb:/u",
		"Auth userdb":                        "userdb:/u",
		"Auth userdb:/v unix":                "userdb:/v unix",
		"Auth unix puredb:/p anonymous":      "unix puredb:/p anonymous",
		"UnixAuthentication yes\nPureDB /p":  "unix puredb:/p",
		"PureDB /p\nExtAuth /s\nAuth userdb": "puredb:/p extauth:/s userdb:/u",
		"PAMAuthentication yes\nUnixAuthentication no\nPureDB /p\nMinUID 1000": "puredb:/p!",
		"UnixAuthentication yes\nPAMAuthentication yes":                        "unix!",
	} {
		c := DefaultConfig()
		c.UserDB = "/u"
		if _, err := Directives.Read(&c, strings.NewReader(text), "x.conf"); err != nil {
			t.Fatal(err)
		}
		want, passed := strings.CutSuffix(want, "!")
		if got := showMethods(c.Authentication()); got != want || c.Validate() != nil {
			t.Errorf("%q asks %s, not %s", text, got, want)
		}
		if said := c.passedOver(); passed != (said != "") || passed && !strings.HasSuffix(said, ": logins are asked of "+want) {
			t.Errorf("%q says %q", text, said)
		}
	}
	for _, k := range authKinds { // what is not missing is there
		if k.missing == "" != slices.Contains(auth.Kinds(), k.name) {
			t.Errorf("%s is among %q, or not", k.name, auth.Kinds())
		}
	}
}

// FuzzConfig reads any file: every fault names file and line, and a file that
// is accepted can be written and read again without a change.
func FuzzConfig(f *testing.F) {
	for _, d := range pureDirectives {
		f.Add(d.name + " " + d.file)
	}
	for name, text := range ownDirectives {
		f.Add(name + " = " + text + "\n" + name + ":" + text)
	}
	f.Add("UserBandwidth :50\nAnonymousBandwidth 5:\nCertFile a,b\nAuth puredb::\n")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(strings.ToLower(text), "include") {
			return // would read whatever files the fuzzer thinks of
		}
		c := DefaultConfig()
		if _, err := Directives.Read(&c, strings.NewReader(text), "fuzz.conf"); err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				var n int
				if _, scanErr := fmt.Sscanf(line, "fuzz.conf:%d: ", &n); scanErr != nil || n < 1 {
					t.Fatalf("Read(%q): fault %q has no file and line", text, line)
				}
			}
			return
		}
		var b strings.Builder
		if err := Directives.Write(&b, c); err != nil {
			t.Fatal(err)
		}
		again := DefaultConfig()
		if _, err := Directives.Read(&again, strings.NewReader(b.String()), "again.conf"); err != nil {
			t.Fatalf("Read(%q) was written as\n%s\nwhich cannot be read: %v", text, b.String(), err)
		}
		if changed := Directives.Changed(c, again); len(changed) > 0 {
			t.Fatalf("Read(%q) was written as\n%s\nwhich reads as another %s", text, b.String(), changed[0].Name)
		}
	})
}
