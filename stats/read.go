package stats

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"portreeve/logparse"
)

// A Piece is a log or a part of one.
type Piece struct {
	Name   string          // of the file, for errors
	Format logparse.Format // one without a name is found out
	Parser logparse.Parser // how times are read
	// Open is called again if Size is not 0, to look at where to cut.
	Open func() (io.ReadCloser, error)
	Size int64 // in bytes, or about; so that several are read for as long
	// Goes tells that it is the same file as the piece before, whose lines its own
	// come after.
	Goes bool
	// Growing tells that a last line without an end is for the next time.
	Growing bool
	// Done is told, once it was read, how many bytes were.
	Done func(bytes int64)
}

// A Reading is how pieces are read.
type Reading struct {
	Workers int               // at once; 0 is one
	Bad     func(error)       // is told of lines and of files that cannot be read, in order; nobody if nil
	Limit   int               // of lines told of for each piece; the others are counted
	Read    func(bytes int64) // is told what was read since, by any worker; nobody if nil
}

// Read adds what is in pieces, which are in the order of time. Files that cannot be
// read are told of and left out.
func (c *Collector) Read(ctx context.Context, pieces []Piece, how Reading) error {
	shares := share(pieces, max(how.Workers, 1))
	readers := make([]reader, len(shares))
	c.flush()
	var all sync.WaitGroup
	for i := range readers {
		readers[i] = reader{into: c, how: how, lines: make([]int64, len(shares[i])), wrong: make([][]error, len(shares[i]))}
		if i > 0 {
			readers[i].into = NewCollector(c.options)
		} else if c.began {
			readers[i].last = time.Unix(c.total().last, 0)
		}
		all.Go(func() { readers[i].all(ctx, shares[i]) })
	}
	all.Wait()
	for i := range readers[min(1, len(readers)):] {
		c.merge(readers[i+1].into)
	}
	tell(readers, shares, how)
	return ctx.Err()
}

// share divides pieces among workers, each of which gets some that follow each
// other.
func share(pieces []Piece, workers int) [][]Piece {
	var total int64
	for i := range pieces {
		total += max(pieces[i].Size, 1)
	}
	var shares [][]Piece
	var from int
	var done int64
	for i := range pieces {
		done += max(pieces[i].Size, 1)
		if i == len(pieces)-1 || done*int64(workers) >= total*int64(len(shares)+1) && !pieces[i+1].hangs() {
			shares = append(shares, pieces[from:i+1])
			from = i + 1
		}
	}
	return shares
}

// hangs tells that it depends on what comes before how the times of a piece are to be
// read, since clocks show the first one twice.
func (p *Piece) hangs() bool {
	if p.Size == 0 {
		return false
	}
	f, err := p.Open()
	if err != nil { // of which is told when it is to be read
		return false
	}
	defer f.Close()
	lines := logparse.NewReader(f, p.Format)
	lines.Parser = p.Parser
	var e logparse.Entry
	for {
		err := lines.Read(&e)
		if _, bad := errors.AsType[*logparse.LineError](err); !bad {
			return err == nil && logparse.Twice(e.Time)
		}
	}
}

// A reader reads a share.
type reader struct {
	into  *Collector
	how   Reading
	lines []int64   // by piece
	wrong [][]error // by piece
	last  time.Time // of an entry
}

func (r *reader) all(ctx context.Context, pieces []Piece) {
	for i := range pieces {
		if ctx.Err() != nil {
			return
		}
		if err := r.piece(ctx, &pieces[i], i); err != nil {
			r.wrong[i] = append(r.wrong[i], err)
		}
	}
	r.into.flush()
}

func (r *reader) piece(ctx context.Context, p *Piece, i int) error {
	f, err := p.Open()
	if err != nil {
		return err
	}
	defer f.Close()
	from := &counted{Reader: f, ctx: ctx, tell: r.how.Read}
	lines := logparse.NewReader(from, p.Format)
	lines.Parser, lines.Name, lines.Growing = p.Parser, p.Name, p.Growing
	lines.Follow(r.last)
	defer func() { r.last = lines.Last() }()
	for e, err := range lines.All() {
		switch _, bad := errors.AsType[*logparse.LineError](err); {
		case err == nil:
			r.into.Add(e)
		case !bad:
			r.count(p, i, lines)
			return fmt.Errorf("reading %s: %w", p.Name, err)
		case len(r.wrong[i]) < r.how.Limit:
			r.wrong[i] = append(r.wrong[i], err)
		}
	}
	r.count(p, i, lines)
	return nil
}

// count counts what a piece had.
func (r *reader) count(p *Piece, i int, lines *logparse.Reader) {
	counts := lines.Counts()
	r.lines[i] = counts.Lines
	read := Read{Bytes: lines.Offset(), Lines: counts.Lines, Entries: counts.Entries, Bad: counts.Bad, TooLong: counts.TooLong, Ambiguous: counts.Ambiguous}
	if !p.Goes {
		read.Files = 1
	}
	r.into.read.add(read)
	if p.Done != nil {
		p.Done(lines.Offset())
	}
}

// tell tells of what could not be read, with the lines of whole files.
func tell(readers []reader, shares [][]Piece, how Reading) {
	if how.Bad == nil {
		return
	}
	var before int64
	for i := range readers {
		for j, p := range shares[i] {
			if !p.Goes {
				before = 0
			}
			for _, err := range readers[i].wrong[j] {
				if line, ok := errors.AsType[*logparse.LineError](err); ok {
					line.Line += before
				}
				how.Bad(err)
			}
			before += readers[i].lines[j]
		}
	}
}

// A counted reader tells how much it gave, and gives no more when nobody waits.
type counted struct {
	io.Reader
	ctx  context.Context
	tell func(int64)
}

func (c *counted) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.Reader.Read(p)
	if c.tell != nil && n > 0 {
		c.tell(int64(n))
	}
	return n, err
}
