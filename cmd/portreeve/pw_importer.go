package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os/user"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"portreeve/userdb"
	"portreeve/userfile"
)

// What becomes of a user of a file.
type status int

const (
	added status = iota
	changed
	unchanged
	kept    // is there already, and is to be left alone
	leftOut // is nobody to be taken over
	refused
	statuses
)

func (s status) String() string {
	return [...]string{"new", "changed", "unchanged", "kept", "left out", "refused"}[s]
}

// An importer compares the users of a file to those that there are, and gathers
// what is to be written.
type importer struct {
	edits        *userdb.Edits
	base         userdb.User // what the command says of new users
	cost         userdb.Cost
	dryRun       bool
	update, skip bool // users who are there
	report       *importReport
	progress     *progress
	took         func(userdb.User, importRow) // in the place of the report, which counts

	lines  map[string]int   // where each user is in the file
	groups map[int]int      // of users of the system, 0 if there is none
	batch  []userfile.Entry // read, but not yet compared
}

// importBatch is how many users are looked up in one transaction.
const importBatch = 2000

func (im *importer) read(ctx context.Context, entries iter.Seq2[userfile.Entry, error]) error {
	im.lines, im.groups = make(map[string]int), make(map[int]int)
	n := 0
	for e, err := range entries {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		n++
		e.Name = strings.Clone(e.Name) // it stays, and would keep its whole line
		im.batch = append(im.batch, e)
		if len(im.batch) == importBatch || e.Password != "" && len(im.batch) >= 2*runtime.NumCPU() {
			if err := im.compare(ctx); err != nil {
				return err
			}
			im.progress.step("reading", n)
		}
	}
	return im.compare(ctx)
}

// A candidate is an entry of a batch on its way.
type candidate struct {
	entry userfile.Entry
	was   userdb.Stored
	now   userdb.User
	row   importRow
}

// compare decides what becomes of the entries of a batch.
func (im *importer) compare(ctx context.Context) error {
	names := make([]string, len(im.batch))
	for i := range im.batch {
		names[i] = im.batch[i].Name
	}
	found, err := im.edits.Read(names)
	if err != nil {
		return err
	}
	list := make([]candidate, len(im.batch))
	for i, e := range im.batch {
		list[i] = candidate{entry: e, was: found[i]}
		im.decide(&list[i])
	}
	im.batch = im.batch[:0]
	if err := im.hash(ctx, list); err != nil {
		return err
	}
	for i := range list {
		c := &list[i]
		if c.row.Status == added || c.row.Status == changed {
			if err := im.edits.Put(c.was, c.now); err != nil {
				c.refuse(err)
			}
		}
		if im.took != nil {
			im.report.counts[c.row.Status]++
			im.took(c.now, c.row)
		} else if err := im.report.add(c.row); err != nil {
			return err
		}
	}
	return nil
}

func (c *candidate) refuse(err error) {
	c.row.Status, c.row.Why, c.row.Changes, c.row.Notes = refused, err.Error(), nil, nil
}

// decide fills in the row of an entry, all but what its password in clear comes to.
func (im *importer) decide(c *candidate) {
	e := &c.entry
	c.row = importRow{Line: e.Line, Name: e.Name, Status: added, Notes: e.Notes}
	first, twice := im.lines[e.Name]
	switch {
	case e.LeftOut != "":
		c.row.Status, c.row.Why = leftOut, e.LeftOut
		return
	case e.Err != nil:
		c.refuse(e.Err)
	case userdb.ValidName(e.Name) != nil:
		c.refuse(userdb.ValidName(e.Name))
	case twice:
		c.refuse(fmt.Errorf("line %d has this user too, and counts", first))
	case c.was.Exists() && im.skip:
		c.row.Status, c.row.Notes = kept, nil
	case c.was.Exists():
		im.decideExisting(c)
	default:
		c.now = im.base
		c.now.Name = e.Name
		if err := im.complete(c); err != nil {
			c.refuse(err)
		}
	}
	if !twice && e.Name != "" {
		im.lines[e.Name] = e.Line
	}
}

// complete makes a new user of an entry.
func (im *importer) complete(c *candidate) error {
	if err := c.set(); err != nil {
		return err
	}
	if c.now.UID != 0 && c.now.GID == 0 {
		c.now.GID = im.groupOf(c.now.UID)
	}
	if c.now.Password == "" && c.entry.Password == "" && len(c.row.Notes) == 0 {
		c.row.Notes = []string{"has no password, so that it cannot log in"}
	}
	return completeUser(&c.now)
}

// set gives the user what the file says.
func (c *candidate) set() error {
	err := c.entry.Set(&c.now)
	c.now.Home = strings.ReplaceAll(c.now.Home, "$USER", c.now.Name)
	return err
}

// groupOf returns the group of a system user.
func (im *importer) groupOf(uid int) int {
	gid, known := im.groups[uid]
	if !known {
		if found, err := user.LookupId(strconv.Itoa(uid)); err == nil {
			gid, _ = strconv.Atoi(found.Gid)
		}
		im.groups[uid] = gid
	}
	return gid
}

func (im *importer) decideExisting(c *candidate) {
	if c.was.Err != nil {
		c.refuse(c.was.Err)
		return
	}
	c.now = c.was.User
	err := c.set()
	if err == nil {
		err = c.now.Validate()
	}
	if err != nil {
		c.refuse(err)
		return
	}
	c.row.Changes = differences(c.was.User, c.now)
	im.settle(c)
}

// settle says what becomes of a user who is there, by what would change.
func (im *importer) settle(c *candidate) {
	switch {
	case len(c.row.Changes) == 0:
		c.row.Status, c.row.Notes = unchanged, nil
	case im.update:
		c.row.Status = changed
	default:
		var names []string
		for _, d := range c.row.Changes {
			names = append(names, d.Name)
		}
		im.report.taken = true
		c.refuse(errors.New("is there already, with another " + strings.Join(names, ", ")))
	}
}

// A difference is an attribute that a file changes. What passwords were and are is
// not told.
type difference struct {
	Name string `json:"name"`
	From string `json:"from"`
	To   string `json:"to"`
}

func differences(was, now userdb.User) []difference {
	var all []difference
	if was.Password != now.Password {
		all = append(all, difference{Name: "password"})
	}
	for _, f := range userdb.Fields.Changed(now, was) {
		if _, editable := userdb.Editable().Lookup(f.Name); editable {
			all = append(all, difference{f.Name, f.Bind(&was).String(), f.Bind(&now).String()})
		}
	}
	return all
}

// hash gives those whose password is in clear its hash, unless it is the one that
// they have.
func (im *importer) hash(ctx context.Context, list []candidate) error {
	const memory = 256 << 20
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	same := make([]bool, len(list))
	for i := range list {
		c := &list[i]
		if c.entry.Password == "" || !slices.Contains([]status{added, changed, unchanged}, c.row.Status) {
			continue
		}
		group.Go(func() (err error) {
			if err := ctx.Err(); err != nil {
				return err
			}
			if c.was.Exists() {
				if same[i], _ = userdb.Verify(c.now.Password, c.entry.Password, memory); same[i] {
					return nil
				}
			}
			if !im.dryRun {
				c.now.Password, err = userdb.Hash(c.entry.Password, im.cost)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i := range list {
		c := &list[i]
		if c.entry.Password != "" && c.was.Exists() && !same[i] && c.row.Status == unchanged {
			c.row.Changes = []difference{{Name: "password"}}
			im.settle(c)
		}
	}
	return nil
}
