package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"portreeve/server/control"
	"portreeve/server/session"
)

type whoOptions struct {
	socket   string
	format   whoFormat // the last one given
	numeric  bool      // no names for addresses
	json     bool
	watch    bool
	interval time.Duration
	filter   sessionFilter

	lookup func(ctx context.Context, addr string) (names []string, err error)
}

func newWho(e *env) *cobra.Command {
	opts := whoOptions{format: whoTable, lookup: net.DefaultResolver.LookupAddr}
	cmd := &cobra.Command{
		Use:   "who",
		Short: "Show who is connected and what they do",
		Long: `Who lists the sessions of the daemon, ordered by session id. Its formats are
those of pure-ftpwho, with the session id for the process id; the last one
given counts. A time is since the client connected, a speed the average of the
transfer under way, and names of hosts are looked up for two seconds at most.
Only --json and --watch tell everything: every size in bytes, the speed over
the last second and over the last ten, directories, commands, client programs,
TLS.

--json prints an array, a session a line. --watch prints, once an interval, a
line {"time": ..., "sessions": [...]} with the same sessions.

` + exitStatusHelp,
		Example: `  portreeve who
  portreeve who -n --user alice --state downloading,uploading
  portreeve who --json | jq '.[] | select(.rate_10s > 1e6) | .user'
  portreeve who --watch --interval 5s --addr 192.0.2.0/24`,
		Args: cobra.NoArgs,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	addWhoFormats(fs, &opts.format)
	if e.getenv("GATEWAY_INTERFACE") != "" { // a web server runs us
		opts.format = whoCGIPage
	}
	fs.BoolVarP(&opts.numeric, "numeric", "n", false, "show addresses, look up no names")
	fs.BoolVarP(&opts.numeric, "no-lookup", "H", false, "the same as -n")
	fs.BoolVar(&opts.json, "json", false, "print everything as JSON")
	fs.BoolVar(&opts.watch, "watch", false, "print JSON lines until interrupted")
	fs.DurationVar(&opts.interval, "interval", time.Second, "how often --watch looks")
	opts.filter.addFlags(fs)
	fs.StringSliceVar(&opts.filter.states, "state", nil, "only in this `state`: login, idle, listing, downloading, uploading")
	addSocketFlag(e, fs, &opts.socket)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if formatGiven(fs) && (opts.json || opts.watch) {
			return usagef("--json and --watch go with no other format")
		}
		return runWho(cmd.Context(), e, opts)
	}
	return cmd
}

func runWho(ctx context.Context, e *env, opts whoOptions) error {
	filter, err := opts.filter.parse()
	if err != nil {
		return err
	}
	client := e.client(opts.socket)
	defer client.Close()
	if opts.watch {
		return watchSessions(ctx, e, client, filter, opts.interval)
	}
	infos, err := client.Sessions(ctx, filter)
	if err != nil {
		return daemonError(err)
	}
	if opts.json {
		_, err := e.out.Write(append(appendSessions(nil, infos, "\n"), '\n'))
		return err
	}
	var names map[netip.Addr]string
	if !opts.numeric {
		names = hostNames(ctx, infos, opts.lookup)
	}
	var out bytes.Buffer
	opts.format(&out, whoRows(infos, names, time.Now()))
	_, err = out.WriteTo(e.out)
	return err
}

// watchSessions prints what there is at once and then every interval, until ctx
// ends or the daemon does.
func watchSessions(ctx context.Context, e *env, client *control.Client, filter control.Filter, interval time.Duration) error {
	if interval < 100*time.Millisecond {
		return usagef("--interval %v is shorter than 100ms", interval)
	}
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	var line []byte
	for {
		infos, err := client.Sessions(ctx, filter)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return daemonError(err)
		}
		line = time.Now().AppendFormat(append(line[:0], `{"time":"`...), time.RFC3339Nano)
		line = appendSessions(append(line, `","sessions":`...), infos, "")
		if _, err := e.out.Write(append(line, "}\n"...)); err != nil {
			return err
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// appendSessions appends a JSON array, with brk around each element.
func appendSessions(b []byte, infos []session.Info, brk string) []byte {
	if len(infos) == 0 {
		return append(b, "[]"...)
	}
	b = append(b, '[')
	for i := range infos {
		if i > 0 {
			b = append(b, ',')
		}
		b = infos[i].AppendJSON(append(b, brk...))
	}
	return append(append(b, brk...), ']')
}

// Looking up names: how long in all, and how many at a time.
const (
	lookupTime  = 2 * time.Second
	lookupWidth = 64
)

// hostNames looks up the names of the clients' addresses. What has not come when
// the time is over stays an address: a name server that is slow or down must not
// keep an administrator from seeing who is connected.
func hostNames(ctx context.Context, infos []session.Info, lookup func(context.Context, string) ([]string, error)) map[netip.Addr]string {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	var (
		mu    sync.Mutex // guards names, and who is late finds done set
		done  bool
		names = make(map[netip.Addr]string)
		wg    sync.WaitGroup
	)
	addrs := make(chan netip.Addr, len(infos))
	for _, i := range infos {
		if addr := i.Remote.Addr(); i.Name != "" { // the daemon knows it already
			names[addr] = i.Name
		} else if addr.IsValid() {
			if _, seen := names[addr]; !seen {
				names[addr] = ""
				addrs <- addr
			}
		}
	}
	close(addrs)
	for range min(lookupWidth, len(addrs)) {
		wg.Go(func() {
			for addr := range addrs {
				if ctx.Err() != nil {
					return
				}
				found, err := lookup(ctx, addr.String())
				mu.Lock()
				if err == nil && len(found) > 0 && !done {
					names[addr] = strings.TrimSuffix(found[0], ".")
				}
				mu.Unlock()
			}
		})
	}
	finished := make(chan struct{})
	go func() { wg.Wait(); close(finished) }()
	select {
	case <-finished:
	case <-ctx.Done(): // a resolver that does not heed it is left behind
	}
	mu.Lock()
	defer mu.Unlock()
	done = true
	return names
}

// A sessionFilter is a control.Filter as flags spell it.
type sessionFilter struct {
	user, addr string
	states     []string
}

func (f *sessionFilter) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&f.user, "user", "", "only sessions of this `account`")
	fs.StringVar(&f.addr, "addr", "", "only clients at this `address` or in this network (192.0.2.0/24)")
}

func (f *sessionFilter) parse() (parsed control.Filter, err error) {
	parsed.User = f.user
	if f.addr != "" {
		if parsed.Addr, err = control.ParseAddr(f.addr); err != nil {
			return parsed, usagef("--addr: %w", err)
		}
	}
	for _, name := range f.states {
		state, err := session.ParseState(name)
		if err != nil {
			return parsed, usagef("--state: %w", err)
		}
		parsed.States = append(parsed.States, state)
	}
	return parsed, nil
}

// String says whom the filter chooses, for messages.
func (f *sessionFilter) String() string {
	var parts []string
	if f.user != "" {
		parts = append(parts, fmt.Sprintf("of user %q", f.user))
	}
	if f.addr != "" {
		parts = append(parts, "from "+f.addr)
	}
	return strings.Join(parts, " ")
}
