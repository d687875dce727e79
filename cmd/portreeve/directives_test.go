package main

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"portreeve/server"
	"portreeve/server/auth"
	"portreeve/server/cert"
	"portreeve/userdb"
)

// directiveTests are what tries the directives that no transcript in
// server/testdata has in a line "config Name value": tests by their name, and
// scripts by their file.
var directiveTests = map[string]string{
	// Network
	"Bind":             "TestReload TestListenOnOneFamily",
	"IPV6Only":         "TestListenOnOneFamily",
	"LocalNetworks":    "TestLocalNetworks",
	"LocalCongestion":  "TestLocalCongestion",
	"ProxyFrom":        "TestBehindProxy TestProxyWithoutHeader",
	"FXPDeny":          "TestFXPT128",
	"DontResolve":      "TestClientNames",
	"Bonjour":          "background.txtar",
	"PIDFile":          "background.txtar",
	"Daemonize":        "background.txtar",
	"MaxPassivePorts":  "TestPassivePortsAreBoundedT308",
	"MaxClientsNumber": "TestSessionLimitsT003T004T055",
	"MaxClientsPerIP":  "TestSessionLimitsT003T004T055",

	// Limits and users
	"MaxLoginDelay":      "TestGuessingTogetherT305",
	"MaxJobs":            "TestAttack25JobsAreLimited",
	"UserDB":             "TestAuthOptions pw_useradd.txtar",
	"Auth":               "TestAuthentication config.txtar",
	"PureDB":             "TestPureDB TestAuthentication",
	"ExtAuth":            "TestExternalProgram TestAuthentication",
	"UnixAuthentication": "TestSystem TestAuthentication",
	"LDAPConfigFile":     "TestValidate", // refused with a sentence, as the three that follow
	"MySQLConfigFile":    "TestValidate",
	"PGSQLConfigFile":    "TestValidate",
	"PAMAuthentication":  "TestValidate TestAuthentication config.txtar",
	"MinUID":             "TestAuthOptions TestAnonymousIsTheSystemUser",
	"TrustedGID":         "TestTrustedGID TestWhoIsCaged",
	"ChrootEveryone":     "TestWhoIsCaged",
	"CreateHomeDir":      "TestCreateHomeDir TestMakeHomeWhereOthersRule",
	"PasswordCost":       "TestAuthOptions TestDefaultCost",
	"PasswordMemory":     "TestAuthOptions",
	"PasswordCache":      "TestAuthOptions",

	// Files
	"KeepUnconfirmed": "TestKeepUnconfirmedNo",
	"ListZone":        "TestLISTTimes",
	"AnonymousRoots":  "TestAnonymousByAddress",

	"CallUploadScript": "TestUploadScript TestUploadsAreTold",
	"UploadSpool":      "TestUploadScript",
	"UploadPipe":       "TestUploadPipe",

	// TLS
	"ImplicitTLS":    "TestTLSClients",
	"CertFile":       "TestCertificates",
	"CertFileAndKey": "cert.txtar",
	"ACME":           "TestACME",
	"ACMEDirectory":  "TestACME",
	"ACMEMail":       "TestACME",
	"ACMECache":      "TestCertOptions",
	"ACMEHTTP":       "TestACME",
	"ACMETLS":        "TestACME",
	"ExtCert":        "TestCertOptions TestExternal TestExtCert",
	"TLSCipherSuite": "TestCiphersAuthenticate",

	// Logs and control
	"LogLevel":           "background.txtar",
	"LogFormat":          "background.txtar",
	"LogFile":            "background.txtar",
	"VerboseLog":         "TestLogsHoldNoSecretT313",
	"SyslogFacility":     "TestSyslog background.txtar",
	"SyslogSocket":       "TestSyslog",
	"LogPID":             "TestSyslog",
	"AltLog":             "TestAltLog",
	"HistoryDays":        "TestHistory",
	"HistorySize":        "TestHistory",
	"HistoryFile":        "TestHistory",
	"ControlSocket":      "TestControlGroups",
	"ControlSocketMode":  "background.txtar",
	"ControlSocketGroup": "TestControlGroups",
	"ControlGroup":       "TestControlGroups",

	// Metrics
	"MetricsListen":   "TestMetricsReload metrics.txtar",
	"MetricsTopUsers": "TestMetrics TestTopUsersBySetting",
}

// Every directive is tried, and so none is accepted that has no effect.
func TestEveryDirectiveIsTried(t *testing.T) {
	tried := triedInTranscripts(t)
	names := testNames(t)
	for _, f := range server.Directives {
		tests, listed := directiveTests[f.Name]
		if !listed && !tried[strings.ToLower(f.Name)] {
			t.Errorf("nothing tries %s: a transcript with \"config %[1]s\", or a row of directiveTests", f.Name)
		}
		for _, test := range strings.Fields(tests) {
			if strings.HasSuffix(test, ".txtar") {
				if _, err := os.Stat(filepath.Join("testdata/script", test)); err != nil {
					t.Errorf("%s: %v", f.Name, err)
				}
			} else if !regexp.MustCompile(`(?m)^func ` + test + `\b`).MatchString(names) {
				t.Errorf("%s: there is no %s", f.Name, test)
			}
		}
	}
	for name := range directiveTests {
		if _, ok := server.Directives.Lookup(name); !ok {
			t.Errorf("there is no directive %s", name)
		}
	}
}

// triedInTranscripts returns the directives that transcripts set, in lower case.
func triedInTranscripts(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("../../server/testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	tried := make(map[string]bool)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^config (\w+)`).FindAllStringSubmatch(string(text), -1) {
			tried[strings.ToLower(m[1])] = true
		}
	}
	return tried
}

// TestAuthOptions: what the configuration says of logins gets to who decides.
func TestAuthOptions(t *testing.T) {
	cfg := server.DefaultConfig()
	cfg.UserDB, cfg.MinUID, cfg.AnonymousRoot, cfg.AnonymousRoots = "/u.db", 1234, "/srv/ftp", "/srv/roots"
	cfg.PasswordCost, cfg.PasswordMemory, cfg.PasswordCache = server.Cost{LogN: 14, R: 8, P: 1}, 64<<20, time.Second
	cfg.LoginDelay, cfg.MaxLoginDelay = 2*time.Second, 5*time.Second
	cfg.VirtualHosts = []server.VirtualHost{{Name: "a", Users: "/a.db"}, {Name: "b", Users: server.Without, Anonymous: "/srv/b"}}
	o := authOptions(cfg, slog.New(slog.DiscardHandler))
	ours := []auth.Method{{Kind: "anonymous", Arg: "/srv/ftp"}, {Kind: "userdb", Arg: "/u.db"}}
	for what, pair := range map[string][2]any{
		"methods":        {o.Methods, ours},
		"cost":           {o.Cost, userdb.Cost{LogN: 14, R: 8, P: 1}},
		"memory":         {o.Memory, int64(64 << 20)},
		"cache":          {o.Remember, time.Second},
		"lowest uid":     {o.MinUID, 1234},
		"delays":         {[]time.Duration{o.DelayStep, o.DelayMost}, []time.Duration{2 * time.Second, 5 * time.Second}},
		"roots":          {o.ByAddress, "/srv/roots"},
		"host a":         {o.Hosts["a"].Methods, []auth.Method{ours[0], {Kind: "userdb", Arg: "/a.db"}}},
		"roots of a":     {o.Hosts["a"].ByAddress, "/srv/roots"},
		"host b":         {o.Hosts["b"].Methods, []auth.Method{{Kind: "anonymous", Arg: "/srv/b"}}},
		"no roots for b": {o.Hosts["b"].ByAddress, ""},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: %v, want %v", what, pair[0], pair[1])
		}
	}
}

// TestCertOptions: what the configuration says of certificates gets to who has them.
func TestCertOptions(t *testing.T) {
	cfg := server.DefaultConfig()
	cfg.TLS, cfg.ExtCert, cfg.CertFile = 1, "/run/certd.sock", []server.KeyPair{{Cert: "/c.pem", Key: "/k.pem"}}
	cfg.UserDB, cfg.ACME, cfg.ACMEMail = "/var/lib/users.db", [][]string{{"a.example.org"}}, "post@example.org"
	cfg.ACMETLS = []server.Endpoint{{Addr: netip.MustParseAddr("192.0.2.1"), Port: 443}}
	o, err := certOptions(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if o.External != "/run/certd.sock" || !reflect.DeepEqual(o.Files, []cert.Pair{{Cert: "/c.pem", Key: "/k.pem"}}) {
		t.Errorf("certificates: %+v", o)
	}
	if a := o.ACME; a.Folder != "/var/lib/acme" || a.Mail != "post@example.org" || len(a.HTTP) != 1 || len(a.TLS) != 1 {
		t.Errorf("ACME: %+v", a)
	}
	cfg.ACMECache = "/srv/acme"
	if o, _ := certOptions(cfg); o.ACME.Folder != "/srv/acme" {
		t.Errorf("the folder of ACME: %s", o.ACME.Folder)
	}
}
