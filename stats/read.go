package stats

import (
	"context"
	"errors"
	"io"
	"sync"

	"portreeve/logparse"
)

// A Piece is a log or a part of one.
type Piece struct {
	Name string
	Size int64 // in bytes, or about; so that several are read for as long
	Open func() (Lines, error)
	// Goes tells that it is a part of a file of which another was read.
	Goes bool
	// Skip is how many bytes of the piece were read before; their lines are not
	// counted again.
	Skip int64
	// Done is told, once it was read, where the next line begins.
	Done func(offset int64)
}

// Lines read entries, as a [logparse.Reader] does.
type Lines interface {
	Read(e *logparse.Entry) error
	Counts() logparse.Counts
	Offset() int64
	io.Closer
}

// A Reading is how pieces are read.
type Reading struct {
	Workers int         // at once; 0 is one
	Bad     func(error) // is told of lines and of files that cannot be read, in order; nobody if nil
	Limit   int         // of lines told of for each piece; the others are counted
}

// Read adds what is in pieces, which are in the order of time. Files that cannot be
// read are told of and left out.
func (c *Collector) Read(ctx context.Context, pieces []Piece, how Reading) error {
	shares := share(pieces, max(how.Workers, 1))
	readers := make([]reader, len(shares))
	c.flush()
	var all sync.WaitGroup
	for i := range readers {
		readers[i] = reader{into: c, limit: how.Limit}
		if i > 0 {
			readers[i].into = NewCollector(c.options)
		}
		all.Go(func() { readers[i].all(ctx, shares[i]) })
	}
	all.Wait()
	for i := range readers[min(1, len(readers)):] {
		c.merge(readers[i+1].into)
	}
	for i := range readers {
		for _, err := range readers[i].wrong {
			if how.Bad != nil {
				how.Bad(err)
			}
		}
	}
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
		if i == len(pieces)-1 || done*int64(workers) >= total*int64(len(shares)+1) {
			shares = append(shares, pieces[from:i+1])
			from = i + 1
		}
	}
	return shares
}

// A reader reads a share.
type reader struct {
	into  *Collector
	limit int
	wrong []error
}

func (r *reader) all(ctx context.Context, pieces []Piece) {
	for i := range pieces {
		if err := r.piece(ctx, &pieces[i]); err != nil {
			r.wrong = append(r.wrong, err)
		}
	}
	r.into.flush()
}

// patience is how many entries are read before it is looked whether anybody waits.
const patience = 1 << 12

func (r *reader) piece(ctx context.Context, p *Piece) error {
	if ctx.Err() != nil {
		return nil // that nobody waits is told by who asked
	}
	lines, err := p.Open()
	if err != nil {
		return err
	}
	defer lines.Close()
	var e logparse.Entry
	var skipped logparse.Counts
	for n, told := 1, 0; n%patience != 0 || ctx.Err() == nil; n++ {
		err := lines.Read(&e)
		if p.Skip > 0 && lines.Offset() <= p.Skip {
			if skipped = lines.Counts(); err != io.EOF {
				continue
			}
		}
		_, bad := errors.AsType[*logparse.LineError](err)
		switch {
		case err == nil:
			r.into.Add(&e)
		case bad && told < r.limit:
			told++
			r.wrong = append(r.wrong, err)
		case !bad:
			r.count(p, lines, skipped)
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
	return nil
}

// count counts what a piece had.
func (r *reader) count(p *Piece, lines Lines, skipped logparse.Counts) {
	counts := lines.Counts()
	read := Read{Bytes: lines.Offset() - p.Skip, Lines: counts.Lines - skipped.Lines, Entries: counts.Entries - skipped.Entries,
		Bad: counts.Bad - skipped.Bad, TooLong: counts.TooLong - skipped.TooLong, Ambiguous: counts.Ambiguous - skipped.Ambiguous}
	if !p.Goes {
		read.Files = 1
	}
	r.into.read.add(read)
	if p.Done != nil {
		p.Done(lines.Offset())
	}
}
