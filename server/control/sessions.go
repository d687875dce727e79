package control

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"portreeve/server/session"
)

// A Filter chooses sessions: those that fit every field that is set.
type Filter struct {
	User   string          // account
	Addr   netip.Prefix    // client's address; ParseAddr reads a bare one, too
	States []session.State // one of these
}

// ParseAddr reads an address or a prefix.
func ParseAddr(text string) (netip.Prefix, error) {
	addr, err := netip.ParseAddr(text)
	if err == nil && !strings.Contains(addr.Zone(), "/") { // a zone may be any text
		addr = addr.Unmap().WithZone("")
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a prefix such as 192.0.2.0/24", text)
	}
	return p.Masked(), nil
}

// IsZero reports whether the filter chooses everybody.
func (f Filter) IsZero() bool {
	return f.User == "" && !f.Addr.IsValid() && len(f.States) == 0
}

// Match reports whether a session fits.
func (f Filter) Match(i session.Info) bool {
	return (f.User == "" || i.User == f.User) &&
		(!f.Addr.IsValid() || f.Addr.Contains(i.Remote.Addr().WithZone(""))) &&
		(len(f.States) == 0 || slices.Contains(f.States, i.State))
}

func (f Filter) query() url.Values {
	q := make(url.Values)
	if f.User != "" {
		q.Set("user", f.User)
	}
	if f.Addr.IsValid() {
		q.Set("addr", f.Addr.String())
	}
	if len(f.States) > 0 {
		names := make([]string, len(f.States))
		for i, s := range f.States {
			names[i] = s.String()
		}
		q.Set("state", strings.Join(names, ","))
	}
	return q
}

func parseFilter(q url.Values) (f Filter, err error) {
	for _, name := range []string{"user", "addr", "state"} {
		if q.Has(name) && q.Get(name) == "" {
			return f, fail(http.StatusBadRequest, "parameter %q is empty", name)
		}
	}
	f.User = q.Get("user")
	if text := q.Get("addr"); text != "" {
		if f.Addr, err = ParseAddr(text); err != nil {
			return f, fail(http.StatusBadRequest, "addr: %v", err)
		}
	}
	if text := q.Get("state"); text != "" {
		for name := range strings.SplitSeq(text, ",") {
			state, err := session.ParseState(name)
			if err != nil {
				return f, fail(http.StatusBadRequest, "%v", err)
			}
			f.States = append(f.States, state)
		}
	}
	return f, nil
}

func (s *Server) choose(f Filter) []session.Info {
	all := s.Sessions.List()
	if f.IsZero() {
		return all
	}
	return slices.DeleteFunc(all, func(i session.Info) bool { return !f.Match(i) })
}

func (s *Server) getSessions(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, "user", "addr", "state")
	if err != nil {
		return err
	}
	f, err := parseFilter(q)
	if err != nil {
		return err
	}
	writeSessions(w, s.choose(f))
	return nil
}

// writeSessions writes a list as it goes, an element a line: while the daemon is
// at the later ones the client reads the first, and no list is whole in memory.
func writeSessions(w http.ResponseWriter, infos []session.Info) {
	w.Header().Set("Content-Type", "application/json")
	out := bufio.NewWriterSize(w, 64<<10)
	defer func() { _ = out.Flush() }() // as in writeJSON
	var line []byte
	for i := range infos {
		line = append(line[:0], "[,"[min(i, 1)])
		line = append(infos[i].AppendJSON(line), '\n')
		if _, err := out.Write(line); err != nil {
			return // the client has gone
		}
	}
	end := "]\n"
	if len(infos) == 0 {
		end = "[]\n"
	}
	_, _ = out.WriteString(end)
}

// Sessions lists who is connected and fits the filter, ordered by ID.
func (c *Client) Sessions(ctx context.Context, f Filter) (infos []session.Info, err error) {
	err = c.ask(ctx, http.MethodGet, "/v1/sessions?"+f.query().Encode(), nil, func(r io.Reader) (err error) {
		infos, err = readSessions(r)
		return err
	})
	return infos, err
}

// maxLine is more than a session takes whose every string is as long as it may
// be and all escapes.
const maxLine = 1 << 20

// readSessions reads what writeSessions writes, as it comes.
func readSessions(r io.Reader) (infos []session.Info, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	for n := 0; lines.Scan(); n++ {
		line := lines.Bytes()
		if string(line) == "]" || n == 0 && string(line) == "[]" {
			return infos, nil
		}
		if len(line) == 0 || line[0] != "[,"[min(n, 1)] {
			return nil, fmt.Errorf("line %d is not of a list of sessions", n+1)
		}
		infos = append(infos, session.Info{})
		if err := infos[n].ParseJSON(line[1:]); err != nil {
			return nil, err
		}
	}
	return nil, cmp.Or(lines.Err(), io.ErrUnexpectedEOF)
}

func (s *Server) getSession(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	id, err := pathID(r)
	if err != nil {
		return err
	}
	info, ok := s.Sessions.Get(id)
	if !ok {
		return noSession(id)
	}
	writeJSON(w, http.StatusOK, info)
	return nil
}

// Session asks for one session; session.ErrNoSession if it is gone.
func (c *Client) Session(ctx context.Context, id session.ID) (session.Info, error) {
	return get[session.Info](ctx, c, sessionPath(id))
}

// Ended names the sessions that were made to leave.
type Ended struct {
	Sessions []session.ID `json:"sessions"`
}

// kickBody may come with a DELETE, in place of the parameter of the same name.
type kickBody struct {
	Message string `json:"message"`
}

func (s *Server) deleteSession(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, "message")
	if err != nil {
		return err
	}
	id, err := pathID(r)
	if err != nil {
		return err
	}
	reason, err := kickReason(r, q)
	if err != nil {
		return err
	}
	if !s.Sessions.Kick(id, reason) {
		return noSession(id)
	}
	writeJSON(w, http.StatusOK, Ended{[]session.ID{id}})
	return nil
}

// Kick ends a session; its client is told the message, which may be empty.
func (c *Client) Kick(ctx context.Context, id session.ID, message string) error {
	_, err := call[Ended](ctx, c, http.MethodDelete, sessionPath(id), kickBody{message})
	return err
}

// deleteSessions ends those that a filter chooses. Without a filter it refuses:
// to end everybody is what stopping the daemon is for.
func (s *Server) deleteSessions(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, "user", "addr", "state", "message")
	if err != nil {
		return err
	}
	f, err := parseFilter(q)
	if err != nil {
		return err
	}
	if f.IsZero() {
		return fail(http.StatusBadRequest, "say whom: user, addr or state")
	}
	reason, err := kickReason(r, q)
	if err != nil {
		return err
	}
	ended := Ended{Sessions: []session.ID{}}
	for _, info := range s.choose(f) {
		if s.Sessions.Kick(info.ID, reason) {
			ended.Sessions = append(ended.Sessions, info.ID)
		}
	}
	writeJSON(w, http.StatusOK, ended)
	return nil
}

// KickAll ends the sessions that a filter chooses, which must not be empty, and
// returns which they were.
func (c *Client) KickAll(ctx context.Context, f Filter, message string) ([]session.ID, error) {
	ended, err := call[Ended](ctx, c, http.MethodDelete, "/v1/sessions?"+f.query().Encode(), kickBody{message})
	return ended.Sessions, err
}

func (s *Server) postAbort(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	id, err := pathID(r)
	if err != nil {
		return err
	}
	if !s.Sessions.Abort(id) {
		if _, ok := s.Sessions.Get(id); !ok {
			return noSession(id)
		}
		return fail(http.StatusConflict, "session %v has no transfer", id)
	}
	writeJSON(w, http.StatusOK, Ended{[]session.ID{id}})
	return nil
}

// Abort ends the transfer of a session and keeps the session; ErrNoTransfer if
// it moves nothing.
func (c *Client) Abort(ctx context.Context, id session.ID) error {
	_, err := call[Ended](ctx, c, http.MethodPost, sessionPath(id)+"/abort", nil)
	return err
}

func sessionPath(id session.ID) string { return "/v1/sessions/" + id.String() }

func pathID(r *http.Request) (session.ID, error) {
	id, err := session.ParseID(r.PathValue("id"))
	if err != nil {
		return 0, fail(http.StatusBadRequest, "%v", err)
	}
	return id, nil
}

func noSession(id session.ID) error {
	return fail(http.StatusNotFound, "there is no session %v", id)
}

// MaxMessage is how many bytes a kick's message may have: what fits into a reply
// line that every client reads.
const MaxMessage = 400

// kickReason reads the message, from the body or the query. It becomes part of a
// reply to the client, so nothing in it may end the line or be a Telnet command.
func kickReason(r *http.Request, q url.Values) (error, error) {
	body := kickBody{Message: q.Get("message")}
	if err := readJSON(r, &body); err != nil {
		return nil, err
	}
	switch m := body.Message; {
	case len(m) > MaxMessage:
		return nil, fail(http.StatusBadRequest, "message is longer than %d bytes", MaxMessage)
	case !utf8.ValidString(m) || strings.ContainsFunc(m, unicode.IsControl):
		return nil, fail(http.StatusBadRequest, "message is not one line of plain text")
	}
	return session.Kicked{Message: body.Message}, nil
}
