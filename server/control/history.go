package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"portreeve/logfile"
	"portreeve/logparse"
	"portreeve/server/history"
)

// How much of history one answer has.
const (
	historyLimit = 100 // if nothing is said
	historyMost  = 1000
)

// A HistoryFilter chooses what happened. What is empty chooses all.
type HistoryFilter struct {
	User    string // account
	Addr    string // address, network, host or domain
	Path    string // pattern: *.pdf, /srv/*/in, /srv/**; also of what it was renamed to
	Since   time.Time
	Until   time.Time         // not in it
	Events  []logparse.Event  // one of these
	Outcome []logparse.Status // one of these
	Oldest  bool              // first; otherwise the newest is
	Limit   int               // at most 1000; 0: 100
	Cursor  string            // of the page before: its Next
}

// A HistoryPage is a part of what a filter chooses. It may have fewer entries than
// were asked for, or none, and yet be followed by another: an answer does not look
// at more than some ten thousand.
type HistoryPage struct {
	Entries []logparse.Entry
	Next    string // Cursor of the next; "": this is the last
}

// historyBody is a page on the wire; entries are as the log in JSON has them.
type historyBody struct {
	Entries []json.RawMessage `json:"entries"`
	Next    string            `json:"next"`
}

func (f HistoryFilter) query() url.Values {
	q := make(url.Values)
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("user", f.User)
	set("addr", f.Addr)
	set("path", f.Path)
	set("cursor", f.Cursor)
	if !f.Since.IsZero() {
		set("since", f.Since.Format(time.RFC3339Nano))
	}
	if !f.Until.IsZero() {
		set("until", f.Until.Format(time.RFC3339Nano))
	}
	var events, outcomes []string
	for _, e := range f.Events {
		events = append(events, e.String())
	}
	for _, s := range f.Outcome {
		outcomes = append(outcomes, s.String())
	}
	set("event", strings.Join(events, ","))
	set("outcome", strings.Join(outcomes, ","))
	if f.Oldest {
		set("order", "oldest")
	}
	if f.Limit != 0 {
		set("limit", strconv.Itoa(f.Limit))
	}
	return q
}

// History asks for a page of what happened.
func (c *Client) History(ctx context.Context, f HistoryFilter) (page HistoryPage, err error) {
	body, err := get[historyBody](ctx, c, "/v1/history?"+f.query().Encode())
	if err != nil {
		return page, err
	}
	format, _ := logparse.Find("json")
	var p logparse.Parser
	page.Next, page.Entries = body.Next, make([]logparse.Entry, len(body.Entries))
	for i, line := range body.Entries {
		if err := p.Parse(&format, string(line), &page.Entries[i]); err != nil {
			return HistoryPage{}, fmt.Errorf("read the answer of the daemon at %s: %w", c.Socket, err)
		}
	}
	return page, nil
}

func (s *Server) getHistory(w http.ResponseWriter, r *http.Request) error {
	values, err := query(r, "user", "addr", "path", "since", "until", "event", "outcome", "order", "limit", "cursor")
	if err != nil {
		return err
	}
	q, err := historyQuery(values)
	if err != nil {
		return err
	}
	switch order := values.Get("order"); order {
	case "", "newest":
		q.Newest = true
	case "oldest":
	default:
		return fail(http.StatusBadRequest, "order %q is neither newest nor oldest", order)
	}
	limit, err := historyCount(values)
	if err != nil {
		return err
	}
	if s.History == nil {
		return fail(http.StatusNotImplemented, "this daemon remembers nothing")
	}
	page, err := s.History().Page(q, values.Get("cursor"), limit)
	switch {
	case errors.Is(err, history.ErrCursor):
		return fail(http.StatusBadRequest, "%v", err)
	case err != nil && !errors.Is(err, history.ErrNone):
		return err
	}
	body := historyBody{Entries: []json.RawMessage{}, Next: page.Next}
	for _, line := range page.Lines {
		if text := json.RawMessage(line); json.Valid(text) {
			body.Entries = append(body.Entries, text)
		}
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}

func historyCount(values url.Values) (int, error) {
	text := values.Get("limit")
	if text == "" {
		return historyLimit, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > historyMost {
		return 0, fail(http.StatusBadRequest, "limit %q is no number from 1 to %d", text, historyMost)
	}
	return n, nil
}

// historyQuery reads what chooses entries. What can be looked up at once is, and
// the rest compared.
func historyQuery(values url.Values) (q history.Query, err error) {
	var f logfile.Filter
	q.User = values.Get("user")
	if text := values.Get("addr"); text != "" {
		c, err := logfile.ParseClient(text)
		if err != nil {
			return q, fail(http.StatusBadRequest, "addr: %v", err)
		}
		f.Clients = []logfile.Client{c}
		if addr, err := netip.ParseAddr(text); err == nil {
			q.Host = addr.Unmap().WithZone("").String()
		}
	}
	if text := values.Get("path"); text != "" {
		g, err := logfile.ParseGlob(text)
		if err != nil {
			return q, fail(http.StatusBadRequest, "path: %v", err)
		}
		f.Paths = []logfile.Glob{g}
		if strings.HasPrefix(text, "/") && !strings.HasSuffix(text, "/") && !strings.ContainsAny(text, `*?[\`) {
			q.Path = text
		}
	}
	for _, name := range words(values.Get("event")) {
		e, ok := logparse.FindEvent(name)
		if !ok {
			return q, fail(http.StatusBadRequest, "event %q is none of %s", name, strings.Join(logparse.EventNames(), ", "))
		}
		f.Events = append(f.Events, e)
	}
	for _, name := range words(values.Get("outcome")) {
		status, ok := logparse.FindStatus(name)
		if !ok {
			return q, fail(http.StatusBadRequest, "outcome %q is none of %s", name, strings.Join(logparse.StatusNames(), ", "))
		}
		f.Outcomes = append(f.Outcomes, status)
	}
	if q.Since, err = historyTime(values, "since"); err != nil {
		return q, err
	}
	q.Until, err = historyTime(values, "until")
	q.Match = f.Match
	return q, err
}

func words(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

func historyTime(values url.Values, name string) (t time.Time, err error) {
	text := values.Get(name)
	if text == "" {
		return t, nil
	}
	if t, err = time.Parse(time.RFC3339, text); err != nil {
		return t, fail(http.StatusBadRequest, "%s %q is no time as 2026-11-01T10:00:00Z is", name, text)
	}
	return t, nil
}

// A HistoryTop is who, or what, moved most in a while.
type HistoryTop struct {
	By   history.By    `json:"by"`
	Sums []history.Sum `json:"sums"`
	// Cut tells that the sums are not of all, since there was too much.
	Cut bool `json:"cut"`
}

// HistoryTop asks for the users, paths or addresses that moved most; at most so
// many, of up to 1000. Days of users are those of UTC.
func (c *Client) HistoryTop(ctx context.Context, by history.By, f HistoryFilter) (HistoryTop, error) {
	q := make(url.Values)
	for name, values := range f.query() {
		if name == "since" || name == "until" || name == "limit" {
			q[name] = values
		}
	}
	q.Set("by", string(by))
	return get[HistoryTop](ctx, c, "/v1/history/top?"+q.Encode())
}

func (s *Server) getHistoryTop(w http.ResponseWriter, r *http.Request) error {
	values, err := query(r, "by", "since", "until", "limit")
	if err != nil {
		return err
	}
	top := HistoryTop{By: history.ByUser}
	if by := values.Get("by"); by != "" {
		if top.By = history.By(by); !slices.Contains(history.Bys, top.By) {
			return fail(http.StatusBadRequest, "by %q is none of user, path, addr", by)
		}
	}
	q, err := historyQuery(values)
	if err != nil {
		return err
	}
	limit, err := historyCount(values)
	if err != nil {
		return err
	}
	if s.History == nil {
		return fail(http.StatusNotImplemented, "this daemon remembers nothing")
	}
	if top.By == history.ByUser {
		top.Sums, err = s.History().Users(q.Since, q.Until)
	} else {
		s.summing.Lock() // one takes seconds, and the memory of many names
		defer s.summing.Unlock()
		if err := r.Context().Err(); err != nil {
			return err // who asked did not wait
		}
		top.Sums, top.Cut, err = s.History().Top(q, top.By)
	}
	if err != nil && !errors.Is(err, history.ErrNone) {
		return err
	}
	top.Sums = append([]history.Sum{}, top.Sums[:min(len(top.Sums), limit)]...)
	writeJSON(w, http.StatusOK, top)
	return nil
}
